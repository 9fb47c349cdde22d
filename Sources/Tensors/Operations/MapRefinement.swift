import CKernels

/// Attention maps refined (Zhou et al. 2021): heads mixed into more of them, each map under a small
/// kernel of its own, and mixed back: `reduce(local(expand(A)))`, with what stands between the steps in
/// the public code. Parts left out are skipped.
///
/// Where nothing is tracked, a few rows of all maps go through all steps while they are in cache.
public struct MapRefinement: Sendable {
  /// `[h', h]`: heads to maps.
  public var expand: Tensor?
  /// `[h']`, added after `expand`.
  public var expandShift: Tensor?
  /// `[h', k, k]`: one kernel a map, over queries and keys; zeros outside.
  public var local: Tensor?
  /// `[h']`, added after `local`.
  public var localShift: Tensor?
  /// `[h'', h']`: maps to heads.
  public var reduce: Tensor?
  /// `[h'']`, added after `reduce`.
  public var reduceShift: Tensor?
  /// What follows `expand` and `local`: nothing or ReLU6.
  public var activation: Activation
  /// Whether the maps that came in are added at the end; there must be as many.
  public var addsInput: Bool
  /// Applied to the result, one scale and shift a map.
  public var affine: ChannelAffine?

  /// A refinement made of its parts.
  public init(
    expand: Tensor? = nil, expandShift: Tensor? = nil, local: Tensor? = nil,
    localShift: Tensor? = nil, reduce: Tensor? = nil, reduceShift: Tensor? = nil,
    activation: Activation = .none, addsInput: Bool = false, affine: ChannelAffine? = nil
  ) {
    (self.expand, self.expandShift) = (expand, expandShift)
    (self.local, self.localShift) = (local, localShift)
    (self.reduce, self.reduceShift) = (reduce, reduceShift)
    (self.activation, self.addsInput, self.affine) = (activation, addsInput, affine)
  }

  private var parameters: [Tensor?] {
    [
      expand, expandShift, local, localShift, reduce, reduceShift, affine?.scale, affine?.shift,
    ]
  }

  /// Refines maps `[N, h, T, S]`.
  ///
  /// - Parameters:
  ///   - beforeAffine: gets the maps before ``affine`` and may put others in their place; nil if nobody
  ///     looks.
  public func callAsFunction(_ maps: Tensor, beforeAffine: ((Tensor) -> Tensor)? = nil) -> Tensor {
    if let beforeAffine, let affine {
      var first = self
      first.affine = nil
      return affine.onPlanes(beforeAffine(first(maps)))
    }
    let inputs = [maps] + parameters.compactMap(\.self)
    guard inputs.contains(where: \.isTracked) else {
      if inputs.count == 1, !addsInput { return maps }
      return FusedRefinement(
        has: parameters.map { $0 != nil }, activation: activation, addsInput: addsInput
      ).apply(inputs)
    }
    var y = maps
    if let expand {
      y = y.mixedPlanes(expand)
      if let expandShift { y = y.plusPlanes(expandShift) }
      y = activation(y)
    }
    if let local {
      y = y.depthwisePlanes(local)
      if let localShift { y = y.plusPlanes(localShift) }
      y = activation(y)
    }
    if let reduce {
      y = y.mixedPlanes(reduce)
      if let reduceShift { y = y.plusPlanes(reduceShift) }
    }
    if addsInput { y = y + maps }
    return affine?.onPlanes(y) ?? y
  }
}

/// ``MapRefinement`` in one sweep; never recorded.
private struct FusedRefinement: Operation {
  /// Which of the parameters are among the inputs, in the order of ``MapRefinement``'s.
  let has: [Bool]
  let activation: Activation
  let addsInput: Bool

  private func parameter<T>(_ index: Int, of x: [T]) -> T? {
    has[index] ? x[1 + has[..<index].count(where: \.self)] : nil
  }

  func outputShape(_ x: [Shape]) -> Shape {
    var y = x[0]
    precondition(y.rank == 4, "\(y) are no attention maps")
    if let expand = parameter(0, of: x) { y = PlaneMix().outputShape([y, expand]) }
    if let local = parameter(2, of: x) { y = PlaneDepthwise().outputShape([y, local]) }
    if let reduce = parameter(4, of: x) { y = PlaneMix().outputShape([y, reduce]) }
    precondition(!addsInput || y == x[0], "Maps \(x[0]) cannot be added to \(y)")
    return y
  }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    let places = x[0][0] * x[0][2] * x[0][3]
    let weights = [0, 2, 4].compactMap { parameter($0, of: x)?.count }
    return weights.reduce(0) { $0.plus(places.times($1)) }
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (heads, rows, cols) = (x[0].shape[1], x[0].shape[2], x[0].shape[3])
    // Tiles and blocks of rows follow from shapes alone: so does every value.
    let tiles = (rows + 127) / 128
    let pointers = (0..<has.count).map { parameter($0, of: x).map { DisjointWrites($0.pointer) } }
    let expanded = parameter(0, of: x)?.shape[0] ?? heads
    let steps = RefinementSteps(
      heads: heads, expanded: expanded, reduced: y.shape[1], rows: rows, cols: cols,
      kernel: parameter(2, of: x)?.shape[1] ?? 1, activation: activation.code,
      addsInput: addsInput, parameters: pointers)
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let (sizeIn, sizeOut) = (heads * rows * cols, y.shape[1] * rows * cols)
    Threads.forEach(x[0].shape[0] * tiles) { index in
      let (image, tile) = (index / tiles, index % tiles)
      steps.run(
        px + image * sizeIn, py + image * sizeOut,
        rows: (rows * tile / tiles)..<(rows * (tile + 1) / tiles))
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("Fused refinement is never recorded")
  }
}

/// The steps over some rows of one image's maps.
private struct RefinementSteps: Sendable {
  let heads, expanded, reduced, rows, cols, kernel: Int
  let activation: Int32
  let addsInput: Bool
  let parameters: [DisjointWrites<Float>?]

  /// Maps in memory: row `first` of plane 0, and how far planes lie apart.
  private struct Rows {
    var pointer: UnsafeMutablePointer<Float>
    var stride: Int
    var first: Int
  }

  func run(
    _ x: UnsafeMutablePointer<Float>, _ y: UnsafeMutablePointer<Float>, rows wanted: Range<Int>
  ) {
    let plane = rows * cols
    // About a quarter of a megabyte of expanded maps at once.
    let block = max(4, (1 << 16) / max(1, expanded * cols))
    let (before, after) = ((kernel - 1) / 2, kernel / 2)
    let (expand, local, reduce) = (parameters[0], parameters[2], parameters[4])
    let bufferStride = (block + kernel - 1) * cols
    let buffer = expand == nil ? nil : scratch(1, expanded * bufferStride)
    var (start, end) = (0, 0)  // rows in the buffer
    for first in stride(from: wanted.lowerBound, to: wanted.upperBound, by: block) {
      let count = min(block, wanted.upperBound - first)
      var current = Rows(pointer: x, stride: plane, first: 0)
      if let expand, let buffer {
        let (from, to) = (max(0, first - before), min(rows, first + count + after))
        // Rows that the last block left are moved to the front; the others are new.
        let kept = max(0, end - from)
        if kept > 0, from > start {
          for map in 0..<expanded {
            let base = buffer + map * bufferStride
            base.update(from: base + (from - start) * cols, count: kept * cols)
          }
        }
        let new = from + kept
        let into = buffer + kept * cols
        gemm(
          expanded, (to - new) * cols, heads, expand.pointer, lda: heads, x + new * cols,
          ldb: plane, into, ldc: bufferStride)
        ck_plane_epilogue(
          into, bufferStride, expanded, (to - new) * cols, parameters[1]?.pointer, activation, nil,
          0, nil, nil)
        (start, end) = (from, to)
        current = Rows(pointer: buffer, stride: bufferStride, first: from)
      }
      let result = Rows(pointer: y + first * cols, stride: plane, first: first)
      if let local {
        let out =
          reduce == nil
          ? result
          : Rows(
            pointer: scratch(2, expanded * block * cols), stride: block * cols, first: first)
        ck_plane_depthwise(
          current.pointer, current.stride, current.first, local.pointer, 0, out.pointer, out.stride,
          first, count, expanded, rows, cols, kernel)
        ck_plane_epilogue(
          out.pointer, out.stride, expanded, count * cols, parameters[3]?.pointer, activation, nil,
          0, nil, nil)
        current = out
      }
      let source = current.pointer + (first - current.first) * cols
      if let reduce {
        gemm(
          reduced, count * cols, expanded, reduce.pointer, lda: expanded, source,
          ldb: current.stride, result.pointer, ldc: plane)
      } else if source != result.pointer {
        for map in 0..<expanded {
          (result.pointer + map * plane).update(
            from: source + map * current.stride, count: count * cols)
        }
      }
      ck_plane_epilogue(
        result.pointer, plane, reduced, count * cols, reduce == nil ? nil : parameters[5]?.pointer,
        Int32(CK_ACTIVATION_NONE), addsInput ? x + first * cols : nil, plane,
        parameters[6]?.pointer, parameters[7]?.pointer)
    }
  }
}
