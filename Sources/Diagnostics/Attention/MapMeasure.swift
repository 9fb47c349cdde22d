import CKernels
import Glibc

/// The mean way from a query of one head to the keys that it attends to, and the covariance around it, in pixels.
private struct HeadOffset {
  private var values: [AttentionStatistic: Double] = [:]

  /// - Parameters:
  ///   - moments: sums over rows of x, y, x², x y, y², in places.
  init(_ moments: [Double], rows: Int, step: (down: Double, across: Double)?) {
    guard rows > 0, let step else { return }
    let mean = moments.map { $0 / Double(rows) }
    let (x, y) = (mean[0], mean[1])
    values = [
      .offsetX: x * step.across, .offsetY: y * step.down,
      .covarianceXX: max(0, mean[2] - x * x) * step.across * step.across,
      .covarianceXY: (mean[3] - x * y) * step.across * step.down,
      .covarianceYY: max(0, mean[4] - y * y) * step.down * step.down,
    ]
  }

  subscript(_ statistic: AttentionStatistic) -> Double { values[statistic] ?? .nan }
}

/// The statistics of one image's connection weights in one layer.
struct MapMeasure: Sendable {
  let rankImages: Int
  private let grid: AttentionGrid
  private let threshold: Double
  /// Distances in pixels `[queries, keys]`, or those of taps; nil where pixels are not known.
  private let distances: [Float]?
  private let positions: PlacePositions?
  private let step: (down: Double, across: Double)?
  private let places: [AttentionStatistic: Int]

  init(_ layer: AttentionLayer, _ grid: AttentionGrid, _ settings: AttentionSettings) {
    self.grid = grid
    threshold = settings.threshold
    rankImages = settings.rankImages
    step = layer.step
    switch grid.places {
    case .patches(let patches): positions = PlacePositions(patches)
    case .cells(let cells): positions = PlacePositions(cells)
    case .pooling(let patches):
      positions = PlacePositions(pooling: patches, queries: grid.queries)
    case .taps, nil: positions = nil
    }
    let positions = positions
    distances = layer.step.flatMap { step in
      if case .pooling = grid.places { return nil }
      if case .taps(let taps) = grid.places {
        return taps.offsets.map {
          let (y, x) = (Double($0.down) * step.down, Double($0.across) * step.across)
          return Float((x * x + y * y).squareRoot())
        }
      }
      return positions?.distances(down: step.down, across: step.across)
    }
    places = Dictionary(
      AttentionStatistic.allCases.compactMap { statistic in
        layer.place(of: statistic).map { (statistic, $0) }
      }, uniquingKeysWith: { first, _ in first })
  }

  /// Measures `[windows, heads, queries, keys]`.
  func callAsFunction(
    _ maps: UnsafePointer<Float>, before: UnsafePointer<Float>?, takesRank: Bool, _ row: ImageRow
  ) {
    guard ck_first_nonfinite(maps, grid.stride) == grid.stride else {
      row.isFinite = 0
      return
    }
    compareHeads(maps, row)
    if let before { compareLayers(maps, before, row) }
    if let places = grid.places { attend(maps, places, row) }
    if takesRank { ranks(maps, row) }
  }

  /// Writes the values of heads, and before them their mean.
  private func write(_ statistic: AttentionStatistic, _ heads: [Double], _ row: ImageRow) {
    guard let place = places[statistic] else { return }
    for (head, value) in heads.enumerated() { row.values[place + 1 + head] = value }
    let known = heads.filter(\.isFinite)
    row.values[place] = known.isEmpty ? .nan : known.reduce(0, +) / Double(known.count)
  }

  /// The sum of products of two heads' maps, all windows one after the other.
  private func product(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>) -> Double {
    var sum = 0.0
    for window in 0..<grid.windows {
      let at = window * grid.heads * grid.mapCount
      sum += ck_dot(a + at, b + at, grid.mapCount)
    }
    return sum
  }

  private func compareHeads(_ maps: UnsafePointer<Float>, _ row: ImageRow) {
    guard grid.heads > 1 else { return }
    let count = grid.heads
    let maps = (0..<count).map { maps + $0 * grid.mapCount }
    let squares = maps.map { product($0, $0) }
    var (sum, alike, pairs) = (0.0, 0.0, 0.0)
    for first in 0..<count where squares[first] > 0 {
      for second in (first + 1)..<count where squares[second] > 0 {
        let cosine =
          product(maps[first], maps[second])
          / (squares[first].squareRoot() * squares[second].squareRoot())
        sum += cosine
        alike += cosine > threshold ? 1 : 0
        pairs += 1
      }
    }
    guard pairs > 0 else { return }
    if let place = places[.headSimilarity] { row.values[place] = sum / pairs }
    if let place = places[.similarHeads] { row.values[place] = alike / pairs }
  }

  private func compareLayers(
    _ maps: UnsafePointer<Float>, _ before: UnsafePointer<Float>, _ row: ImageRow
  ) {
    let cosines = (0..<grid.heads).map { head in
      let (a, b) = (maps + head * grid.mapCount, before + head * grid.mapCount)
      // Of zeros, 0 / 0: undefined.
      return product(a, b) / (product(a, a).squareRoot() * product(b, b).squareRoot())
    }
    write(.layerSimilarity, cosines, row)
  }

  /// What is added up over the rows of a map.
  private struct RowSums {
    var far = 0.0
    var entropy = 0.0
    /// The mean row times their number, over the places that are read.
    var column: [Double]
    var negative: Int32 = 0
    /// Of the way from query to key, in places: x, y, x², x y, y².
    var moments = [Double](repeating: 0, count: 5)
  }

  /// Adds the rows of one map; returns how many have any weight.
  private func add(
    _ map: UnsafePointer<Float>, _ places: AttentionGrid.Places, to sums: inout RowSums
  ) -> Int {
    func rows(_ map: UnsafePointer<Float>, _ rows: Int, _ columns: Int) -> Int {
      let count = ck_attention_rows(
        map, grid.keys, rows, columns, distances, &sums.far, &sums.entropy, &sums.column,
        &sums.negative)
      if let positions {
        ck_map_offsets(
          map, grid.keys, rows, columns, positions.queryRows, positions.queryColumns,
          positions.keyRows, positions.keyColumns, &sums.moments)
      }
      return count
    }
    switch places {
    case .patches(let patches):
      return rows(
        map + patches.prefix * grid.keys + patches.prefix, patches.count, patches.count)
    case .pooling(let patches):
      return rows(map + patches.prefix, grid.queries, patches.count)
    case .cells: return rows(map, grid.queries, grid.keys)
    case .taps(let taps):
      var geometry = taps.geometry
      let offsets = taps.offsets
      return ck_tap_rows(
        map, &geometry, distances, offsets.map { Double($0.down) },
        offsets.map { Double($0.across) }, &sums.far, &sums.entropy, &sums.column, &sums.moments,
        &sums.negative)
    }
  }

  /// Distance, entropy, mutual information and offsets among places. Entropies of a window come from one pass:
  /// information is the entropy of the mean row less the mean entropy of rows.
  private func attend(
    _ maps: UnsafePointer<Float>, _ places: AttentionGrid.Places, _ row: ImageRow
  ) {
    let count: Int
    switch places {
    case .patches(let patches), .pooling(let patches): count = patches.count
    case .cells: count = grid.keys
    case .taps(let taps): count = taps.count
    }
    var distance: [Double] = []
    var offsets: [HeadOffset] = []
    var entropy: [Double] = []
    var information: [Double] = []
    var negative: Int32 = 0
    for head in 0..<grid.heads {
      var (far, spread, queries) = (0.0, 0.0, 0)
      var (shared, informed) = (0.0, 0)
      var moments = [Double](repeating: 0, count: 5)
      for window in 0..<grid.windows {
        var sums = RowSums(column: [Double](repeating: 0, count: count))
        (sums.far, sums.moments, sums.negative) = (far, moments, negative)
        let rows = add(
          maps + (window * grid.heads + head) * grid.mapCount, places, to: &sums)
        (far, moments, negative) = (sums.far, sums.moments, sums.negative)
        spread += sums.entropy
        queries += rows
        guard rows > 1 else { continue }
        let marginal = ck_entropy(sums.column, count)
        guard marginal > 0 else { continue }
        let mutual = max(0, marginal - sums.entropy / Double(rows))
        shared += mutual / (log(Double(rows)) * marginal).squareRoot()
        informed += 1
      }
      distance.append(distances == nil || queries == 0 ? .nan : far / Double(queries))
      entropy.append(queries == 0 ? .nan : max(0, spread / Double(queries)))
      information.append(informed == 0 ? .nan : shared / Double(informed))
      offsets.append(HeadOffset(moments, rows: queries, step: step))
    }
    row.hasNegativeWeights = negative != 0 ? 1 : 0
    write(.distance, distance, row)
    write(.entropy, entropy, row)
    write(.mutualInformation, information, row)
    for statistic in AttentionStatistic.allCases.filter(\.isOffset) {
      write(statistic, offsets.map { $0[statistic] }, row)
    }
    if let place = self.places[.uniformEntropy] { row.values[place] = log(Double(grid.choices)) }
  }

  /// The mean over windows of each head's effective rank.
  private func ranks(_ maps: UnsafePointer<Float>, _ row: ImageRow) {
    let ranks = (0..<grid.heads).map { head -> Double in
      var (sum, known) = (0.0, 0)
      for window in 0..<grid.windows {
        let map = maps + (window * grid.heads + head) * grid.mapCount
        // A spectrum that LAPACK cannot find is undefined.
        let rank: Double?
        if case .taps(let taps) = grid.places {
          rank = try? taps.effectiveRank(map)
        } else {
          rank = try? effectiveRank(map, rows: grid.queries, columns: grid.keys)
        }
        guard let rank else { continue }
        sum += rank
        known += 1
      }
      return known == 0 ? .nan : sum / Double(known)
    }
    write(.effectiveRank, ranks, row)
  }
}
