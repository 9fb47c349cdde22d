import Reports
import Testing

@testable import Diagnostics

/// What records and tables say of spectra that are known.
@Suite struct HessianRecordTests {
  private func record(
    _ matrix: some SymmetricOperator, batch: Int? = 0,
    _ change: (inout HessianSettings) -> Void = { _ in }
  ) throws -> HessianRecord {
    var settings = HessianSettings()
    change(&settings)
    return try HessianRecord(
      solving: matrix, settings: settings, batch: batch, images: 16, loss: 0.5, threads: 1,
      progress: {})
  }

  private func report(
    _ records: [HessianRecord], _ settings: HessianSettings = HessianSettings()
  ) throws -> Report {
    try HessianReport(
      [
        .init(
          label: "m", family: "vit", checkpoint: "m.pth", epoch: 3, records: records)
      ], settings: settings, loss: "cross_entropy", batchSize: 16)()
  }

  /// Which of two values of one magnitude comes first is open, and said to be.
  @Test(arguments: HessianSettings.Solver.allCases)
  func oppositeValuesAreFlagged(_ solver: HessianSettings.Solver) throws {
    let found = try record(Dense.rotated([10, -10, 1])) {
      $0.solver = solver
      ($0.top, $0.steps) = (2, 3)
    }
    let top = found.eigenvalues.filter { $0.which == "mag" }
    #expect(top.count == 2)
    for value in top {
      // The power method may also not have converged, and then says so.
      #expect(value.status == "tied" || (solver == .power && value.status == "not_converged"))
      if value.status == "tied" { #expect(isClose(abs(value.value), 10, 1e-3)) }
    }
    if solver == .lanczos {
      #expect(isClose(found.eigenvalues.first { $0.which == "max" }?.value ?? 0, 10, 1e-6))
      #expect(isClose(found.eigenvalues.first { $0.which == "min" }?.value ?? 0, -10, 1e-6))
      let notes = try report([found]).notes
      #expect(notes.contains { $0.contains("2 values have a counterpart of the other sign") })
    }
  }

  @Test func nearTiesKeepTheirSigns() throws {
    let matrix = Diagonal.bulk([10, -9.95, 5], 5000, -0.5, 0.5)
    let found = try record(matrix) { $0.top = 3 }
    #expect(areClose(found.eigenvalues.map(\.value), [10, -9.95, 5, 10, -9.95], 1e-6))
    #expect(found.eigenvalues.map(\.status) == ["ok", "ok", "ok", "ok", "ok"])
    // PyHessian's rule stops at -9.1 here, for a wrong sign; a value may do so only with a flag.
    let power = try record(matrix) { ($0.solver, $0.top) = (.power, 3) }
    for value in power.eigenvalues where value.status == "ok" {
      #expect([10, -9.95, 5].contains { isClose(value.value, $0, 1e-2) })
    }
  }

  @Test func summaryIsThatOfTheValues() throws {
    let settings = HessianSettings()
    let spectra: [[Double]] = [[9, -6, 5, 4, 3, 0.1], [7, 6, 5, -4, 3, 0.1]]
    let records = try spectra.enumerated().map { batch, values in
      try record(Diagonal(entries: values), batch: batch) { ($0.steps, $0.traceProbes) = (6, 2) }
    }
    let result = try report(records, settings)
    let summary = result.tables[1]
    func real(_ column: String) -> Double? {
      if case .real(let value)? = summary.cells(column)?.first { value } else { nil }
    }
    // Of the ten largest by magnitude two are negative.
    #expect(summary.cells("n_values") == [.integer(10)])
    #expect(isClose(real("nep") ?? 0, 0.2))
    #expect(isClose(real("ape") ?? 0, (9 + 5 + 4 + 3 + 7 + 6 + 5 + 3) / 8.0, 1e-6))
    #expect(isClose(real("ane") ?? 0, -5, 1e-6))
    #expect(isClose(real("lambda_max_mean") ?? 0, 8, 1e-6))
    #expect(isClose(real("lambda_min_mean") ?? 0, -5, 1e-6))
    // Rademacher probes give the trace of a diagonal matrix exactly.
    #expect(isClose(real("trace") ?? 0, (15.1 + 17.1) / 2))
    #expect(isClose(real("trace_se") ?? 0, 1))
    // Wilson's interval for 2 of 10.
    #expect(isClose(real("nep_ci_lo") ?? 0, 0.0566822, 1e-6))
    #expect(isClose(real("nep_ci_hi") ?? 0, 0.5098375, 1e-6))
    #expect(result.tables[0].cells("epoch")?.allSatisfy { $0 == .integer(3) } == true)
    // The figure has a panel for each sign, and both share their height.
    #expect(result.figures.count == 1)
    #expect(result.figures.first?.panels.map(\.title) == ["Negative", "Positive"])
    #expect(result.figures.first?.sharesY == true)
  }

  /// The smooth density and the histogram of both sides cover the sample once.
  @Test func densitiesHaveTheWeightOfTheirSide() throws {
    let records = try (0..<6).map { batch in
      let shift = 0.1 * Double(batch)
      return try record(Diagonal(entries: [20 + shift, 12, -9 - shift, 7, -5]), batch: batch) {
        $0.steps = 5
      }
    }
    let table = try report(records).tables[2]
    var weight: [String: Double] = [:]
    var last: [String: Double] = [:]
    for row in table.rows {
      guard case .text(let source) = row[2], case .text(let side) = row[3],
        case .real(let x) = row[4], case .real(let density) = row[5],
        case .real(let width) = row[6]
      else { continue }
      let key = "\(source) \(side)"
      if source == "hist" {
        weight[key, default: 0] += density * width
      } else {
        weight[key, default: 0] += density * (x - (last[key] ?? x))
        last[key] = x
      }
    }
    #expect(isClose(weight["hist neg"] ?? 0, 0.4))
    #expect(isClose(weight["hist pos"] ?? 0, 0.6))
    // But for what the Gaussians carry across 0.
    #expect(abs((weight["kde neg"] ?? 0) - 0.4) < 0.02)
    #expect(abs((weight["kde pos"] ?? 0) - 0.6) < 0.02)
  }

  @Test func whatCouldNotBeSolvedLeavesNoNumbers() throws {
    let bad = HessianRecord(
      undefined: "nan_input", batch: 1, images: 16, loss: .nan, note: "the loss is not finite")
    let result = try report([bad])
    #expect(result.figures.isEmpty)
    #expect(result.tables[0].rows.count == 1)
    #expect(result.tables[1].cells("status") == ["nan_input"])
    #expect(result.tables[1].cells("nep") == [.empty])
    #expect(result.tables[1].cells("lambda_max_mean") == [.empty])
    #expect(result.notes == ["m: the loss is not finite"])
  }

  @Test func anErrorOfProgressEndsTheWork() {
    struct Stop: Error {}
    for solver in HessianSettings.Solver.allCases {
      var settings = HessianSettings()
      settings.solver = solver
      var calls = 0
      #expect(throws: Stop.self) {
        try HessianRecord(
          solving: Diagonal.bulk([3, -2], 50, -1, 1), settings: settings, batch: 0, images: 1,
          loss: 0, threads: 1
        ) {
          calls += 1
          if calls == 5 { throw Stop() }
        }
      }
      #expect(calls == 5)
    }
  }

  /// What a density cannot say is on the figure: values that have not converged, and values alone.
  @Test func theFigureMarksWhatIsOpenAndWhatIsAlone() throws {
    let loose = try record(Dense.rotated([9, 8.9, 8.8, 8.7, 8.6, -0.5])) {
      ($0.top, $0.steps, $0.tolerance) = (3, 2, 1e-12)
    }
    let figure = try #require(try report([loose]).figures.first)
    let series = figure.panels.flatMap(\.marks).compactMap { mark -> Series? in
      if case .series(let series) = mark { series } else { nil }
    }
    let open = loose.eigenvalues.filter { $0.which == "mag" && $0.status == "not_converged" }
    #expect(!open.isEmpty)
    #expect(series.reduce(0) { $0 + $1.points.count } == open.count)
    #expect(series.allSatisfy { $0.name == "m, not converged" && $0.style.isHollow })
    let alone = try record(Dense.rotated([10, -3, 1])) { ($0.top, $0.steps) = (2, 3) }
    let bars = try #require(try report([alone]).figures.first)
    #expect(bars.subtitle.hasSuffix("; bars: values too few for a density"))
    let notes = bars.panels.flatMap(\.marks).compactMap { mark -> String? in
      if case .note(_, _, let text) = mark { text } else { nil }
    }
    #expect(notes == ["one value", "one value"])
    #expect(bars.subtitle.contains("Lanczos, cross entropy, all parameters"))
  }
}
