import Reports

/// One row a layer, with what each analysis says of it.
struct LayerSpine {
  /// A column: a title, and the values that a table has for layers.
  private struct Column {
    let title: String
    var values: [Int: Double] = [:]
  }

  let runs: [RunResults]
  let layers: LayerIndex

  /// The whole table; empty where no table is about layers.
  func write(into page: inout HTML) throws(ResultsError) {
    guard !layers.layers.isEmpty else { return }
    let columns = try columns
    page.markup(
      "<section id=\"layers\"><h2>Layers</h2><p class=\"lead\">Choose one to single it out in "
        + "every view; <kbd>←</kbd> and <kbd>→</kbd> go through the layers of a model, <kbd>Esc</kbd> lets "
        + "go.</p>\n")
    for run in runs {
      for model in run.models {
        let own = layers.layers.indices.filter {
          layers.layers[$0].run == run.number && layers.layers[$0].model == model.label
        }
        guard !own.isEmpty else { continue }
        page.markup("<details open class=\"model\"><summary>")
        page.markup(
          "<i class=\"swatch\" style=\"background:\(model.style.color.hex)\"></i>")
        page.element("b", model.label)
        let family = model.family.map { " · \($0)" } ?? ""
        let place = runs.count > 1 ? " · \(run.title)" : ""
        page.element("span", "\(family)\(place) · \(own.count) layers")
        page.markup("</summary>\n")
        let shown = columns.filter { column in own.contains { column.values[$0] != nil } }
        page.table(["layer", "kind", "depth"] + shown.map(\.title), class: "spine")
        let greatest = shown.map { column in
          own.compactMap { column.values[$0]?.magnitude }.max() ?? 0
        }
        for number in own {
          let layer = layers.layers[number]
          let cells: [HTML.Cell] =
            [.code(layer.name), .text(layer.kind ?? "–"), .number(layer.depth)]
            + zip(shown, greatest).map { column, greatest in
              let value = column.values[number]
              return .bar(value, share: greatest > 0 ? (value ?? 0).magnitude / greatest : 0)
            }
          page.row(cells, attributes: "data-layer=\"\(number)\" tabindex=\"0\"")
        }
        page.endTable()
        page.markup("</details>\n")
      }
    }
    page.markup("</section>\n")
  }

  private var columns: [Column] {
    get throws(ResultsError) {
      var columns: [Column] = []
      for measure in LayerMeasure.all {
        var column = Column(title: measure.title)
        for run in runs {
          guard let table = run.table(measure.table) else { continue }
          let (models, names) = (try table.models(), try table.texts(table.layerColumn))
          let values = try table.numbers(measure.value)
          for row in try measure.rows(table) {
            // Of a spectrum the last row of a layer, its highest frequency, stays.
            if let key = layers.number(run.number, models[row], names[row]), let value = values[row]
            {
              column.values[key] = value
            }
          }
        }
        if !column.values.isEmpty { columns.append(column) }
      }
      return columns
    }
  }
}
