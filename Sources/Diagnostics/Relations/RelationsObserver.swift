import CKernels
import Tensors

/// Measures each image's connection weights as they pass.
final class RelationsObserver: BatchObserver {
  private let settings: RelationsSettings
  private let layers: [[RelationsLayer?]]
  private let starts: [Int]
  private var record: [RelationsAnalyzer.Record.Layer]
  private var images = 0

  init(_ settings: RelationsSettings, plan: Plan) {
    self.settings = settings
    layers = plan.subjects.map { $0.taps.map(RelationsLayer.init) }
    starts = plan.starts
    record = layers.flatMap { $0.map { _ in RelationsAnalyzer.Record.Layer() } }
  }

  func observe(subject: Int, tap: Int, value: Tensor) {
    images = value.shape[0]
    guard let layer = layers[subject][tap] else { return }
    record[starts[subject] + tap] = Self.record(value, layer, rankImages: settings.rankImages)
  }

  func finish() -> RelationsAnalyzer.Record {
    RelationsAnalyzer.Record(images: images, layers: record)
  }

  private static func record(
    _ value: Tensor, _ layer: RelationsLayer, rankImages: Int
  ) -> RelationsAnalyzer.Record.Layer {
    let (images, stride) = (value.shape[0], layer.grid.stride)
    var rows = [ImageRelations](repeating: ImageRelations(), count: images)
    var isFinite = true
    value.withValues { buffer in
      guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
      precondition(buffer.count == images * stride, "\(value.shape) is not of the planned shape")
      isFinite = ck_first_nonfinite(base, buffer.count) == buffer.count
      guard isFinite else { return }
      let weights = DisjointWrites(UnsafeMutablePointer(mutating: base))
      rows.withUnsafeMutableBufferPointer { rows in
        guard let first = rows.baseAddress else { return }
        let results = DisjointWrites(first)
        Threads.forEach(images) { image in
          results.pointer[image] = ImageRelations(
            UnsafePointer(weights + image * stride), layer, takesRank: image < rankImages)
        }
      }
      let deviations = deviations(weights, layer, images: images)
      let energy = rows.reduce(0) { $0 + $1.squares } / Double(images)
      for image in rows.indices where images > 1 && energy > 0 {
        // The variance is that of a sample: of two images it is not half of what it is of many.
        rows[image].images =
          deviations[image] * Double(images) / Double(images - 1) / energy
      }
    }
    guard isFinite else { return RelationsAnalyzer.Record.Layer(isFinite: false) }
    var moments = RelationMeasure.allCases.map { _ in AttentionMoments() }
    for (image, row) in rows.enumerated() {
      for measure in RelationMeasure.allCases {
        if measure == .rank, image >= rankImages { continue }
        moments[measure.rawValue].add(row[measure])
      }
    }
    return RelationsAnalyzer.Record.Layer(moments: moments)
  }

  /// The sum of squared deviations of each image's weights from the mean over images: a part for each map, added up
  /// in their order.
  private static func deviations(
    _ weights: DisjointWrites<Float>, _ layer: RelationsLayer, images: Int
  ) -> [Double] {
    guard images > 1 else { return [0] }
    let (grid, part) = (layer.grid, layer.part)
    let maps = grid.windows * grid.heads
    var parts = [Double](repeating: 0, count: maps * images)
    parts.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let parts = DisjointWrites(base)
      Threads.forEach(maps) { map in
        let first = weights + map * grid.mapCount + part.first
        let isWhole = part.columns == grid.keys
        for row in 0..<(isWhole ? 1 : part.rows) {
          ck_image_deviations(
            first + row * grid.keys, grid.stride, images,
            isWhole ? part.rows * part.columns : part.columns, parts + map * images)
        }
      }
    }
    return (0..<images).map { image in
      (0..<maps).reduce(0) { $0 + parts[$1 * images + image] }
    }
  }
}

/// The measures of one image's weights; nil for what is not defined.
private struct ImageRelations {
  private(set) var outside: [Double?] = [nil, nil, nil]
  var images: Double?
  private(set) var places: Double?
  private(set) var heads: Double?
  private(set) var rank: Double?
  /// The sum of squared weights.
  private(set) var squares = 0.0

  /// Nothing yet.
  init() {}

  subscript(_ measure: RelationMeasure) -> Double? {
    switch measure {
    case .outside3: outside[0]
    case .outside5: outside[1]
    case .outside7: outside[2]
    case .images: images
    case .places: places
    case .heads: heads
    case .rank: rank
    }
  }

  /// - Parameters:
  ///   - weights: `[windows, heads, queries, keys]`, finite.
  init(_ weights: UnsafePointer<Float>, _ layer: RelationsLayer, takesRank: Bool) {
    let (grid, part) = (layer.grid, layer.part)
    var (explained, all) = (0.0, 0.0)
    var far = [0.0, 0.0, 0.0]
    for head in 0..<grid.heads {
      var sums = [Double](repeating: 0, count: layer.counts.count)
      var magnitudes = sums
      for window in 0..<grid.windows {
        ck_class_sums(
          weights + (window * grid.heads + head) * grid.mapCount + part.first, grid.keys, part.rows,
          part.columns, layer.classes, layer.classStep, &sums, &magnitudes, &squares)
      }
      for (way, count) in layer.counts.enumerated() where count > 0 {
        explained += sums[way] * sums[way] / Double(count * grid.windows)
        all += magnitudes[way]
        for (index, side) in [3.0, 5.0, 7.0].enumerated() where layer.reach[way] > side / 2 {
          far[index] += magnitudes[way]
        }
      }
    }
    guard all > 0, squares > 0 else { return }
    if grid.hasQueryPlaces {
      outside = far.map { $0 / all }
      let hasOnePlace = grid.windows == 1 && layer.counts.allSatisfy { $0 <= 1 }
      places = hasOnePlace ? 0 : max(0, 1 - explained / squares)
    }
    if !layer.isDense {
      heads = grid.heads == 1 ? 0 : max(0, 1 - joined(weights, layer) / squares)
      if takesRank { rank = layer.effectiveRank(weights) }
    }
  }

  /// The sum of squares of what all heads have in common, as often as there are heads.
  private func joined(_ weights: UnsafePointer<Float>, _ layer: RelationsLayer) -> Double {
    let (grid, part) = (layer.grid, layer.part)
    var scratch = [Double](repeating: 0, count: part.columns)
    return (0..<grid.windows).reduce(0) { total, window in
      total
        + ck_head_sums(
          weights + window * grid.heads * grid.mapCount + part.first, grid.mapCount, grid.heads,
          grid.keys, part.rows, part.columns, &scratch) / Double(grid.heads)
    }
  }
}
