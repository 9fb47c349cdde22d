import Reports
import Tensors

/// Reduces the records of all minibatches to similarities with intervals, tables and figures.
struct CKAReport {
  private let settings: CKASettings
  private let plan: Plan
  private let starts: [Int]
  private let estimates: CKAEstimates

  init(_ records: [CKAAnalyzer.Record], settings: CKASettings, plan: Plan) {
    self.settings = settings
    self.plan = plan
    starts = plan.starts
    let layers = plan.subjects.flatMap(\.taps)
    let undefined = layers.indices.filter { settings.rows.columns(of: layers[$0]) == nil }
    estimates = CKAEstimates(
      records, layers: layers.count, undefined: Set(undefined), settings: settings)
  }

  var report: Report {
    get throws {
      let tables = [pairTable, curveTable]
      let source = FigureSource(
        tables, settings: settings.json, plan: plan)
      return Report(
        tables: tables, figures: try CKAFigures(source).all, summary: summary, notes: notes,
        networks: source.networks)
    }
  }

  // MARK: Tables

  /// Rows, kernel, images, batch size and number of minibatches: the same in every row.
  private var constants: [Cell] {
    [
      .text(settings.rows.rawValue), .text(settings.kernel.rawValue),
      .text(settings.estimator.rawValue),
      .integer(estimates.images), .integer(plan.batchSize), .integer(estimates.batches),
    ]
  }

  private var pairTable: Table {
    var table = Table(
      "cka",
      columns: [
        .text("model_a"), .text("model_b"), .text("data"),
        .integer("layer_a_index"), .text("layer_a_name"), .integer("block_a"),
        .integer("sequence_a"), .real("depth_a"),
        .integer("layer_b_index"), .text("layer_b_name"), .integer("block_b"),
        .integer("sequence_b"), .real("depth_b"), .text("rows"), .text("kernel"),
        .text("estimator"), .integer("n_images"),
        .integer("batch_size"), .integer("n_batches"), .real("cka"), .real("ci_lo"),
        .real("ci_hi"), .real("hsic_ab"), .real("hsic_aa"), .real("hsic_bb"), .text("status"),
      ])
    for a in plan.subjects.indices {
      for b in a..<plan.subjects.count {
        let (first, second) = (plan.subjects[a], plan.subjects[b])
        for i in first.taps.indices {
          for j in second.taps.indices {
            let e = estimates.pair(starts[a] + i, starts[b] + j)
            var row: [Cell] = [.text(first.label), .text(second.label), .text(plan.data)]
            for (subject, layer) in [(first, i), (second, j)] {
              let position = subject.positions[layer]
              row += [.integer(position.index), .text(subject.taps[layer].tap.name)]
              row += position.cells
            }
            row += constants
            row += [
              Cell(e.value), Cell(e.low), Cell(e.high), Cell(e.ab), Cell(e.aa), Cell(e.bb),
              .text(e.status.rawValue),
            ]
            table.append(row)
          }
        }
      }
    }
    return table
  }

  private var curveTable: Table {
    var table = Table(
      "cka_curve",
      columns: LayerPosition.keyColumns + [
        .text("rows"), .text("kernel"), .text("estimator"), .integer("n_images"),
        .integer("batch_size"), .integer("n_batches"), .real("s"), .real("s_ratio"),
        .real("s_minmax"), .real("ci_lo"), .real("ci_hi"), .real("ratio_ci_lo"),
        .real("ratio_ci_hi"), .text("status"),
      ])
    for (index, subject) in plan.subjects.enumerated() where !subject.taps.isEmpty {
      let curve = curve(index)
      for (block, point) in curve.enumerated() {
        table.append(subject.keys(block, on: plan.data) + constants + point.cells)
      }
    }
    return table
  }

  private struct CurvePoint {
    var estimate: CKAEstimates.Estimate
    var ratio: Double?
    var minmax: Double?
    var ratioLow: Double?
    var ratioHigh: Double?
    var status: CKAEstimates.Status

    var cells: [Cell] {
      [
        Cell(estimate.value), Cell(ratio), Cell(minmax), Cell(estimate.low), Cell(estimate.high),
        Cell(ratioLow), Cell(ratioHigh), .text(status.rawValue),
      ]
    }
  }

  /// Similarity of each block to the last (Zhou et al. 2021), raw and normalised by the first's.
  private func curve(_ index: Int) -> [CurvePoint] {
    let count = plan.subjects[index].taps.count
    let (first, last) = (starts[index], starts[index] + count - 1)
    let origin = estimates.pair(first, last)
    return (0..<count).map { block in
      let e = estimates.pair(first + block, last)
      var point = CurvePoint(estimate: e, status: e.status)
      guard let s = e.value, let s1 = origin.value else {
        if e.status == .ok { point.status = origin.status }
        return point
      }
      if s1 > 0 {
        point.ratio = s / s1
        (point.ratioLow, point.ratioHigh) = estimates.ratioInterval(first + block, first, last)
      } else {
        point.status = .nonpositiveSelf
      }
      if s1 < 1, count > 1 { point.minmax = (s - s1) / (1 - s1) }
      return point
    }
  }

  private var summary: Table {
    var table = Table(
      "cka",
      columns: [
        .text("model"), .integer("blocks"), .text("first"), .text("last"),
        .real("cka_first_last"), .real("ci_lo"), .real("ci_hi"), .integer("undefined"),
      ])
    for (index, subject) in plan.subjects.enumerated() {
      guard let firstTap = subject.taps.first, let lastTap = subject.taps.last else { continue }
      let (first, count) = (starts[index], subject.taps.count)
      let e = estimates.pair(first, first + count - 1)
      var undefined = 0
      for i in 0..<count {
        for j in 0..<count where estimates.value(first + i, first + j) == nil { undefined += 1 }
      }
      table.append([
        .text(subject.label), .integer(count), .text(firstTap.tap.name), .text(lastTap.tap.name),
        Cell(e.value), Cell(e.low), Cell(e.high), .integer(undefined),
      ])
    }
    return table
  }

  private var notes: [String] {
    var notes: [String] = []
    if estimates.tooSmall > 0 {
      notes.append(
        "\(estimates.tooSmall) minibatch(es) of fewer than \(settings.estimator.minimum.count) images "
          + "left out")
    }
    if settings.bootstrap > 0, estimates.batches == 1 {
      notes.append("one minibatch: no confidence intervals (they resample minibatches)")
    } else if settings.bootstrap > 0, estimates.batches < 8 {
      notes.append(
        "\(estimates.batches) minibatches: intervals are unreliable below 8 (take a smaller "
          + "`batchSize` or more images)")
    }
    for (index, subject) in plan.subjects.enumerated() {
      let without = subject.taps.filter { settings.rows.columns(of: $0) == nil }
      if let first = without.first {
        notes.append(
          "\(subject.label): no rows of the kind \(settings.rows.rawValue) in \(without.count) "
            + "layer(s), the first \(first.tap.name); their cells are empty")
      }
      let bad = subject.taps.indices.filter { estimates.nonfinite.contains(starts[index] + $0) }
      if let first = bad.first {
        notes.append(
          "\(subject.label): values that are not finite in \(bad.count) layer(s), the first "
            + "\(subject.taps[first].tap.name); their cells are empty")
      }
    }
    return notes
  }
}
