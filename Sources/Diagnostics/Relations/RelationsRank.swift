import Tensors

extension RelationsLayer {
  /// Whether the effective rank of the matrix of all places is taken.
  var hasRank: Bool {
    switch grid.places {
    case .patches, .cells: return !overlaps || mapPlaces <= LocalTaps.largestMatrix
    case .taps(let taps): return taps.hasRank
    case .pooling: return !grid.isOneRow
    case nil: return false
    }
  }

  /// Whether windows have places in common, so that what they give is added up.
  var overlaps: Bool {
    if case .windows(_, _, let stride, _) = connections.support {
      stride < max(connections.height, connections.width)
    } else {
      false
    }
  }

  private var mapPlaces: Int {
    if case .windows(let height, let width, _, _) = connections.support {
      height * width
    } else {
      0
    }
  }

  /// The effective rank of the matrix by which a head makes all places, the mean over heads; of windows without
  /// common places, that of their matrices one after the other along the diagonal. Tokens before the grid count as
  /// places.
  ///
  /// - Parameters:
  ///   - weights: `[windows, heads, queries, keys]`, finite.
  /// - Returns: nil where ``hasRank`` is false, and where all heads have zeros alone.
  func effectiveRank(_ weights: UnsafePointer<Float>) -> Double? {
    guard hasRank else { return nil }
    let ranks = (0..<grid.heads).compactMap { head -> Double? in
      // A spectrum that LAPACK cannot find is undefined.
      try? effectiveRank(weights, head: head)
    }
    return ranks.isEmpty ? nil : ranks.reduce(0, +) / Double(ranks.count)
  }

  private func effectiveRank(
    _ weights: UnsafePointer<Float>, head: Int
  ) throws(SpectrumError) -> Double? {
    func map(_ window: Int) -> UnsafePointer<Float> {
      weights + (window * grid.heads + head) * grid.mapCount
    }
    if case .taps(let taps) = grid.places { return try taps.effectiveRank(map(0)) }
    if overlaps {
      let whole = joined(map)
      return try Diagnostics.effectiveRank(whole, rows: mapPlaces, columns: mapPlaces)
    }
    var values: [Double] = []
    for window in 0..<grid.windows {
      let own = try singularValues(map(window), rows: grid.queries, columns: grid.keys)
      values += own.values.map { $0 * own.unit }
    }
    return Diagnostics.effectiveRank(singularValues: values)
  }

  /// The matrix of all places of windows that overlap, `[places, places]`; what lies outside of the map is left out.
  private func joined(_ map: (Int) -> UnsafePointer<Float>) -> [Float] {
    guard case .windows(let height, let width, let stride, let padding) = connections.support else {
      return []
    }
    let (side, count) = (connections.width, connections.height * connections.width)
    let across = (width + stride - 1) / stride
    var matrix = [Float](repeating: 0, count: mapPlaces * mapPlaces)
    for window in 0..<grid.windows {
      let (top, left) = (
        window / across * stride - padding, window % across * stride - padding
      )
      let places = (0..<count).map { index -> Int? in
        let (y, x) = (top + index / side, left + index % side)
        return (0..<height).contains(y) && (0..<width).contains(x) ? y * width + x : nil
      }
      let own = map(window)
      for (query, to) in places.enumerated() {
        guard let to else { continue }
        for (key, from) in places.enumerated() {
          if let from { matrix[to * mapPlaces + from] += own[query * count + key] }
        }
      }
    }
    return matrix
  }
}
