import Reports

/// The table and the figure of robustness.
struct RobustnessReport {
  private let study: RobustnessStudy
  private let models: [EvaluatedModel]
  private let data: String

  init(_ study: RobustnessStudy, _ models: [EvaluatedModel], data: String) {
    (self.study, self.models, self.data) = (study, models, data)
  }

  var report: Report {
    let table = table
    return Report(
      tables: [table], figures: [figure].compactMap(\.self),
      summary: table.selecting([
        "model", "f_over_pi", "noise_rms", "n_images", "acc_clean", "acc_noisy", "delta_acc_pp",
        "ci_lo", "ci_hi", "mcnemar_p", "status",
      ]))
  }

  private var table: Table {
    var table = Table(
      "robustness",
      columns: [
        .text("model"), .text("data"), .text("test"), .real("f_over_pi"), .real("s"), .real("eps"),
        .text("sign"), .text("mask"), .text("renorm"), .real("noise_rms"), .integer("n_images"),
        .real("acc_clean"), .real("acc_noisy"), .real("delta_acc_pp"), .real("ci_lo"),
        .real("ci_hi"), .real("mcnemar_p"), .real("nll_clean"), .real("nll_noisy"),
        .real("delta_nll"), .real("nll_ci_lo"), .real("nll_ci_hi"), .text("status"),
      ])
    let noise = study.noise
    for model in models {
      for (frequency, scores) in zip(study.frequencies, model.variants) {
        let change = PairedDifference(from: model.baseline, to: scores)
        let (accuracy, loss) = (change?.accuracy, change?.loss)
        let rms = rootMeanSquare(scores)
        // A ring between two frequencies of a small image holds none.
        let isEmpty = rms == 0 && noise.amplitude > 0
        let own = model.status([model.baseline, scores])
        table.append([
          .text(model.label), .text(data), "frequency_noise", .real(frequency),
          .real(noise.halfWidth), .real(noise.amplitude), .text(noise.isSign ? "true" : "false"),
          .text(noise.mask.rawValue), .text(noise.renormalization.rawValue), Cell(rms),
          .integer(scores.count), Cell(model.baseline.accuracy), Cell(scores.accuracy),
          Cell(accuracy?.value), Cell(accuracy?.interval?.lowerBound),
          Cell(accuracy?.interval?.upperBound), Cell(change?.mcNemar), Cell(model.baseline.loss),
          Cell(scores.loss), Cell(loss?.value), Cell(loss?.interval?.lowerBound),
          Cell(loss?.interval?.upperBound),
          .text(!isEmpty ? own : own == "ok" ? "empty_ring" : own + ";empty_ring"),
        ])
      }
    }
    return table
  }

  /// Of the noise over all images.
  private func rootMeanSquare(_ scores: ImageScores) -> Double? {
    guard let squares = scores.inputChanges, !squares.isEmpty else { return nil }
    return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
  }

  /// Accuracy lost over the frequency of the noise, as in the paper.
  private var figure: Figure? {
    let styles = Style.models(families: models.map(\.family))
    let series = models.indices.map { place -> Series in
      let points = zip(study.frequencies, models[place].variants).sorted { $0.0 < $1.0 }.map {
        frequency, scores in
        let change = PairedDifference(from: models[place].baseline, to: scores)?.accuracy
        return Point(
          frequency, change?.value, low: change?.interval?.lowerBound,
          high: change?.interval?.upperBound)
      }
      return Series(models[place].label, points, style: styles[place], interval: .bars)
    }
    guard series.contains(where: { $0.points.contains { $0.y != nil } }) else { return nil }
    let (noise, images) = (study.noise, models.map(\.baseline.count).max() ?? 0)
    let ticks = stride(from: 1, through: 9, by: 2).map {
      Axis.Tick(Double($0) / 10, "0.\($0)π")
    }
    let (low, high) = (study.frequencies.min() ?? 0, study.frequencies.max() ?? 1)
    return Figure(
      name: "robustness_frequency", title: "Accuracy under noise of one frequency",
      subtitle: "n = \(images) image\(images == 1 ? "" : "s") of \(data.displayable); "
        + "\(noise.isSign ? "sign" : "normal") noise of \(noise.amplitude), mask \(noise.mask.rawValue), "
        + (noise.renormalization == .rms ? "each image scaled to that rms" : "not scaled after it")
        + "; bars: 95 % intervals over the same images",
      summary: "How many percentage points of accuracy noise costs whose spectrum is a ring around "
        + "a frequency.",
      panels: [
        Figure.Panel(
          x: Axis(
            "Noise frequency", range: max(0, low - 0.05)...min(1, high + 0.05), ticks: ticks),
          y: Axis("Δ accuracy", unit: "pp", includesZero: true), series.map { .series($0) })
      ])
  }
}
