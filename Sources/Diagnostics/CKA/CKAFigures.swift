import Reports
import StrictJSON

/// The curve of similarity to the last block, and a heat map for each pair of models.
public struct CKAFigures {
  private let source: FigureSource

  /// Figures of the tables `cka_curve` and `cka`, as far as they are there.
  public init(_ source: FigureSource) { self.source = source }

  /// The curve first.
  public var all: [Figure] {
    get throws(ResultsError) { try [curve].compactMap(\.self) + maps }
  }

  private typealias Columns = (value: String, low: String?, high: String?, title: String)

  private var columns: Columns {
    let normalization = source.settings["normalize"]?.stringValue
      .flatMap(CKASettings.Normalization.init)
    return switch normalization ?? CKASettings().normalization {
    case .ratio:
      ("s_ratio", "ratio_ci_lo", "ratio_ci_hi", "CKA to last block / CKA of first to last")
    case .minmax: ("s_minmax", nil, nil, "CKA to last block, min-max normalized")
    case .none: ("s", "ci_lo", "ci_hi", "CKA to last block")
    }
  }

  /// Similarity of each block to the last, of models with more than one.
  private var curve: Figure? {
    get throws(ResultsError) {
      guard let table = source.table("cka_curve") else { return nil }
      let columns = columns
      let values = try table.numbers(columns.value)
      let low = try columns.low.map { column throws(ResultsError) in try table.numbers(column) }
      let high = try columns.high.map { column throws(ResultsError) in try table.numbers(column) }
      let lines = try DepthLine.all(table, of: source).filter { $0.layers.count > 1 }
      guard !lines.isEmpty else { return nil }
      let series = lines.map { line -> Mark in
        let points = line.layers.map { layer in
          Point(
            layer.depth, values[layer.rows[0]], low: low?[layer.rows[0]],
            high: high?[layer.rows[0]], label: layer.name, key: source.key(line.model, layer.name))
        }
        return .series(Series(line.model, points, style: source.style(line.model)))
      }
      return Figure(
        name: "cka_curve", title: "Feature evolution: similarity to the last block",
        subtitle: try subtitle(
          table, hasIntervals: low?.contains { $0 != nil } ?? false),
        summary: "How similar the features of each block are to those of the last block.",
        panels: [
          Figure.Panel(
            x: .depth, y: Axis(columns.title), DepthLine.stageMarks(of: lines, source) + series)
        ])
    }
  }

  /// - Parameter hasIntervals: whether the figure draws them.
  private func subtitle(
    _ table: any TableRows, hasIntervals: Bool
  ) throws(ResultsError) -> String {
    let scale = source.settings["rbf_scale"]?.doubleValue.map { " (scale \($0))" } ?? ""
    let kernel = try table.constant("kernel")
    return "\(try table.constant("estimator")) \(kernel == "rbf" ? "RBF\(scale)" : kernel) CKA, "
      + "rows: \(try table.constant("rows")), \(try table.imageCount()) in "
      + "\(try table.constant("n_batches")) × \(try table.constant("batch_size"))"
      + (hasIntervals ? ", 95 % bootstrap over minibatches" : "")
  }

  private var maps: [Figure] {
    get throws(ResultsError) {
      try LayerSimilarities.all(of: source).map { pair throws(ResultsError) in
        let (a, b) = (pair.a, pair.b)
        return Figure(
          name: "cka_\(source.slug(of: a))_\(source.slug(of: b))",
          title: a == b ? "CKA within \(a)" : "CKA: \(a) and \(b)",
          subtitle: try subtitle(pair.table, hasIntervals: false),
          summary: "Similarity of every layer of \(a) to every layer of \(b).",
          panels: [
            Figure.Panel(
              x: Axis("Layers of \(b)"), y: Axis("Layers of \(a)"), [.heatMap(pair.map)])
          ], colorBar: Figure.ColorBar("CKA", .magma, range: 0...1))
      }
    }
  }
}

/// The similarities of the layers of two models.
public struct LayerSimilarities {
  /// The model whose layers are rows.
  public let a: String
  /// The model whose layers are columns.
  public let b: String
  /// The values, with the stages of both.
  public let map: HeatMap
  fileprivate let table: any TableRows

  /// What the table `cka` holds, pair by pair of models.
  ///
  /// - Throws: `ResultsError` `.damaged` for a second value of one pair of layers.
  public static func all(of source: FigureSource) throws(ResultsError) -> [LayerSimilarities] {
    guard let table = source.table("cka") else { return [] }
    let (first, second) = (try table.models("model_a"), try table.models("model_b"))
    let names = (try table.texts("layer_a_name"), try table.texts("layer_b_name"))
    let values = try table.numbers("cka")
    var found: [LayerSimilarities] = []
    for a in RowGroup.of(Array(0..<table.rowCount), by: first) {
      for b in RowGroup.of(a.rows, by: second) {
        let down = RowGroup.of(b.rows, by: names.0).map(\.value)
        let across = RowGroup.of(b.rows, by: names.1).map(\.value)
        let places = (
          Dictionary(uniqueKeysWithValues: down.enumerated().map { ($1, $0) }),
          Dictionary(uniqueKeysWithValues: across.enumerated().map { ($1, $0) })
        )
        var cells = [[Double?]](
          repeating: Array(repeating: nil, count: across.count), count: down.count)
        var isSet = Set<Int>()
        for row in b.rows {
          guard let i = places.0[names.0[row]], let j = places.1[names.1[row]] else { continue }
          guard isSet.insert(i * across.count + j).inserted else {
            throw table.damage(row, "found a second value of one pair of layers")
          }
          cells[i][j] = values[row]
        }
        func stages(_ model: String, _ names: [String]) -> [HeatMap.Stage] {
          DepthLine.stageStarts(names.map { source.layer(model, $0)?.stage }).map {
            HeatMap.Stage(start: $0.start, "stage \($0.stage &+ 1)")
          }
        }
        let map = HeatMap(
          cells, columnNames: across, rowNames: down, columnStages: stages(b.value, across),
          rowStages: stages(a.value, down),
          keys: source.keys(
            columns: across.map { (b.value, $0) }, rows: down.map { (a.value, $0) }))
        found.append(LayerSimilarities(a: a.value, b: b.value, map: map, table: table))
      }
    }
    return found
  }
}
