import Glibc
import Reports
import Tensors

/// Tables and figures of Hessian spectra, from the records of each model.
public struct HessianReport {
  /// A model and what was found of it.
  public struct Subject: Sendable {
    /// The name in tables and figures.
    public let label: String
    /// The architecture family, for colours.
    public let family: String
    /// The checkpoint it came from.
    public let checkpoint: String
    /// The epoch of the checkpoint, if it says one.
    public let epoch: Int?
    /// `ok`, or what was assumed of the labels.
    public let labelStatus: String
    /// The records in batch order.
    public let records: [HessianRecord]

    /// A model with its records.
    public init(
      label: String, family: String, checkpoint: String, epoch: Int?, labelStatus: String = "ok",
      records: [HessianRecord]
    ) {
      self.label = label
      self.family = family
      self.checkpoint = checkpoint
      self.epoch = epoch
      self.labelStatus = labelStatus
      self.records = records
    }

    /// A status beside what was assumed of the labels.
    func status(_ own: String) -> String {
      labelStatus == "ok" ? own : own == "ok" ? labelStatus : own + ";" + labelStatus
    }

    /// The values of largest magnitude of all records.
    func sample() throws -> EigenvalueSample {
      try EigenvalueSample(
        records.flatMap { $0.eigenvalues.filter { $0.which == "mag" }.map(\.value) })
    }
  }

  private let subjects: [Subject]
  private let settings: HessianSettings
  private let loss: String
  private let batchSize: Int
  private let data: String

  /// A report on several models.
  ///
  /// - Parameters:
  ///   - loss: what the loss is called, smoothing and mixing included.
  ///   - batchSize: images in a minibatch.
  ///   - data: what the images are called in tables.
  public init(
    _ subjects: [Subject], settings: HessianSettings, loss: String, batchSize: Int,
    data: String = ""
  ) {
    self.data = data
    self.subjects = subjects
    self.settings = settings
    self.loss = loss
    self.batchSize = batchSize
  }

  /// Tables, figures and notes.
  public func callAsFunction() throws -> Report {
    let summary = try summaryTable()
    let tables = [eigenvalueTable(), summary, try densityTable()]
    let source = FigureSource(
      tables, settings: settings.json,
      networks: subjects.map { NetworkOutline(label: $0.label, family: $0.family) })
    return Report(
      tables: tables, figures: try HessianFigures(source).all,
      summary: summary.selecting([
        "model", "n_batches", "n_values", "nep", "ape", "lambda_max_mean", "lambda_min_mean",
        "trace", "status",
      ]), notes: notes, networks: source.networks)
  }

  private var notes: [String] {
    subjects.flatMap { subject in
      let all = subject.records.flatMap(\.eigenvalues)
      let open = all.count { $0.status == "not_converged" }
      let tied = all.count { $0.status == "tied" }
      var notes = Set(subject.records.flatMap(\.notes)).sorted().map { "\(subject.label): \($0)" }
      if open > 0 {
        notes.append(
          "\(subject.label): \(open) of \(all.count) values have not converged; "
            + (settings.solver == .lanczos
              ? "more `steps` help"
              : "a smaller `tolerance` helps, with more `maximumIterations`"))
      }
      if tied > 0 {
        notes.append(
          "\(subject.label): \(tied) values have a counterpart of the other sign; the sign of the "
            + "largest magnitude is undecided there")
      }
      return notes
    }
  }

  // MARK: Tables

  private func eigenvalueTable() -> Table {
    var table = Table(
      "hessian_eigs",
      columns: [
        .text("model"), .text("data"), .text("checkpoint"), .integer("epoch"),
        .integer("batch_index"),
        .integer("batch_size"), .integer("n_images"), .text("loss_name"), .text("l2_kind"),
        .real("weight_decay"), .text("mode"), .text("params"), .text("solver"),
        .integer("rank"), .text("which"), .real("eigenvalue"), .real("eigenvalue_without_l2"),
        .real("residual"), .integer("iterations"), .integer("matvecs"), .text("status"),
      ])
    for subject in subjects {
      for record in subject.records {
        let head: [Cell] = [
          .text(subject.label), .text(data), .text(subject.checkpoint), Cell(subject.epoch),
          Cell(record.batch), .integer(batchSize), .integer(record.images), .text(loss),
          .text(settings.weightDecay == 0 ? "none" : "half-squared"),
          .real(settings.weightDecay), "eval", .text(settings.parameterText),
          .text(settings.solver.rawValue),
        ]
        for value in record.eigenvalues {
          var row = head
          row += [
            .integer(value.rank), .text(value.which), Cell(value.value),
            Cell(value.value - settings.weightDecay), Cell(value.residual),
            .integer(value.iterations), .integer(record.products),
            .text(subject.status(value.status)),
          ]
          table.append(row)
        }
        if record.eigenvalues.isEmpty {
          table.append(
            head + [
              .empty, .empty, .empty, .empty, .empty, .empty, .integer(record.products),
              .text(subject.status(record.status)),
            ])
        }
      }
    }
    return table
  }

  private func summaryTable() throws -> Table {
    var table = Table(
      "hessian_summary",
      columns: [
        .text("model"), .text("data"), .text("checkpoint"), .integer("n_batches"),
        .integer("n_values"),
        .real("nep"), .real("nep_ci_lo"), .real("nep_ci_hi"), .real("ape"), .real("ane"),
        .real("lambda_max_mean"), .real("lambda_min_mean"), .real("trace"), .real("trace_se"),
        .real("neg_fraction_slq"), .text("status"),
      ])
    for subject in subjects {
      let sample = try subject.sample()
      let nep = sample.negativeProportion
      let traces = subject.records.compactMap(\.trace)
      let fractions = subject.records.compactMap(\.density?.negativeFraction)
      var row: [Cell] = [
        .text(subject.label), .text(data), .text(subject.checkpoint),
        .integer(subject.records.count), .integer(sample.values.count), Cell(nep?.value),
        Cell(nep?.interval.lowerBound),
        Cell(nep?.interval.upperBound), Cell(sample.averagePositive),
        Cell(sample.averageNegative),
      ]
      row += [
        Cell(mean(ends(subject, "max", by: max))), Cell(mean(ends(subject, "min", by: min))),
        Cell(mean(traces.map(\.value))), Cell(error(of: traces)), Cell(mean(fractions)),
        .text(subject.status(status(of: subject))),
      ]
      table.append(row)
    }
    return table
  }

  /// One end of each record's spectrum. The power method knows the largest magnitudes only: an end is
  /// there if a value of its sign is.
  private func ends(
    _ subject: Subject, _ which: String, by better: (Double, Double) -> Double
  ) -> [Double] {
    subject.records.compactMap { record in
      record.eigenvalues.first { $0.which == which }?.value
        ?? record.eigenvalues.map(\.value).filter { which == "max" ? $0 > 0 : $0 < 0 }
        .reduce(nil) { best, value in best.map { better($0, value) } ?? value }
    }
  }

  private func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  /// Between minibatches if there are several, else that of the probes.
  private func error(of traces: [HessianRecord.Trace]) -> Double? {
    traces.count > 1
      ? SampleMean(traces.map(\.value)).standardError : traces.first?.standardError
  }

  private func status(of subject: Subject) -> String {
    let all = subject.records.flatMap(\.eigenvalues)
    if let bad = subject.records.first(where: { $0.status != "ok" }) { return bad.status }
    return all.contains { $0.status == "not_converged" } ? "not_converged" : "ok"
  }

  private func densityTable() throws -> Table {
    var table = Table(
      "hessian_density",
      columns: [
        .text("model"), .text("data"), .text("source"), .text("side"), .real("x"), .real("density"),
        .real("bandwidth"),
      ])
    for subject in subjects {
      let sample = try subject.sample()
      for side in EigenvalueSample.Side.allCases {
        let name = side == .negative ? "neg" : "pos"
        if let smooth = try sample.density(side) {
          for (x, value) in zip(smooth.x, smooth.density) {
            table.append([
              .text(subject.label), .text(data), "kde", .text(name), Cell(x), Cell(value),
              Cell(smooth.bandwidth),
            ])
          }
        }
        if let smooth = try sample.decadeDensity(side) {
          for (x, value) in zip(smooth.x, smooth.density) {
            table.append([
              .text(subject.label), .text(data), "kde_decade", .text(name),
              Cell((side == .negative ? -1 : 1) * pow(10, x)), Cell(value), Cell(smooth.bandwidth),
            ])
          }
        }
        if let bars = try sample.histogram(side) {
          for (index, value) in bars.density.enumerated() {
            table.append([
              .text(subject.label), .text(data), "hist", .text(name),
              Cell((bars.edges[index] + bars.edges[index + 1]) / 2), Cell(value),
              Cell(bars.edges[index + 1] - bars.edges[index]),
            ])
          }
        }
      }
      for density in subject.records.compactMap(\.density) {
        for (x, value) in zip(density.x, density.density) {
          table.append([
            .text(subject.label), .text(data), "slq", "all", Cell(x), Cell(value),
            Cell(density.bandwidth),
          ])
        }
      }
    }
    return table
  }
}
