import Reports

extension View {
  static let attention = View(
    id: "attention", title: "Attention",
    explanation:
      "What the attention maps of heads are like: how far they look, how evenly, how much "
      + "that depends on the query. Each grid has a cell a layer and head.",
    tables: ["attention"]
  ) { (run, layers) throws(ResultsError) in
    try AttentionGrids(run: run, layers: layers).all
  }
}

/// A figure over depth and a grid of heads for each statistic.
struct AttentionGrids {
  let run: RunResults
  let layers: LayerIndex

  /// What readers call the statistics; others stand under the names that the table gives them.
  private static let titles: [String: (title: String, unit: String?)] = [
    "token_similarity": ("Cosine of tokens", nil), "head_similarity": ("Cosine of heads", nil),
    "similar_heads": ("Share of similar heads", nil),
    "layer_similarity": ("Cosine with the layer before", nil),
    "distance": ("Attention distance", "px"), "entropy": ("Entropy", "nats"),
    "nmi": ("Normalized mutual information", nil), "effective_rank": ("Effective rank", nil),
  ]

  private struct Rows {
    let models: [String]
    let names: [String]
    /// Which of several maps of an attention: the last part of the name, unless that is a number.
    let kinds: [String]
    let depths: [Double?]
    let heads: [Double?]
    let statistics: [String]
    let values: [Double?]
    let errors: [Double?]

    init(_ table: CSVTable, _ run: RunResults) throws(ResultsError) {
      models = try run.models(table)
      names = try table.texts("layer_name")
      kinds = names.map { name in
        let end = name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? name[...]
        return end.allSatisfy(\.isNumber) ? "" : String(end)
      }
      depths = try table.numbers("depth")
      heads = try table.numbers(table.headColumn)
      statistics = try table.texts("statistic")
      values = try table.numbers("value")
      errors = try table.numbers("se")
    }
  }

  var all: [Figure] {
    get throws(ResultsError) {
      guard let table = run.table("attention") else { return [] }
      let rows = try Rows(table, run)
      let images = imageCount(try table.numbers("n_images"))
      let statistics = ModelRows.groups(
        table.rows.indices.filter {
          rows.values[$0] != nil && rows.statistics[$0] != "uniform_entropy"
        }, by: rows.statistics)
      return statistics.flatMap { statistic, own -> [Figure] in
        let known = Self.titles[statistic] ?? (statistic, nil)
        let axis = Axis(known.title, unit: known.unit, includesZero: true)
        let words = (name: statistic, title: known.title, images: images)
        return [depth(rows, own, axis, words), grid(rows, own, axis, words)].compactMap(\.self)
      }
    }
  }

  private func key(_ rows: Rows, _ row: Int) -> Int? {
    layers.number(run.number, rows.models[row], rows.names[row])
  }

  /// A line through the layers of each kind of map (`attn_map_raw`, `attn_map`) of each model.
  private func depth(
    _ rows: Rows, _ own: [Int], _ axis: Axis,
    _ words: (name: String, title: String, images: String)
  ) -> Figure? {
    let layerwise = own.filter { rows.heads[$0] == nil }
    guard !layerwise.isEmpty else { return nil }
    let series = ModelRows.groups(layerwise, by: rows.models).flatMap { model, mine -> [Series] in
      let kinds = ModelRows.groups(mine, by: rows.kinds)
      return kinds.enumerated().map { place, kind in
        var style = run.style(model)
        if place < kinds.count - 1 {
          style.isHollow = true
          style.dash = style.dash == .dotted ? .dashed : .dotted
        }
        let points = kind.rows.map { row in
          Point(
            rows.depths[row] ?? 0, rows.values[row], error: rows.errors[row],
            label: rows.names[row], key: key(rows, row))
        }
        return Series(
          kinds.count > 1 ? "\(model), \(kind.value)" : model, points, style: style, interval: .bars
        )
      }
    }
    return Figure(
      name: "attention_\(words.name)", title: "\(words.title) over depth",
      subtitle: "\(words.images); mean over heads; bars: 95 % intervals over images",
      summary: "\(words.title) of the attention of each layer.",
      panels: [Figure.Panel(x: .depth, y: axis, series.map(Mark.series))], panelSize: (380, 230))
  }

  /// A cell a layer and head, a panel a model.
  private func grid(
    _ rows: Rows, _ own: [Int], _ axis: Axis,
    _ words: (name: String, title: String, images: String)
  ) -> Figure? {
    let ofHeads = own.filter { rows.heads[$0] != nil }
    let values = ofHeads.compactMap { rows.values[$0] }
    guard let low = values.min(), let high = values.max(), low < high else { return nil }
    let panels = ModelRows.groups(ofHeads, by: rows.models).flatMap {
      model, mine -> [Figure.Panel] in
      let kinds = ModelRows.groups(mine, by: rows.kinds)
      return kinds.compactMap { kind, cells in
        heatMap(rows, cells).map { map in
          Figure.Panel(
            title: kinds.count > 1 ? "\(model), \(kind)" : model, x: Axis("Layer"), y: Axis("Head"),
            [.heatMap(map)])
        }
      }
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "attention_heads_\(words.name)", title: "\(words.title) by layer and head",
      subtitle: words.images,
      summary: "\(words.title) of every head: a column a layer, a row a head.", panels: panels,
      columns: min(3, panels.count), sharesX: false, sharesY: false,
      colorBar: Figure.ColorBar(
        axis.title + (axis.unit.map { " (\($0))" } ?? ""), .viridis, range: low...high))
  }

  private func heatMap(_ rows: Rows, _ own: [Int]) -> HeatMap? {
    let names = ModelRows.groups(own, by: rows.names)
    let heads = Set(own.compactMap { rows.heads[$0] }).sorted()
    guard heads.count * names.count <= 1 << 14 else { return nil }
    let cells = heads.map { head in
      names.map { _, layer in
        layer.first { rows.heads[$0] == head }.flatMap { rows.values[$0] }
      }
    }
    let numbers = names.map { key(rows, $0.rows[0]) ?? -1 }
    return HeatMap(
      cells, columnNames: names.map(\.value), rowNames: heads.map { "head \(whole($0))" },
      keys: .init(columns: numbers, rows: heads.map { _ in -1 }))
  }
}
