import CKernels

/// Adds to the scores `[N, P, K, G]` of places and the taps of their windows the products of each place `[N, H, W, C]` of
/// the queries with a vector of the tap's own, `[K, C]`, summed over the channels of a group.
struct RelativeScores: Operation {
  func outputShape(_ x: [Shape]) -> Shape {
    let (scores, queries) = (x[0], x[1])
    precondition(
      scores[1] == queries[1] * queries[2] && x[2].dimensions == [scores[2], queries[3]]
        && queries[3].isMultiple(of: scores[3]),
      "Vectors \(x[2]) of offsets do not fit queries \(queries) and scores \(scores)")
    return scores
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].count.times(x[2][0]) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (taps, channels, groups) = (y.shape[2], x[1].shape[3], y.shape[3])
    let (ps, pq, pr, py) = (x[0].memory, x[1].memory, x[2].memory, y.memory)
    Threads.forEachTile(of: y.shape[0] * y.shape[1], target: 32) { first, count in
      let at = first * taps * groups
      (py + at).update(from: ps + at, count: count * taps * groups)
      ck_local_add_relative(
        pq + first * channels, pr.pointer, py + at, count, taps, channels, groups)
    }
  }

  func kept(needs: [Bool]) -> SavedValues {
    let queries: SavedValues = needs[2] ? .second : []
    return queries.union(needs[1] ? .input(2) : [])
  }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let (rows, taps, groups) = (dy.shape[0] * dy.shape[1], dy.shape[2], dy.shape[3])
    // By group: `[G, N P, K]`.
    let scores = dy.reshaped([rows, taps, groups]).permuted([2, 0, 1])
    func byGroup(_ vectors: Tensor) -> Tensor {
      let channels = vectors.shape.last
      return vectors.reshaped([vectors.shape.count / channels, groups, channels / groups])
        .permuted([1, 0, 2])
    }
    func together(_ parts: Tensor, _ shape: Shape) -> Tensor {
      parts.permuted([1, 0, 2]).reshaped(shape)
    }
    return [
      dy,
      needs[1] ? together(scores.matrixProduct(byGroup(x[2])), x[1].shape) : nil,
      needs[2]
        ? together(scores.permuted([0, 2, 1]).matrixProduct(byGroup(x[1])), x[2].shape) : nil,
    ]
  }
}

/// Attention of places to the windows around them, a row of a map after the other: its scores stay in cache.
struct FusedLocalAttention: FusedFunction {
  let queries: Tensor
  let keys: Tensor
  let values: Tensor
  /// `[K, C]`.
  let positions: Tensor?
  /// `[K, M]`: how much of each of M sets of values, side by side in `values`, a tap reads.
  var shares: Tensor?
  let window: SlidingWindow
  let heads: Int
  let scale: Float

  var inputs: [Tensor?] { [queries, keys, values, positions, shares] }

  /// Sets of values.
  private var mixtures: Int { shares?.shape.last ?? 1 }

  private var scores: Shape {
    [queries.shape[0], queries.shape[1] * queries.shape[2], window.taps, heads]
  }

  var outputShape: Shape {
    let shape = LocalMixing(window: window).outputShape([keys.shape, scores])
    precondition(
      values.shape == keys.shape.replacingLast(keys.shape.last * mixtures)
        && queries.shape == shape
        && (shares.map { $0.shape.dimensions == [window.taps, mixtures] } ?? true),
      "Queries \(queries.shape), keys \(keys.shape) and values \(values.shape) do not fit")
    if let positions {
      _ = RelativeScores().outputShape([scores, queries.shape, positions.shape])
    }
    return shape
  }

  var multiplyAdds: Int {
    queries.shape.count.times(window.taps).times((positions == nil ? 1 : 2) + mixtures)
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    var weights = keys.locallyCorrelated(with: queries, window: window, groups: heads)
    if let positions { weights = RelativeScores()(weights, queries, positions) }
    weights = weights.softmax(axis: 2, scale: scale)
    if let look = inner.maps {
      weights = look(weights.permuted([0, 3, 1, 2])).permuted([0, 2, 3, 1])
    }
    guard let shares else { return values.locallyMixed(weights, window: window) }
    let own = weights.reshaped([scores[0], scores[1], window.taps, 1, heads])
    let shared = (own * shares.reshaped([window.taps, mixtures, 1]))
      .reshaped(scores.replacingLast(mixtures * heads))
    let mixed = values.locallyMixed(shared, window: window)
    let channels = queries.shape.last
    func part(_ index: Int) -> Tensor {
      mixed.slice(axis: 3, start: index * channels, length: channels)
    }
    return (1..<mixtures).reduce(part(0)) { $0 + part($1) }
  }

  func sweep(into y: Tensor) {
    let geometry = window.geometry(keys.shape)
    let read = window.geometry(values.shape)
    let (across, channels, taps) = (geometry.ow, geometry.c, window.taps)
    let layout = ck_local_weights(groups: heads, image_step: 0, place_step: taps * heads)
    let (parts, mixtures) = (shares?.memory, mixtures)
    let shared = ck_local_weights(
      groups: mixtures * heads, image_step: 0, place_step: taps * mixtures * heads)
    let (pq, pk, pv, py) = (queries.memory, keys.memory, values.memory, y.memory)
    let (vectors, heads, scale) = (positions?.memory, heads, scale)
    Threads.forEachTile(of: geometry.n * geometry.oh, target: 1) { first, count in
      let scores = ScratchMemory(.maps, across * taps * heads)
      for row in first..<(first + count) {
        // Where the scores of the image would begin.
        let start = scores.pointer - row % geometry.oh * across * taps * heads
        withUnsafePointers(geometry, layout) {
          ck_local_correlate(pk.pointer, pq.pointer, start, $0, $1, row, 1)
          if let vectors {
            ck_local_add_relative(
              pq + row * across * channels, vectors.pointer, scores.pointer, across, taps,
              channels, heads)
          }
          ck_softmax_axis(scores.pointer, scores.pointer, across, taps, heads, scale)
          if parts == nil { ck_local_mix(pv.pointer, start, py.pointer, $0, $1, row, 1) }
        }
        guard let parts else { continue }
        let weights = ScratchMemory(.operand, across * taps * mixtures * heads)
        let mixed = ScratchMemory(.result, across * mixtures * channels)
        ck_local_share(
          scores.pointer, parts.pointer, weights.pointer, across * taps, taps, mixtures, heads)
        withUnsafePointers(read, shared) {
          ck_local_mix(
            pv.pointer, weights.pointer - row % read.oh * across * taps * mixtures * heads,
            mixed.pointer - row * across * mixtures * channels, $0, $1, row, 1)
        }
        ck_sum_mixtures(
          mixed.pointer, py.pointer + row * across * channels, across, mixtures, channels)
      }
    }
  }
}

/// Attention of each place of a map to the window around it: softmax over the window of `scale q·(k + r)`, `r` by the
/// offset, then the mixture of values. What lies outside the map has keys and values of zero, and takes part.
///
/// - Parameters:
///   - queries: `[N, H, W, C]`, as keys and values; heads side by side.
///   - window: of stride 1, as large as the map behind it.
///   - positions: `[taps, C]`, the vector of each offset; nil for none.
///   - shares: `[taps, M]`; then values are M sets `[N, H, W, M C]`, of which each tap reads a mixture of its own, as in
///     the stem of Ramachandran et al. (2019).
///   - maps: gets `[N, heads, H W, taps]`; nil if nobody looks.
/// - Returns: `[N, H, W, C]`.
public func localAttention(
  queries: Tensor, keys: Tensor, values: Tensor, window: SlidingWindow, heads: Int,
  scale: Float = 1, positions: Tensor? = nil,
  shares: Tensor? = nil, maps: InnerTap? = nil
) -> Tensor {
  FusedLocalAttention(
    queries: queries, keys: keys, values: values, positions: positions, shares: shares,
    window: window, heads: heads, scale: scale)(InnerTaps(maps: maps))
}
