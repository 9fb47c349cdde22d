import Reports
import Tensors

/// Reduces the records of all minibatches to curves with errors, tables and figures.
struct FourierReport {
  private let settings: FourierSettings
  private let plan: Plan
  private let images: Int
  /// `[subject][tap]`.
  private let curves: [[FourierCurve]]

  init(_ records: [FourierAnalyzer.Record], settings: FourierSettings, plan: Plan) {
    self.settings = settings
    self.plan = plan
    images = records.reduce(0) { $0 + $1.images }
    let sums = plan.byLayer(records) { record in record.taps.map { (record.images, $0) } }
    curves = zip(plan.subjects, sums).map { subject, sums in
      zip(subject.taps, sums).map { planned, sums in
        FourierCurve(sums, bins: MapGrid(planned).map { FourierBins($0, settings.variant) })
      }
    }
  }

  var report: Report {
    get throws {
      let table = table
      let source = FigureSource(
        [table], settings: settings.json, plan: plan)
      return Report(
        tables: [table], figures: try FourierFigures(source).all,
        summary: summary(try DepthLine.all(table, of: source)), notes: notes,
        networks: source.networks)
    }
  }

  // MARK: Tables

  private var table: Table {
    var table = Table(
      "fourier",
      columns: LayerPosition.keyColumns + [
        .integer("h"), .integer("w"), .integer("n_images"), .integer("n_maps"),
        .text("variant"), .integer("k"),
        .real("freq_true", note: "units of π radians a pixel"),
        .real("freq_plot", note: "units of π, stretched to end at 1"),
        .real("log_amp", note: "natural logarithm"), .real("delta_log_amp"),
        .real("delta_se", note: "over images"), .real("dead_fraction"), .text("status"),
      ])
    for (subject, curves) in zip(plan.subjects, curves) {
      for (index, curve) in curves.enumerated() {
        for (k, point) in curve.points.enumerated() {
          var row = subject.keys(index, on: plan.data)
          row += [
            Cell(curve.bins?.grid.height), Cell(curve.bins?.grid.width), .integer(curve.images),
            .integer(curve.maps), .text(settings.variant.rawValue), .integer(k),
          ]
          row += [
            Cell(curve.bins?.frequency(k)), Cell(curve.bins?.stretchedFrequency(k)),
            Cell(point.level), Cell(point.delta), Cell(point.error), Cell(curve.deadFraction),
            .text(point.status.rawValue),
          ]
          table.append(row)
        }
      }
    }
    return table
  }

  private func summary(_ lines: [DepthLine]) -> Table {
    var table = Table(
      "fourier",
      columns: [
        .text("model"), .integer("layers"), .real("first"), .real("last"), .real("msa_step"),
        .real("other_step"), .integer("undefined"),
      ])
    for (line, curves) in zip(lines, curves) {
      let highest = curves.map { $0.last?.delta }
      table.append([
        .text(line.model), .integer(curves.count), Cell(highest.first ?? nil),
        Cell(highest.last ?? nil), Cell(line.meanChange(over: .attention, of: highest)),
        Cell(line.meanChange(over: .other, of: highest)),
        .integer(highest.count { $0 == nil }),
      ])
    }
    return table
  }

  private var notes: [String] {
    var notes = [
      "first, last: Δ log amplitude at the highest frequency; msa_step, other_step: its mean change "
        + "over self-attention and over other steps"
    ]
    if images == 1 { notes.append("one image: no standard errors (they are over images)") }
    for (subject, curves) in zip(plan.subjects, curves) {
      if let note = subject.noteOnUnknownLayouts { notes.append(note) }
      func note(_ matches: (FourierCurve) -> Bool, _ what: String) {
        let indices = curves.indices.filter {
          matches(curves[$0]) && subject.taps[$0].tap.layout != .unknown
        }
        guard let first = indices.first else { return }
        notes.append(
          "\(subject.label): \(what) in \(indices.count) layer(s), the first "
            + "\(subject.taps[first].tap.name)")
      }
      note({ $0.status == .nonfinite }, "values that are not finite")
      note({ $0.status == .undefinedGrid }, "values that are no grid of the stated size")
      note({ $0.status == .degenerate }, "no power")
      note({ $0.bins.map { $0.period < 7 } ?? false }, "maps smaller than 7 × 7 (few frequencies)")
      note({ ($0.deadFraction ?? 0) > 0.05 }, "more than 5 % dead maps, which flatten the curve,")
    }
    return notes
  }
}
