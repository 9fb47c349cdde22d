import Reports
import Tensors

/// Reduces the records of all minibatches to estimates with errors, a table and a figure.
struct VarianceReport {
  private let settings: VarianceSettings
  private let plan: Plan
  private let images: Int
  private let batches: Int
  /// `[subject][tap]`.
  private let estimates: [[VarianceEstimate]]

  init(_ records: [VarianceAnalyzer.Record], settings: VarianceSettings, plan: Plan) {
    self.settings = settings
    self.plan = plan
    images = records.reduce(0) { $0 + $1.images }
    batches = records.count
    let starts = plan.starts
    estimates = plan.subjects.enumerated().map { index, subject in
      subject.taps.enumerated().map { tap, planned in
        let layer = starts[index] + tap
        return VarianceEstimate(
          records.compactMap {
            $0.taps.indices.contains(layer) ? ($0.images, $0.taps[layer]) : nil
          }, grid: MapGrid(planned), variant: settings.variant)
      }
    }
  }

  var report: Report {
    Report(
      tables: [table], figures: figure.map { [$0] } ?? [], summary: summary, notes: notes)
  }

  // MARK: Tables

  private var table: Table {
    var table = Table(
      "variance",
      columns: LayerPosition.keyColumns + [
        .text("variant"), .integer("n_images"), .integer("n_maps"),
        .real("value"), .real("se"), .text("status"),
      ])
    for (subject, estimates) in zip(plan.subjects, estimates) {
      for (index, estimate) in estimates.enumerated() {
        let planned = subject.taps[index]
        let channels = MapGrid(planned)?.channels ?? 0
        table.append(
          subject.keys(index, on: plan.data) + [
            .text(settings.variant.rawValue), .integer(images), .integer(images * channels),
            Cell(estimate.value), Cell(estimate.error), .text(estimate.status.rawValue),
          ])
      }
    }
    return table
  }

  private var summary: Table {
    var table = Table(
      "variance",
      columns: [
        .text("model"), .integer("layers"), .real("first"), .real("last"), .real("msa_step"),
        .real("other_step"), .integer("undefined"),
      ])
    for (subject, estimates) in zip(plan.subjects, estimates) {
      let values = estimates.map(\.value)
      table.append([
        .text(subject.label), .integer(values.count), Cell(values.first ?? nil),
        Cell(values.last ?? nil), Cell(subject.meanChange(over: .attention, of: values)),
        Cell(subject.meanChange(over: .other, of: values)), .integer(values.count { $0 == nil }),
      ])
    }
    return table
  }

  private var notes: [String] {
    var notes = [
      "msa_step, other_step: the mean change over self-attention and over other steps"
    ]
    if settings.variant == .sample {
      notes.append("variance within minibatches; standard errors are over \(batches) minibatches")
    } else if images == 1 {
      notes.append("one image: no standard errors (they are over images)")
    }
    for (subject, estimates) in zip(plan.subjects, estimates) {
      if let note = subject.noteOnUnknownLayouts { notes.append(note) }
      func note(_ status: VarianceEstimate.Status, _ what: String) {
        let indices = estimates.indices.filter {
          estimates[$0].status == status && subject.taps[$0].tap.layout != .unknown
        }
        guard let first = indices.first else { return }
        notes.append(
          "\(subject.label): \(what) in \(indices.count) layer(s), the first "
            + "\(subject.taps[first].tap.name); their cells are empty")
      }
      note(.nonfinite, "values that are not finite")
      note(.undefinedGrid, "values that are no grid of the stated size")
      note(.degenerate, "nothing to take a variance of")
    }
    return notes
  }

  // MARK: Figure

  private var subtitle: String {
    let what =
      switch settings.variant {
      case .spatial: "over the places of a map, mean over channels"
      case .sample: "over the images of a minibatch, mean over places and channels"
      case .normalised: "over the places of a map, relative to the mean square"
      }
    let over = settings.variant == .sample ? "minibatches" : "images"
    let hasBars = estimates.contains { $0.contains { $0.error != nil } }
    return "n = \(images) image\(images == 1 ? "" : "s"); \(what)"
      + (hasBars ? "; bars: 95 % intervals over \(over)" : "")
  }

  /// One panel for subjects whose steps are alike; otherwise a panel each, shaded by its own steps and
  /// with a scale of its own, since the sizes of features of different architectures have nothing
  /// to do with each other.
  private var figure: Figure? {
    let styles = Style.models(families: plan.subjects.map(\.family))
    let title =
      settings.variant == .normalised ? "Variance / mean square" : "Feature map variance"
    let groups = plan.panels
    let panels = groups.compactMap { group -> Figure.Panel? in
      guard let first = group.first,
        group.contains(where: { estimates[$0].contains { $0.value != nil } })
      else { return nil }
      let series = group.map { index -> Mark in
        let subject = plan.subjects[index]
        let points = estimates[index].enumerated().map { tap, estimate -> Point in
          Point(
            subject.depth(tap), estimate.value, low: estimate.interval?.low,
            high: estimate.interval?.high, label: subject.taps[tap].tap.name)
        }
        return .series(Series(subject.label, points, style: styles[index], interval: .bars))
      }
      return Figure.Panel(
        title: groups.count > 1 ? plan.subjects[first].label : "", x: .depth,
        y: Axis(title, includesZero: true),
        plan.subjects[first].shades + plan.stageMarks(of: group, styles: styles) + series)
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "variance", title: "Feature map variance over depth", subtitle: subtitle,
      summary: "How much feature maps vary in each layer; steps into self-attention are shaded "
        + "gray, subsampling blue.",
      panels: panels, sharesY: false)
  }
}
