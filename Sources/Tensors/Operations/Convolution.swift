import CKernels

/// Where a window lies on a channels-last map: kernel, stride and zero padding.
public struct Window: Sendable, Hashable {
  /// Kernel extents, rows and columns.
  public var kernel: (height: Int, width: Int) { (kernelHeight, kernelWidth) }
  let kernelHeight: Int
  let kernelWidth: Int
  let stride: Int
  let top: Int
  let left: Int
  let bottom: Int
  let right: Int
  let ceilMode: Bool

  /// A square window with the same padding on all sides.
  public init(kernel: Int, stride: Int = 1, padding: Int = 0, ceilMode: Bool = false) {
    self.init(
      height: kernel, width: kernel, stride: stride, padding: (padding, padding, padding, padding),
      ceilMode: ceilMode)
  }

  /// A window with padding (top, left, bottom, right).
  public init(
    height: Int, width: Int, stride: Int, padding: (Int, Int, Int, Int), ceilMode: Bool = false
  ) {
    precondition(height > 0 && width > 0 && stride > 0, "An empty window or step")
    (kernelHeight, kernelWidth, self.stride) = (height, width, stride)
    (top, left, bottom, right) = padding
    self.ceilMode = ceilMode
  }

  /// The extent that results along one axis.
  private func extent(_ size: Int, _ kernel: Int, _ padding: Int, _ before: Int) -> Int {
    let room = size + padding - kernel
    precondition(room >= 0, "A window of \(kernel) does not fit \(size) + \(padding)")
    let floor = room / stride + 1
    // As PyTorch: a last, partial window must start inside the map or its left padding.
    guard ceilMode, room % stride != 0, floor * stride < size + before else { return floor }
    return floor + 1
  }

  /// The shape `[N, outH, outW]` over a map `[N, H, W, C]`.
  func output(_ map: Shape) -> (height: Int, width: Int) {
    (
      extent(map[1], kernelHeight, top + bottom, top),
      extent(map[2], kernelWidth, left + right, left)
    )
  }

  var isPointwise: Bool {
    kernelHeight == 1 && kernelWidth == 1 && stride == 1 && top == 0 && left == 0 && bottom == 0
      && right == 0
  }

  func geometry(_ map: Shape) -> ck_window {
    let (oh, ow) = output(map)
    return ck_window(
      n: map[0], h: map[1], w: map[2], c: map[3], oh: oh, ow: ow, kh: kernelHeight,
      kw: kernelWidth, stride_h: stride, stride_w: stride, pad_top: top, pad_left: left)
  }
}

/// Output rows whose patches fill about 2 MiB, within bounds that keep the product efficient.
private func tileRows(patch: Int) -> Int { max(64, min(1024, (1 << 19) / max(1, patch))) }

/// Whether a product's patches are all made at once. Few rows are too few tiles for the threads, and the
/// product is cut both ways; with many, patches are made a tile at a time in cache.
private func isSmall(rows: Int) -> Bool { rows <= 1024 }

/// The patches of all rows, `[rows, patch]`.
private func patches(of map: Tensor, _ geometry: ck_window, rows: Int, patch: Int) -> Tensor {
  let result = Tensor(uninitialized: [rows, patch])
  let (px, py) = (DisjointWrites(map.pointer), DisjointWrites(result.pointer))
  Threads.forEachTile(of: rows, target: max(1, (1 << 18) / max(1, patch))) { first, count in
    withUnsafePointer(to: geometry) {
      ck_im2col(px.pointer, py + first * patch, $0, first, count)
    }
  }
  return result
}

/// Cross-correlation of a channels-last map with weights `[out, kh, kw, in]`.
///
/// - Inputs: `[N, H, W, in]`, weights, and (never recorded) scale and shift `[out]` and a residual.
struct Convolution: Operation {
  let window: Window
  var activation = Activation.none
  var hasResidual = false

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0].rank == 4 && x[1].rank == 4 && x[0][3] == x[1][3] && x[1][1] == window.kernelHeight
        && x[1][2] == window.kernelWidth,
      "Weights \(x[1]) do not fit a map \(x[0]) under a window \(window.kernel)")
    let (oh, ow) = window.output(x[0])
    return [x[0][0], oh, ow, x[1][0]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.rows.times(x[1].count) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (input, weight) = (x[0], x[1])
    if let winograd = WinogradConvolution(window, input.shape, y.shape) {
      winograd.run(
        input, weight, into: y, affine: x.count > 2 ? (x[2], x[3]) : nil,
        residual: hasResidual ? x[4] : nil, activation: activation)
      return []
    }
    let out = weight.shape[0]
    let patch = weight.shape.count / max(1, out)
    let (px, py) = (DisjointWrites(input.pointer), DisjointWrites(y.pointer))
    let affine = x.count > 2 ? (DisjointWrites(x[2].pointer), DisjointWrites(x[3].pointer)) : nil
    let residual = hasResidual ? DisjointWrites(x[4].pointer) : nil
    let code = activation.code
    @Sendable func finish(_ first: Int, _ count: Int) {
      guard let affine else { return }
      let at = first * out
      ck_affine_epilogue(
        py + at, py + at, count, out, affine.0.pointer, affine.1.pointer, residual.map { $0 + at },
        code)
    }
    if let tapwise = TapwiseConvolution(window, input.shape, y.shape) {
      tapwise.run(input, weight, into: y)
      if affine != nil { forEachRowTile(of: y.shape, finish) }
      return []
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
      return []
    }
    Threads.forEachTile(
      of: y.shape.rows, target: direct ? 288 : tileRows(patch: patch), unit: Panels.rowUnit
    ) {
      first, count in
      var patches = px + first * patch
      if !direct {
        patches = scratch(1, count * patch)
        withUnsafePointer(to: geometry) { ck_im2col(px.pointer, patches, $0, first, count) }
      }
      panels.multiply(count, patches, lda: patch, py + first * out, ldc: out)
      finish(first, count)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    precondition(x.count == 2, "A fused convolution is never recorded")
    return [
      needs[0] ? ConvolutionInputGradient(window: window, input: x[0].shape)(dy, x[1]) : nil,
      needs[1] ? ConvolutionWeightGradient(window: window, weight: x[1].shape)(x[0], dy) : nil,
    ]
  }
}

/// The adjoint of ``Convolution`` in its map: inputs `dy` and weights.
struct ConvolutionInputGradient: Operation {
  let window: Window
  let input: Shape
  func outputShape(_ x: [Shape]) -> Shape { input }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].rows.times(x[1].count) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (dy, weight) = (x[0], x[1])
    if let winograd = WinogradConvolution(adjointOf: window, dy.shape, y.shape) {
      winograd.run(dy, weight, into: y)
      return []
    }
    if let tapwise = TapwiseConvolution(window, y.shape, dy.shape) {
      tapwise.runInputGradient(dy, weight, into: y)
      return []
    }
    let out = weight.shape[0]
    let patch = weight.shape.count / max(1, out)
    let panels = Panels(weight.pointer, ldb: patch, transposed: false, k: out, n: patch)
    let (pd, py) = (DisjointWrites(dy.pointer), DisjointWrites(y.pointer))
    if window.isPointwise {
      panels.multiplyTiled(dy.shape.rows, dy.pointer, lda: out, y.pointer)
      return []
    }
    let geometry = window.geometry(input)
    let rows = geometry.oh * geometry.ow
    if isSmall(rows: dy.shape.rows) {
      let all = Tensor(uninitialized: [dy.shape.rows, patch])
      panels.multiplyTiled(dy.shape.rows, dy.pointer, lda: out, all.pointer)
      let pall = DisjointWrites(all.pointer)
      Threads.forEach(input[0]) { image in
        withUnsafePointer(to: geometry) {
          ck_col2im(pall + image * rows * patch, py.pointer, $0, image, 1)
        }
      }
      withExtendedLifetime(all) {}
      return []
    }
    // Several images a product where they are small, so that its tiles are full.
    Threads.forEachTile(of: input[0], target: max(1, tileRows(patch: patch) / max(1, rows))) {
      first, count in
      guard count > 0 else { return }
      let patches = scratch(1, count * rows * patch)
      panels.multiply(count * rows, pd + first * rows * out, lda: out, patches, ldc: patch)
      withUnsafePointer(to: geometry) { ck_col2im(patches, py.pointer, $0, first, count) }
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? Convolution(window: window)(u, x[1]) : nil,
      needs[1] ? ConvolutionWeightGradient(window: window, weight: x[1].shape)(u, x[0]) : nil,
    ]
  }
}

/// The adjoint of ``Convolution`` in its weights: inputs the map and `dy`.
struct ConvolutionWeightGradient: Operation {
  let window: Window
  let weight: Shape
  func outputShape(_ x: [Shape]) -> Shape { weight }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].rows.times(weight.count) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (input, dy) = (x[0], x[1])
    if let winograd = WinogradWeightGradient(window, input.shape, dy.shape) {
      winograd.run(input, dy, into: y)
      return []
    }
    if let tapwise = TapwiseConvolution(window, input.shape, dy.shape) {
      tapwise.runWeightGradient(input, dy, into: y)
      return []
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
      return []
    }
    // The sum runs over positions: cut into parts, and the parts' sums added in order.
    let parts = min(16, Threads.tileCount(rows, target: 2048))
    let partial = Tensor(uninitialized: [parts, weight.count])
    let (px, pd, pp) = (
      DisjointWrites(input.pointer), DisjointWrites(dy.pointer), DisjointWrites(partial.pointer)
    )
    Threads.forEach(parts) { part in
      let sum = pp + part * weight.count
      var first = rows * part / parts
      let end = rows * (part + 1) / parts
      var adding = false
      let step = direct ? 4096 : tileRows(patch: patch)
      while first < end {
        let count = min(step, end - first)
        var patches = px + first * patch
        if !direct {
          patches = scratch(1, count * patch)
          withUnsafePointer(to: geometry) { ck_im2col(px.pointer, patches, $0, first, count) }
        }
        gemm(
          out, patch, count, pd + first * out, lda: out, transposeA: true, patches, ldb: patch,
          sum, ldc: patch, adding: adding)
        adding = true
        first += count
      }
      if !adding { sum.update(repeating: 0, count: weight.count) }
    }
    ck_sum_axis(partial.pointer, y.pointer, 1, parts, weight.count)
    withExtendedLifetime(partial) {}
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? ConvolutionInputGradient(window: window, input: x[0].shape)(x[1], u) : nil,
      needs[1] ? Convolution(window: window)(x[0], u) : nil,
    ]
  }
}

/// Batch normalisation in evaluation mode after a product, with what follows: `act(scale x + shift + residual)`.
struct AffineChannels: Operation {
  let activation: Activation
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (px, py, cols) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer), y.shape.last)
    let (scale, shift) = (DisjointWrites(x[1].pointer), DisjointWrites(x[2].pointer))
    let residual = x.count > 3 ? DisjointWrites(x[3].pointer) : nil
    let code = activation.code
    forEachRowTile(of: y.shape) { first, count in
      let at = first * cols
      ck_affine_epilogue(
        px + at, py + at, count, cols, scale.pointer, shift.pointer, residual.map { $0 + at }, code)
    }
    return []
  }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("A fused affine map is never recorded")
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
  public func callAsFunction(
    _ x: Tensor, residual: Tensor? = nil, activation: Activation = .none
  ) -> Tensor {
    let inputs = [x, scale, shift] + [residual].compactMap(\.self)
    guard inputs.contains(where: \.isTracked) else {
      return AffineChannels(activation: activation).apply(inputs)
    }
    var y = x * scale + shift
    if let residual { y = y + residual }
    return activation(y)
  }
}

/// A convolution with what follows it: `activation(affine(conv(x)) + residual)`.
///
/// - Parameters:
///   - x: `[N, H, W, in]`.
///   - weight: `[out, kh, kw, in]`.
///   - affine: a folded batch normalisation (or a bias, with scale 1).
///   - residual: of the result's shape.
/// - Returns: `[N, H', W', out]`.
public func convolution(
  _ x: Tensor, _ weight: Tensor, window: Window, affine: ChannelAffine? = nil,
  residual: Tensor? = nil, activation: Activation = .none
) -> Tensor {
  precondition(affine != nil || residual == nil, "A residual is added after an affine map")
  guard let affine else { return activation(Convolution(window: window)(x, weight)) }
  let inputs = [x, weight, affine.scale, affine.shift] + [residual].compactMap(\.self)
  if inputs.contains(where: \.isTracked) {
    return affine(
      Convolution(window: window)(x, weight), residual: residual, activation: activation)
  }
  return Convolution(window: window, activation: activation, hasResidual: residual != nil)
    .apply(inputs)
}
