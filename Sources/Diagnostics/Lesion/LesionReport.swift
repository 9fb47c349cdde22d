import Reports
import Tensors

/// The tables and the figure of lesions.
struct LesionReport {
  private let study: LesionStudy
  private let models: [EvaluatedModel]
  private let data: String

  init(_ study: LesionStudy, _ models: [EvaluatedModel], data: String) {
    (self.study, self.models, self.data) = (study, models, data)
  }

  var report: Report {
    let table = table
    let buildUp = study.ranksBuildUp ? BuildUpTable(study, models, data: data).table : nil
    return Report(
      tables: [table] + (buildUp.map { [$0] } ?? []), figures: figures,
      summary: buildUp
        ?? table.selecting([
          "model", "layer_name", "head_index", "n_images", "acc", "delta_acc_pp", "ci_lo", "ci_hi",
          "nll", "delta_nll", "cka_last", "status",
        ]))
  }

  /// The network as it is first, then each lesion.
  private var table: Table {
    var table = Table(
      "lesion",
      columns: LayerPosition.keyColumns + [
        .integer("stage"), .integer("head_index"), .text("by"),
        .integer("n_images"), .real("acc"), .real("delta_acc_pp"), .real("ci_lo"), .real("ci_hi"),
        .real("nll"), .real("delta_nll"), .real("nll_ci_lo"), .real("nll_ci_hi"),
        .real("cka_last"), .real("cka_lo"), .real("cka_hi"), .text("status"),
      ])
    for (model, lesions) in zip(models, study.lesions) {
      table.append([
        .text(model.label), .text(data), .empty, "none", .empty, .empty, .empty, .empty, .empty,
        .empty, "none",
        .integer(model.baseline.count), Cell(model.baseline.accuracy), .empty, .empty, .empty,
        Cell(model.baseline.loss), .empty, .empty, .empty, .empty, .empty, .empty,
        .text(model.status([model.baseline])),
      ])
      for (place, (lesion, scores)) in zip(lesions, model.variants).enumerated() {
        let measures = model.measures.indices.contains(place + 1) ? model.measures[place + 1] : []
        let similarity = measures.isEmpty ? nil : CentredGram.similarity(measures)
        let change = PairedDifference(scores)
        let (accuracy, loss) = (change?.accuracy, change?.loss)
        let keys = LayerPosition.keys(
          of: lesion.branch, at: lesion.position, in: model.label, on: data)
        table.append(
          keys + [
            Cell(lesion.branch.stage), Cell(lesion.head), .text(study.replacement.rawValue),
            .integer(scores.count),
            Cell(scores.accuracy), Cell(accuracy?.value), Cell(accuracy?.interval?.lowerBound),
            Cell(accuracy?.interval?.upperBound), Cell(scores.loss), Cell(loss?.value),
            Cell(loss?.interval?.lowerBound), Cell(loss?.interval?.upperBound),
            Cell(similarity?.value), Cell(similarity?.low), Cell(similarity?.high),
            .text(model.status([model.baseline, scores])),
          ])
      }
    }
    return table
  }

  // MARK: Figure

  /// Bars over branches in the order of the pass, a row a model: accuracy left, likelihood right.
  private var figures: [Figure] {
    let styles = Style.models(families: models.map(\.family))
    var panels: [Figure.Panel] = []
    for place in models.indices {
      let changes = models[place].variants.map { PairedDifference($0) }
      guard changes.contains(where: { $0 != nil }) else { continue }
      let own = models.count > 1 ? models[place].label + ": " : ""
      panels.append(
        panel(
          place, own + "accuracy", Axis("Δ accuracy", unit: "pp", includesZero: true),
          changes.map { $0?.accuracy }, styles[place]))
      panels.append(
        panel(
          place, own + "negative log-likelihood",
          Axis("Δ NLL", unit: "nats", includesZero: true), changes.map { $0?.loss }, styles[place]))
    }
    guard !panels.isEmpty else { return [] }
    let images = models.map(\.baseline.count).max() ?? 0
    let what = study.replacement == .zero ? "removed" : "replaced by its mean over a minibatch"
    return [
      Figure(
        name: "lesion", title: "Accuracy and likelihood without each residual branch",
        subtitle: "each branch \(what) in turn; n = \(images) image\(images == 1 ? "" : "s") of "
          + "\(data.displayable); bars: 95 % intervals over the same images",
        summary: "How accuracy and negative log-likelihood change when one residual branch is left "
          + "out; self-attentions are shaded gray.",
        panels: panels, columns: 2, sharesX: false, sharesY: false)
    ]
  }

  private func panel(
    _ model: Int, _ title: String, _ y: Axis, _ changes: [PairedDifference.Estimate?],
    _ style: Style
  ) -> Figure.Panel {
    let lesions = Array(zip(study.lesions[model], changes))
    let branches = lesions.filter { $0.0.head == nil }
    let last = study.lesions[model].map(\.index).max() ?? 0
    var marks: [Mark] = []
    for (lesion, _) in branches where lesion.branch.kind == .msa {
      marks.append(.shade(.attention((Double(lesion.index) - 0.5)...(Double(lesion.index) + 0.5))))
    }
    for (before, after) in zip(branches, branches.dropFirst())
    where before.0.branch.stage != after.0.branch.stage {
      marks.append(
        .position(Double(before.0.index + after.0.index) / 2, name: "Stage end", dash: .dotted))
    }
    for case (let lesion, let change?) in branches {
      let at = Double(lesion.index)
      marks.append(
        .bars(
          Bars(
            models[model].label, edges: [at - 0.4, at + 0.4], heights: [change.value],
            style: style)))
    }
    let interval = branches.map { lesion, change in
      Point(
        Double(lesion.index), change?.value, low: change?.interval?.lowerBound,
        high: change?.interval?.upperBound, label: lesion.name)
    }
    var style = style
    (style.width, style.markerSize) = (0, 4)
    marks.append(
      .series(
        Series(models[model].label, interval, style: style, interval: .bars, inLegend: false)))
    // Heads stand side by side within the bar of their branch.
    let heads = Dictionary(grouping: lesions.filter { $0.0.head != nil }) { $0.0.index }
    for (index, own) in heads.sorted(by: { $0.key < $1.key }) {
      let points = own.enumerated().map { place, one in
        Point(
          Double(index) - 0.4 + 0.8 * (Double(place) + 0.5) / Double(own.count), one.1?.value,
          label: one.0.name)
      }
      style.opacity = 0.6
      marks.append(
        .series(Series("\(models[model].label), heads", points, style: style, inLegend: false)))
    }
    return Figure.Panel(
      title: title,
      x: Axis("Residual branch", range: -0.6...(Double(last) + 0.6)), y: y, marks)
  }
}
