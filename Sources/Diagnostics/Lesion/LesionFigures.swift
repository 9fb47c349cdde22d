import Reports

/// Accuracy and likelihood without each residual branch.
public struct LesionFigures {
  private let source: FigureSource

  /// The figure of the table `lesion`, if it is there.
  public init(_ source: FigureSource) { self.source = source }

  /// What is removed, as a row of the table has it.
  private struct Lesion {
    let row: Int
    /// The place of its branch among the residual branches of the network.
    let branch: Int
    let name: String
    let key: Int?
    let kind: String
    let stage: String
    let isHead: Bool
  }

  /// A difference with its interval, by row.
  private struct Change {
    let values: [Double?]
    let low: [Double?]
    let high: [Double?]

    init(_ table: any TableRows, _ value: String, _ ends: String) throws(ResultsError) {
      values = try table.numbers(value)
      (low, high) = (try table.numbers("\(ends)_lo"), try table.numbers("\(ends)_hi"))
    }
  }

  /// Bars over branches in the order of the pass, a row a model: accuracy left, likelihood right.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table(LesionStudy.name) else { return [] }
      let accuracy = try Change(table, "delta_acc_pp", "ci")
      let loss = try Change(table, "delta_nll", "nll_ci")
      let models = try table.rowsByModel()
      let panels = try models.map { model throws(ResultsError) -> [Figure.Panel] in
        let lesions = try lesions(table, model)
        guard lesions.contains(where: { accuracy.values[$0.row] != nil }) else { return [] }
        let own = models.count > 1 ? model.value : ""
        return [
          panel(
            model.value, own, Axis("Δ accuracy", unit: "pp", includesZero: true),
            lesions, accuracy),
          panel(
            model.value, own,
            Axis("Δ NLL", unit: "nats", includesZero: true), lesions, loss),
        ]
      }.flatMap(\.self)
      guard !panels.isEmpty else { return [] }
      let ways = table.has("by") ? try table.texts("by").filter { $0 != "none" } : []
      let what =
        ways.first == LesionStudy.Replacement.mean.rawValue
        ? "replaced by its mean over a minibatch" : "removed"
      return [
        Figure(
          name: "lesion", title: "Accuracy and likelihood without each residual branch",
          subtitle: "each branch \(what) in turn; \(try table.imageCount(of: "data")); bars: 95 % "
            + "intervals over the same images",
          summary:
            "How accuracy and negative log-likelihood change when one residual branch is left "
            + "out; self-attentions are shaded gray.",
          panels: panels, columns: 2, sharesX: false, sharesY: false)
      ]
    }
  }

  /// What is removed of one model, without the network as it is.
  private func lesions(
    _ table: any TableRows, _ model: RowGroup
  ) throws(ResultsError) -> [Lesion] {
    let (names, kinds) = (try table.texts("layer_name"), try table.texts("kind"))
    let (layers, heads) = (try table.numbers("layer_index"), try table.texts("head_index"))
    let stages = table.has("stage") ? try table.texts("stage") : nil
    let rows = model.rows.filter { layers[$0] != nil }
    let branches = RowGroup.of(rows, by: names)
    return branches.enumerated().flatMap { place, branch in
      branch.rows.map { row in
        Lesion(
          row: row, branch: source.layer(model.value, branch.value)?.branch ?? place,
          name: branch.value + (heads[row].isEmpty ? "" : "#\(heads[row])"),
          key: source.key(model.value, branch.value), kind: kinds[row],
          stage: stages?[row] ?? "", isHead: !heads[row].isEmpty)
      }
    }
  }

  private func panel(
    _ model: String, _ title: String, _ y: Axis, _ lesions: [Lesion], _ change: Change
  ) -> Figure.Panel {
    let branches = lesions.filter { !$0.isHead }
    var style = source.style(model)
    var marks: [Mark] = branches.filter { $0.kind == "msa" }.map {
      .shade(.attention((Double($0.branch) - 0.5)...(Double($0.branch) + 0.5)))
    }
    for (before, after) in zip(branches, branches.dropFirst()) where before.stage != after.stage {
      marks.append(
        .position(
          (Double(before.branch) + Double(after.branch)) / 2, name: "Stage end", dash: .dotted))
    }
    for lesion in branches {
      guard let value = change.values[lesion.row] else { continue }
      let at = Double(lesion.branch)
      marks.append(
        .bars(Bars(model, edges: [at - 0.4, at + 0.4], heights: [value], style: style)))
    }
    let points = branches.map { lesion in
      Point(
        Double(lesion.branch), change.values[lesion.row], low: change.low[lesion.row],
        high: change.high[lesion.row], label: lesion.name, key: lesion.key)
    }
    (style.width, style.markerSize) = (0, 4)
    marks.append(
      .series(Series(model, points, style: style, interval: .bars, inLegend: false)))
    // Heads stand side by side within the bar of their branch.
    style.opacity = 0.6
    let heads = Dictionary(grouping: lesions.filter(\.isHead), by: \.branch)
    for (branch, own) in heads.sorted(by: { $0.key < $1.key }) {
      let points = own.enumerated().map { place, lesion in
        Point(
          Double(branch) - 0.4 + 0.8 * (Double(place) + 0.5) / Double(own.count),
          change.values[lesion.row], label: lesion.name, key: lesion.key)
      }
      marks.append(
        .series(Series("\(model), heads", points, style: style, inLegend: false)))
    }
    let last = lesions.map(\.branch).max() ?? 0
    return Figure.Panel(
      title: title, x: Axis("Residual branch", range: -0.6...(Double(last) + 0.6)), y: y, marks)
  }
}
