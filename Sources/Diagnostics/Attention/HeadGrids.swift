import Reports

extension AttentionFigures {
  /// A grid for each statistic of heads, a panel a model: a column a layer, a row a head. For pages that tell what
  /// is under the pointer.
  public var grids: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table("attention") else { return [] }
      let rows = try AttentionRows(table)
      let models = try DepthLine.all(table, of: source).map { AttentionLine($0, rows) }
      return AttentionStatistic.allCases.filter(\.isPerHead)
        .compactMap { grid($0, models, rows) }
    }
  }

  private func grid(
    _ statistic: AttentionStatistic, _ models: [AttentionLine], _ rows: AttentionRows
  ) -> Figure? {
    let own = models.map { model in
      model.rows(of: statistic, rows).filter { rows.heads[$0] != nil && rows.values[$0] != nil }
    }
    let values = own.joined().compactMap { rows.values[$0] }
    guard let low = values.min(), let high = values.max(), low < high else { return nil }
    let panels = zip(models, own).flatMap { model, known -> [Figure.Panel] in
      let known = Set(known)
      return model.series.compactMap { series in
        heatMap(model, series, known, rows).map {
          Figure.Panel(
            title: model.title(of: series), x: Axis("Layer"), y: Axis("Head"), [.heatMap($0)])
        }
      }
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "attention_heads_\(statistic.rawValue)", title: "\(statistic.title) by layer and head",
      subtitle: Self.imageCount(own.flatMap(\.self), rows),
      summary: "\(statistic.title) of every head: a column a layer, a row a head.", panels: panels,
      columns: min(3, panels.count), sharesX: false, sharesY: false,
      colorBar: Figure.ColorBar(
        statistic.title + (statistic.unit.map { " (\($0))" } ?? ""), .viridis, range: low...high))
  }

  /// - Parameter known: the rows of the statistic that have a value.
  private func heatMap(
    _ model: AttentionLine, _ series: String, _ known: Set<Int>, _ rows: AttentionRows
  ) -> HeatMap? {
    let layers = zip(model.line.layers, model.seriesOfLayers).compactMap { layer, own in
      own == series && layer.rows.contains(where: known.contains) ? layer : nil
    }
    let heads = Set(layers.flatMap(\.rows).filter(known.contains).compactMap { rows.heads[$0] })
      .sorted()
    guard !heads.isEmpty, heads.count * layers.count <= 1 << 14 else { return nil }
    let cells = heads.map { head in
      layers.map { layer in
        layer.rows.first { known.contains($0) && rows.heads[$0] == head }
          .flatMap { rows.values[$0] }
      }
    }
    let keys = source.keys(
      columns: layers.map { (model.label, $0.name) }, rows: heads.map { _ in (model.label, "") })
    return HeatMap(
      cells, columnNames: layers.map(\.name), rowNames: heads.map { "head \($0)" }, keys: keys)
  }
}
