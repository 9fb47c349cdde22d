import CKernels

/// Output rows whose patches fill about 2 MiB, within bounds that keep the product efficient.
private func tileRows(patch: Int) -> Int { max(64, min(1024, (1 << 19) / max(1, patch))) }

/// Whether a product's patches are all made at once. Few rows are too few tiles for the threads, and the
/// product is cut both ways; with many, patches are made a tile at a time in cache.
private func isSmall(rows: Int) -> Bool { rows <= 1024 }

/// The patches of all rows, `[rows, patch]`.
private func patches(of map: Tensor, _ geometry: ck_window, rows: Int, patch: Int) -> Tensor {
  let result = Tensor(uninitialized: [rows, patch])
  let (px, py) = (map.memory, result.memory)
  Threads.forEachTile(of: rows, target: max(1, (1 << 18) / max(1, patch))) { first, count in
    withUnsafePointer(to: geometry) {
      ck_im2col(px.pointer, py + first * patch, $0, first, count)
    }
  }
  return result
}

/// Cross-correlation of a channels-last map `[N, H, W, in]` with weights `[out, kh, kw, in]`.
struct Convolution: Operation {
  let window: SlidingWindow

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0].rank == 4 && x[1].rank == 4 && x[0][3] == x[1][3] && x[1][1] == window.kernelHeight
        && x[1][2] == window.kernelWidth,
      "Weights \(x[1]) do not fit a map \(x[0]) under a window \(window.kernel)")
    let (oh, ow) = window.output(x[0])
    return [x[0][0], oh, ow, x[1][0]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.rows.times(x[1].count) }

  func forward(_ x: [Tensor], into y: Tensor) { sweep(x[0], x[1], into: y, affine: nil) }

  /// The convolution with what follows it, `activation(affine(conv(x)) + residual)`, while tiles of it are in
  /// cache.
  func sweep(
    _ input: Tensor, _ weight: Tensor, into y: Tensor, affine: ChannelAffine?,
    residual: Tensor? = nil, activation: Activation = .none
  ) {
    if let winograd = WinogradConvolution(window, input.shape, y.shape) {
      winograd.run(
        input, weight, into: y, affine: affine, residual: residual, activation: activation)
      return
    }
    let out = weight.shape[0]
    let patch = weight.shape.count / max(1, out)
    let (px, py) = (input.memory, y.memory)
    let map = affine.map { ($0.scale.memory, $0.shift.memory) }
    let rest = residual.map(\.memory)
    let code = activation.code
    @Sendable func finish(_ first: Int, _ count: Int) {
      guard let map else { return }
      let at = first * out
      ck_affine_epilogue(
        py + at, py + at, count, out, map.0.pointer, map.1.pointer, rest.map { $0 + at }, code)
    }
    if let tapwise = TapwiseConvolution(window, input.shape, y.shape) {
      tapwise.run(input, weight, into: y)
      if affine != nil { forEachRowTile(of: y.shape, finish) }
      return
    }
    let panels = Panels(weight.pointer, ldb: patch, transposed: true, k: patch, n: out)
    let geometry = window.geometry(input.shape)
    let direct = window.isPointwise
    if isSmall(rows: y.shape.rows) {
      let rows = y.shape.rows
      let all =
        direct ? input : Tensors.patches(of: input, geometry, rows: rows, patch: patch)
      panels.multiplyTiled(rows, all.pointer, lda: patch, y.pointer)
      withExtendedLifetime(all) {}
      if affine != nil { forEachRowTile(of: y.shape, finish) }
      return
    }
    Threads.forEachTile(
      of: y.shape.rows, target: direct ? 288 : tileRows(patch: patch), unit: Panels.rowUnit
    ) {
      first, count in
      let patches = ScratchMemory(.operand, direct ? 0 : count * patch)
      if !direct {
        withUnsafePointer(to: geometry) { ck_im2col(px.pointer, patches.pointer, $0, first, count) }
      }
      panels.multiply(
        count, direct ? px + first * patch : patches.pointer, lda: patch, py + first * out, ldc: out
      )
      finish(first, count)
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? ConvolutionInputGradient(window: window, input: x[0].shape)(dy, x[1]) : nil,
      needs[1] ? ConvolutionWeightGradient(window: window, weight: x[1].shape)(x[0], dy) : nil,
    ]
  }
}

/// The adjoint of ``Convolution`` in its map: inputs `dy` and weights.
struct ConvolutionInputGradient: Operation {
  let window: SlidingWindow
  let input: Shape
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      Convolution(window: window).outputShape([input, x[1]]) == x[0],
      "Weights \(x[1]) do not lead from \(input) to \(x[0])")
    return input
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].rows.times(x[1].count) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (dy, weight) = (x[0], x[1])
    if let winograd = WinogradConvolution(adjointOf: window, dy.shape, y.shape) {
      winograd.run(dy, weight, into: y)
      return
    }
    if let tapwise = TapwiseConvolution(window, y.shape, dy.shape) {
      tapwise.runInputGradient(dy, weight, into: y)
      return
    }
    let out = weight.shape[0]
    let patch = weight.shape.count / max(1, out)
    let panels = Panels(weight.pointer, ldb: patch, transposed: false, k: out, n: patch)
    let (pd, py) = (dy.memory, y.memory)
    if window.isPointwise {
      panels.multiplyTiled(dy.shape.rows, dy.pointer, lda: out, y.pointer)
      return
    }
    let geometry = window.geometry(input)
    let rows = geometry.oh * geometry.ow
    if isSmall(rows: dy.shape.rows) {
      let all = Tensor(uninitialized: [dy.shape.rows, patch])
      panels.multiplyTiled(dy.shape.rows, dy.pointer, lda: out, all.pointer)
      let pall = all.memory
      Threads.forEach(input[0]) { image in
        withUnsafePointer(to: geometry) {
          ck_col2im(pall + image * rows * patch, py.pointer, $0, image, 1)
        }
      }
      withExtendedLifetime(all) {}
      return
    }
    // Several images a product where they are small, so that its tiles are full.
    Threads.forEachTile(of: input[0], target: max(1, tileRows(patch: patch) / max(1, rows))) {
      first, count in
      guard count > 0 else { return }
      let patches = ScratchMemory(.operand, count * rows * patch)
      panels.multiply(count * rows, pd + first * rows * out, lda: out, patches.pointer, ldc: patch)
      withUnsafePointer(to: geometry) {
        ck_col2im(patches.pointer, py.pointer, $0, first, count)
      }
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? Convolution(window: window)(u, x[1]) : nil,
      needs[1] ? ConvolutionWeightGradient(window: window, weight: x[1].shape)(u, x[0]) : nil,
    ]
  }
}

/// The adjoint of ``Convolution`` in its weights: inputs the map and `dy`.
struct ConvolutionWeightGradient: Operation {
  let window: SlidingWindow
  let weight: Shape
  func outputShape(_ x: [Shape]) -> Shape { weight }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].rows.times(weight.count) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (input, dy) = (x[0], x[1])
    if let winograd = WinogradWeightGradient(window, input.shape, dy.shape) {
      winograd.run(input, dy, into: y)
      return
    }
    if let tapwise = TapwiseConvolution(window, input.shape, dy.shape) {
      tapwise.runWeightGradient(input, dy, into: y)
      return
    }
    let out = weight[0]
    let patch = weight.count / max(1, out)
    let rows = dy.shape.rows
    let geometry = window.geometry(input.shape)
    let direct = window.isPointwise
    if isSmall(rows: rows) {
      let all = direct ? input : patches(of: input, geometry, rows: rows, patch: patch)
      tiledGemm(out, patch, rows, dy.pointer, transposeA: true, all.pointer, y.pointer)
      withExtendedLifetime(all) {}
      return
    }
    // The sum runs over positions: cut into parts, and the parts' sums added in order.
    let parts = min(16, Threads.tileCount(rows, target: 2048))
    let partial = Tensor(uninitialized: [parts, weight.count])
    let (px, pd, pp) = (input.memory, dy.memory, partial.memory)
    Threads.forEach(parts) { part in
      let sum = pp + part * weight.count
      var first = rows * part / parts
      let end = rows * (part + 1) / parts
      var adding = false
      let step = direct ? 4096 : tileRows(patch: patch)
      while first < end {
        let count = min(step, end - first)
        let patches = ScratchMemory(.operand, direct ? 0 : count * patch)
        if !direct {
          withUnsafePointer(to: geometry) {
            ck_im2col(px.pointer, patches.pointer, $0, first, count)
          }
        }
        gemm(
          out, patch, count, pd + first * out, lda: out, transposeA: true,
          direct ? px + first * patch : patches.pointer, ldb: patch, sum, ldc: patch,
          adding: adding)
        adding = true
        first += count
      }
      if !adding { sum.update(repeating: 0, count: weight.count) }
    }
    ck_sum_axis(partial.pointer, y.pointer, 1, parts, weight.count)
    withExtendedLifetime(partial) {}
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? ConvolutionInputGradient(window: window, input: x[0].shape)(x[1], u) : nil,
      needs[1] ? Convolution(window: window)(x[0], u) : nil,
    ]
  }
}

/// A convolution with what follows it, a tile at a time.
struct FusedConvolution: FusedFunction {
  let x: Tensor
  let weight: Tensor
  let window: SlidingWindow
  var groups = 1
  var affine: ChannelAffine?
  var residual: Tensor?
  var activation = Activation.none

  var inputs: [Tensor?] { [x, weight, affine?.scale, affine?.shift, residual] }
  var outputShape: Shape {
    precondition(
      groups > 0 && x.shape.rank == 4 && x.shape.last.isMultiple(of: groups)
        && weight.shape.rank == 4 && weight.shape[0].isMultiple(of: groups),
      "Weights \(weight.shape) in \(groups) groups do not fit a map \(x.shape)")
    // A group sees its own channels alone.
    return Convolution(window: window)
      .outputShape([x.shape.replacingLast(x.shape.last / groups), weight.shape])
  }
  var multiplyAdds: Int { outputShape.rows.times(weight.shape.count) }
  var isSweepFaster: Bool {
    affine != nil && (groups == 1 || isDepthwise || narrow != nil) && phases == nil
  }

  private var isDepthwise: Bool {
    groups > 1 && weight.shape[0] == groups && weight.shape[3] == 1
  }
  private var narrow: GroupedConvolution? {
    GroupedConvolution(window, weight.shape, groups: groups)
  }
  private var phases: SlidingWindow? {
    isDepthwise || narrow != nil ? nil : window.phases(of: x.shape)
  }

  private var convolved: Tensor {
    func grouped(_ x: Tensor, _ window: SlidingWindow) -> Tensor {
      groups > 1
        ? groupedConvolution(x, weight, window: window, groups: groups)
        : Convolution(window: window)(x, weight)
    }
    if let phases {
      return dilatedConvolution(x, dilation: window.dilation.height) { grouped($0, phases) }
    }
    return grouped(x, window)
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    var y = convolved
    y = inner.beforeAffine?(y) ?? y
    if let affine {
      return affine(y, residual: residual, activation: activation, afterAffine: inner.afterAffine)
    }
    y = inner.afterAffine?(y) ?? y
    return activation(residual.map { y + $0 } ?? y)
  }

  func sweep(into y: Tensor) {
    guard groups > 1, let affine else {
      return Convolution(window: window).sweep(
        x, weight, into: y, affine: affine, residual: residual, activation: activation)
    }
    let (cols, width, code) = (y.shape.last, y.shape[2], activation.code)
    let (py, scale, shift) = (y.memory, affine.scale.memory, affine.shift.memory)
    let rest = residual.map(\.memory)
    @Sendable func finish(_ first: Int, _ count: Int) {
      let at = first * width * cols
      ck_affine_epilogue(
        py + at, py + at, count * width, cols, scale.pointer, shift.pointer,
        rest.map { $0 + at }, code)
    }
    if let narrow {
      narrow.sweep(x, weight, into: y, finish)
    } else {
      LocalMixing(window: window).sweep(x, depthwiseKernels(weight), into: y, finish)
    }
  }
}

/// A scale and shift of channels with what follows it: `activation(scale x + shift + residual)`.
struct FusedAffine: FusedFunction {
  let x: Tensor
  let affine: ChannelAffine
  var residual: Tensor?
  var activation = Activation.none

  var inputs: [Tensor?] { [x, affine.scale, affine.shift, residual] }
  var outputShape: Shape { x.shape }

  func steps(_ inner: InnerTaps) -> Tensor {
    var y: Tensor
    if let look = inner.afterAffine {
      y = look(FusedAffine(x: x, affine: affine)())
    } else {
      y = x * affine.scale + affine.shift
    }
    if let residual { y = y + residual }
    return activation(y)
  }

  func sweep(into y: Tensor) {
    let (px, py, cols) = (x.memory, y.memory, y.shape.last)
    let scale = affine.scale.memory
    let shift = affine.shift.memory
    let rest = residual.map(\.memory)
    let code = activation.code
    forEachRowTile(of: y.shape) { first, count in
      let at = first * cols
      ck_affine_epilogue(
        px + at, py + at, count, cols, scale.pointer, shift.pointer, rest.map { $0 + at }, code)
    }
  }
}

/// A per-channel map `scale * x + shift`: a batch normalisation folded from its running statistics.
public struct ChannelAffine: Sendable {
  /// `gamma / sqrt(runningVariance + eps)`, `[C]`.
  public let scale: Tensor
  /// `beta - runningMean * scale`, `[C]`.
  public let shift: Tensor

  /// A map given by its two vectors `[C]`.
  public init(scale: Tensor, shift: Tensor) {
    self.scale = scale
    self.shift = shift
  }

  /// `activation(scale * x + shift + residual)` over the last axis.
  ///
  /// - Parameters:
  ///   - afterAffine: gets `scale * x + shift`; nil if nobody looks.
  public func callAsFunction(
    _ x: Tensor, residual: Tensor? = nil, activation: Activation = .none,
    afterAffine: InnerTap? = nil
  ) -> Tensor {
    FusedAffine(x: x, affine: self, residual: residual, activation: activation)(
      InnerTaps(afterAffine: afterAffine))
  }
}

/// A convolution with what follows it: `activation(affine(conv(x)) + residual)`.
///
/// - Parameters:
///   - x: `[N, H, W, in]`.
///   - weight: `[out, kh, kw, in / groups]`.
///   - groups: how many groups of channels see their own alone.
///   - affine: a folded batch normalisation (or a bias, with scale 1).
///   - residual: of the result's shape.
///   - beforeAffine: gets the convolution's result; nil if nobody looks.
///   - afterAffine: gets what the residual is added to; nil if nobody looks.
/// - Returns: `[N, H', W', out]`.
public func convolution(
  _ x: Tensor, _ weight: Tensor, window: SlidingWindow, groups: Int = 1,
  affine: ChannelAffine? = nil, residual: Tensor? = nil, activation: Activation = .none,
  beforeAffine: InnerTap? = nil, afterAffine: InnerTap? = nil
) -> Tensor {
  FusedConvolution(
    x: x, weight: weight, window: window, groups: groups, affine: affine, residual: residual,
    activation: activation)(InnerTaps(beforeAffine: beforeAffine, afterAffine: afterAffine))
}
