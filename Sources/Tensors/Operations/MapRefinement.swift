import CKernels

/// Attention maps refined (Zhou et al. 2021): heads mixed into more of them, each map under a small
/// kernel of its own, and mixed back: `reduce(local(expand(A)))`, with what stands between the steps in
/// the public code. Parts left out are skipped.
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

  /// Refines maps `[N, h, T, S]`.
  ///
  /// - Parameters:
  ///   - beforeAffine: gets the maps before ``affine`` and may put others in their place; nil if nobody
  ///     looks.
  public func callAsFunction(_ maps: Tensor, beforeAffine: InnerTap? = nil) -> Tensor {
    FusedRefinement(maps: maps, refinement: self)(InnerTaps(beforeAffine: beforeAffine))
  }
}

/// ``MapRefinement`` in one sweep: a few rows of all maps go through all steps while they are in cache.
struct FusedRefinement: FusedFunction {
  let maps: Tensor
  var refinement: MapRefinement

  private var parameters: [Tensor?] {
    let r = refinement
    return [
      r.expand, r.expandShift, r.local, r.localShift, r.reduce, r.reduceShift, r.affine?.scale,
      r.affine?.shift,
    ]
  }

  var inputs: [Tensor?] { [maps] + parameters }

  var outputShape: Shape {
    var y = maps.shape
    precondition(y.rank == 4, "\(y) are no attention maps")
    if let expand = refinement.expand { y = PlaneMix().outputShape([y, expand.shape]) }
    if let local = refinement.local { y = PlaneDepthwise().outputShape([y, local.shape]) }
    if let reduce = refinement.reduce { y = PlaneMix().outputShape([y, reduce.shape]) }
    precondition(
      !refinement.addsInput || y == maps.shape, "Maps \(maps.shape) cannot be added to \(y)")
    return y
  }

  var multiplyAdds: Int {
    let places = maps.shape.count / max(1, maps.shape[1])
    return [refinement.expand, refinement.local, refinement.reduce].compactMap(\.self)
      .reduce(0) { $0.plus(places.times($1.shape.count)) }
  }

  /// Without parameters there is nothing to sweep over.
  var isSweepFaster: Bool {
    refinement.addsInput || parameters.contains { $0 != nil }
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    let r = refinement
    if let look = inner.beforeAffine, let affine = r.affine {
      var before = self
      before.refinement.affine = nil
      return affine.onPlanes(look(before()))
    }
    func shifted(_ y: Tensor, _ shift: Tensor?) -> Tensor { shift.map { y.plusPlanes($0) } ?? y }
    var y = maps
    if let expand = r.expand { y = r.activation(shifted(y.mixedPlanes(expand), r.expandShift)) }
    if let local = r.local { y = r.activation(shifted(y.depthwisePlanes(local), r.localShift)) }
    if let reduce = r.reduce { y = shifted(y.mixedPlanes(reduce), r.reduceShift) }
    if r.addsInput { y = y + maps }
    return r.affine?.onPlanes(y) ?? y
  }

  func sweep(into y: Tensor) {
    let (heads, rows, cols) = (maps.shape[1], maps.shape[2], maps.shape[3])
    // Tiles and blocks of rows follow from shapes alone: so does every value.
    let tiles = (rows + 127) / 128
    let r = refinement
    func place(_ tensor: Tensor?) -> DisjointWrites<Float>? {
      tensor.map(\.memory)
    }
    let steps = RefinementSteps(
      heads: heads, expanded: r.expand?.shape[0] ?? heads, reduced: y.shape[1], rows: rows,
      cols: cols, kernel: r.local?.shape[1] ?? 1, activation: r.activation.code,
      addsInput: r.addsInput, expand: place(r.expand), expandShift: place(r.expandShift),
      local: place(r.local), localShift: place(r.localShift), reduce: place(r.reduce),
      reduceShift: place(r.reduceShift), scale: place(r.affine?.scale),
      shift: place(r.affine?.shift))
    let (px, py) = (maps.memory, y.memory)
    let (sizeIn, sizeOut) = (heads * rows * cols, y.shape[1] * rows * cols)
    Threads.forEach(maps.shape[0] * tiles) { index in
      let (image, tile) = (index / tiles, index % tiles)
      steps.run(
        px + image * sizeIn, py + image * sizeOut,
        rows: (rows * tile / tiles)..<(rows * (tile + 1) / tiles))
    }
  }
}

/// The steps over some rows of one image's maps.
private struct RefinementSteps: Sendable {
  let heads, expanded, reduced, rows, cols, kernel: Int
  let activation: Int32
  let addsInput: Bool
  let expand, expandShift, local, localShift, reduce, reduceShift: DisjointWrites<Float>?
  /// Of the affine map at the end.
  let scale, shift: DisjointWrites<Float>?

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
    let bufferStride = (block + kernel - 1) * cols
    let expandedMaps = ScratchMemory(.operand, expand == nil ? 0 : expanded * bufferStride)
    let localMaps = ScratchMemory(
      .result, local == nil || reduce == nil ? 0 : expanded * block * cols)
    let buffer = expandedMaps.pointer
    var (start, end) = (0, 0)  // rows in the buffer
    for first in stride(from: wanted.lowerBound, to: wanted.upperBound, by: block) {
      let count = min(block, wanted.upperBound - first)
      var current = Rows(pointer: x, stride: plane, first: 0)
      if let expand {
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
          into, bufferStride, expanded, (to - new) * cols, expandShift?.pointer, activation, nil,
          0, nil, nil)
        (start, end) = (from, to)
        current = Rows(pointer: buffer, stride: bufferStride, first: from)
      }
      let result = Rows(pointer: y + first * cols, stride: plane, first: first)
      if let local {
        let out =
          reduce == nil
          ? result
          : Rows(pointer: localMaps.pointer, stride: block * cols, first: first)
        ck_plane_depthwise(
          current.pointer, current.stride, current.first, local.pointer, 0, out.pointer, out.stride,
          first, count, expanded, rows, cols, kernel)
        ck_plane_epilogue(
          out.pointer, out.stride, expanded, count * cols, localShift?.pointer, activation, nil,
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
        result.pointer, plane, reduced, count * cols, reduce == nil ? nil : reduceShift?.pointer,
        Int32(CK_ACTIVATION_NONE), addsInput ? x + first * cols : nil, plane,
        scale?.pointer, shift?.pointer)
    }
  }
}
