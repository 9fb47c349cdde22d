import CKernels
import Glibc

/// The statistics of one image's attention maps in one layer.
struct MapMeasure: Sendable {
  let rankImages: Int
  private let grid: AttentionGrid
  private let threshold: Double
  /// Distances in pixels `[patches, patches]`; nil where pixels are not known.
  private let distances: [Float]?
  private let places: [AttentionStatistic: Int]

  init(_ layer: AttentionLayer, _ grid: AttentionGrid, _ settings: AttentionSettings) {
    self.grid = grid
    threshold = settings.threshold
    rankImages = settings.rankImages
    distances = grid.patches.flatMap { patches in
      layer.step.map { patches.distances(down: $0.down, across: $0.across) }
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
    if let patches = grid.patches { attend(maps, patches, row) }
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

  /// Distance, entropy and mutual information among patches. Entropies of a window come from one pass:
  /// information is the entropy of the mean row less the mean entropy of rows.
  private func attend(
    _ maps: UnsafePointer<Float>, _ patches: AttentionGrid.Patches, _ row: ImageRow
  ) {
    let count = patches.count
    var distance: [Double] = []
    var entropy: [Double] = []
    var information: [Double] = []
    var negative: Int32 = 0
    for head in 0..<grid.heads {
      var (far, spread, queries) = (0.0, 0.0, 0)
      var (shared, informed) = (0.0, 0)
      for window in 0..<grid.windows {
        let map =
          maps + (window * grid.heads + head) * grid.mapCount + patches.prefix * grid.keys
          + patches.prefix
        var column = [Double](repeating: 0, count: count)
        var own = 0.0
        let rows = ck_attention_rows(
          map, grid.keys, count, count, distances, &far, &own, &column, &negative)
        spread += own
        queries += rows
        guard rows > 1 else { continue }
        let marginal = ck_entropy(column, count)
        guard marginal > 0 else { continue }
        let mutual = max(0, marginal - own / Double(rows))
        shared += mutual / (log(Double(rows)) * marginal).squareRoot()
        informed += 1
      }
      distance.append(distances == nil || queries == 0 ? .nan : far / Double(queries))
      entropy.append(queries == 0 ? .nan : max(0, spread / Double(queries)))
      information.append(informed == 0 ? .nan : shared / Double(informed))
    }
    row.hasNegativeWeights = negative != 0 ? 1 : 0
    write(.distance, distance, row)
    write(.entropy, entropy, row)
    write(.mutualInformation, information, row)
    if let place = places[.uniformEntropy] { row.values[place] = log(Double(count)) }
  }

  /// The mean over windows of each head's effective rank.
  private func ranks(_ maps: UnsafePointer<Float>, _ row: ImageRow) {
    let ranks = (0..<grid.heads).map { head -> Double in
      var (sum, known) = (0.0, 0)
      for window in 0..<grid.windows {
        let map = maps + (window * grid.heads + head) * grid.mapCount
        // A spectrum that LAPACK cannot find is undefined.
        guard let rank = try? effectiveRank(map, rows: grid.queries, columns: grid.keys) else {
          continue
        }
        sum += rank
        known += 1
      }
      return known == 0 ? .nan : sum / Double(known)
    }
    write(.effectiveRank, ranks, row)
  }
}
