import Reports

extension View {
  static let lesion = View(
    id: "lesion", title: "Lesions",
    explanation:
      "What the network loses without one residual branch: long bars are branches that it "
      + "needs. Small marks are heads. Gray strips are self-attentions.",
    tables: ["lesion"]
  ) { (run, layers) throws(ResultsError) in
    guard let table = run.table("lesion") else { return [] }
    let rows = try LesionRows(table)
    let images = imageCount(try table.numbers("n_images"))
    let panels = try ModelRows.of(table, in: run).flatMap { group -> [Figure.Panel] in
      let own = group.rows.filter { rows.indices[$0] != nil }
      guard own.contains(where: { rows.accuracy.values[$0] != nil }) else { return [] }
      let style = run.style(group.model)
      func key(_ row: Int) -> Int? { layers.number(run.number, group.model, rows.names[row]) }
      return [
        rows.panel(
          own, group.model, "accuracy", Axis("Δ accuracy", unit: "pp", includesZero: true),
          rows.accuracy, style, key),
        rows.panel(
          own, group.model, "likelihood", Axis("Δ NLL", unit: "nats", includesZero: true),
          rows.loss, style, key),
      ]
    }
    guard !panels.isEmpty else { return [] }
    return [
      Figure(
        name: "lesion", title: "Accuracy and likelihood without each residual branch",
        subtitle: "\(images); bars: 95 % intervals over the same images",
        summary: "How accuracy and negative log-likelihood change when one branch is left out.",
        panels: panels, columns: 2, sharesX: false, sharesY: false)
    ]
  }
}

/// The columns of `lesion.csv` that figures need.
private struct LesionRows {
  typealias Change = (values: [Double?], low: [Double?], high: [Double?])
  let names: [String]
  let kinds: [String]
  let indices: [Double?]
  let heads: [Double?]
  let accuracy: Change
  let loss: Change

  init(_ table: CSVTable) throws(ResultsError) {
    names = try table.texts("layer_name")
    kinds = try table.texts("kind")
    indices = try table.numbers("layer_index")
    heads = try table.numbers("head_index")
    accuracy = (
      try table.numbers("delta_acc_pp"), try table.numbers("ci_lo"), try table.numbers("ci_hi")
    )
    loss = (
      try table.numbers("delta_nll"), try table.numbers("nll_ci_lo"),
      try table.numbers("nll_ci_hi")
    )
  }

  /// Bars over branches in the order of the pass, heads within them.
  func panel(
    _ rows: [Int], _ model: String, _ what: String, _ y: Axis, _ change: Change, _ style: Style,
    _ key: (Int) -> Int?
  ) -> Figure.Panel {
    func place(_ row: Int) -> Double { indices[row] ?? 0 }
    let branches = rows.filter { heads[$0] == nil }
    var marks: [Mark] = branches.filter { kinds[$0] == "msa" }.map {
      .shade(.attention(place($0) - 0.5...place($0) + 0.5))
    }
    var own = style
    own.marker = nil
    for row in branches {
      guard let value = change.values[row] else { continue }
      marks.append(
        .bars(
          Bars(model, edges: [place(row) - 0.4, place(row) + 0.4], heights: [value], style: own)))
    }
    func series(_ rows: [Int], _ size: Double, _ label: (Int) -> String) -> Mark {
      var own = style
      (own.width, own.markerSize) = (0, size)
      return .series(
        Series(
          model,
          rows.map { row in
            Point(
              place(row) + shift(row, rows), change.values[row], low: change.low[row],
              high: change.high[row], label: label(row), key: key(row))
          }, style: own, interval: .bars, inLegend: false))
    }
    marks.append(series(branches, 5) { names[$0] })
    let ofHeads = rows.filter { heads[$0] != nil }
    if !ofHeads.isEmpty {
      var points = ofHeads.map { row in
        Point(
          place(row) + shift(row, ofHeads), change.values[row],
          label: "\(names[row]), head \(whole(heads[row] ?? 0))",
          key: key(row))
      }
      points.sort { $0.x < $1.x }
      var own = style
      (own.width, own.markerSize, own.opacity) = (0, 4, 0.6)
      marks.append(.series(Series("\(model), heads", points, style: own, inLegend: false)))
    }
    let last = rows.map(place).max() ?? 0
    return Figure.Panel(
      title: "\(model): \(what)",
      x: Axis("Residual branch", range: -0.6...max(0, last) + 0.6), y: y, marks)
  }

  /// Heads stand side by side within the bar of their branch.
  private func shift(_ row: Int, _ rows: [Int]) -> Double {
    guard let head = heads[row] else { return 0 }
    let count =
      (rows.filter { indices[$0] == indices[row] }.compactMap { heads[$0] }.max() ?? 0) + 1
    return -0.4 + 0.8 * (head + 0.5) / count
  }
}
