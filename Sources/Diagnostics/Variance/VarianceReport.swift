import Reports
import Tensors

/// Reduces the records of all minibatches to estimates with errors and a table.
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
    let sums = plan.byLayer(records) { record in record.taps.map { (record.images, $0) } }
    estimates = zip(plan.subjects, sums).map { subject, sums in
      zip(subject.taps, sums).map { planned, sums in
        VarianceEstimate(sums, grid: MapGrid(planned), variant: settings.variant)
      }
    }
  }

  var report: Report {
    get throws {
      let table = table
      let source = FigureSource(
        [table], settings: settings.json, plan: plan)
      return Report(
        tables: [table], figures: try VarianceFigures(source).all,
        summary: summary(try DepthLine.all(table, of: source)), notes: notes,
        networks: source.networks)
    }
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

  private func summary(_ lines: [DepthLine]) -> Table {
    var table = Table(
      "variance",
      columns: [
        .text("model"), .integer("layers"), .real("first"), .real("last"), .real("msa_step"),
        .real("other_step"), .integer("undefined"),
      ])
    for (line, estimates) in zip(lines, estimates) {
      let values = estimates.map(\.value)
      table.append([
        .text(line.model), .integer(values.count), Cell(values.first ?? nil),
        Cell(values.last ?? nil), Cell(line.meanChange(over: .attention, of: values)),
        Cell(line.meanChange(over: .other, of: values)), .integer(values.count { $0 == nil }),
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
}
