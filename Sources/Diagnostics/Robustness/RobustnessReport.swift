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
      tables: [table], figures: [frequencies, corruptions].compactMap(\.self),
      summary: table.selecting([
        "model", "test", "severity", "f_over_pi", "noise_rms", "n_images", "acc_clean", "acc_noisy",
        "delta_acc_pp",
        "ci_lo", "ci_hi", "mcnemar_p", "status",
      ]))
  }

  private var table: Table {
    var table = Table(
      "robustness",
      columns: [
        .text("model"), .text("data"), .text("test"), .integer("severity"), .real("f_over_pi"),
        .real("s"), .real("eps"),
        .text("sign"), .text("mask"), .text("renorm"), .real("noise_rms"), .integer("n_images"),
        .real("acc_clean"), .real("acc_noisy"), .real("delta_acc_pp"), .real("ci_lo"),
        .real("ci_hi"), .real("mcnemar_p"), .real("nll_clean"), .real("nll_noisy"),
        .real("delta_nll"), .real("nll_ci_lo"), .real("nll_ci_hi"), .text("status"),
      ])
    for model in models {
      for (perturbation, scores) in zip(study.perturbations, model.variants) {
        let change = PairedDifference(from: model.baseline, to: scores)
        let (accuracy, loss) = (change?.accuracy, change?.loss)
        let rms = rootMeanSquare(scores)
        let noise = perturbation.frequency == nil ? nil : study.noise
        // A ring between two frequencies of a small image holds none.
        let isEmpty = rms == 0 && (noise?.amplitude ?? 0) > 0
        let own = model.status([model.baseline, scores])
        table.append([
          .text(model.label), .text(data), .text(perturbation.test),
          Cell(perturbation.corruption?.severity), Cell(perturbation.frequency),
          Cell(noise?.halfWidth), Cell(noise?.amplitude), Cell(noise.map { "\($0.isSign)" }),
          Cell(noise?.mask.rawValue), Cell(noise?.renormalization.rawValue), Cell(rms),
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

  // MARK: Figures

  /// A line a model through the changes that have a place.
  private func marks(_ place: (Perturbation) -> Double?) -> [Mark] {
    let styles = Style.models(families: models.map(\.family))
    return zip(models, styles).map { model, style in
      let points = zip(study.perturbations, model.variants).compactMap {
        perturbation, scores -> Point? in
        guard let x = place(perturbation) else { return nil }
        let change = PairedDifference(from: model.baseline, to: scores)?.accuracy
        return Point(
          x, change?.value, low: change?.interval?.lowerBound, high: change?.interval?.upperBound)
      }
      return .series(
        Series(model.label, points.sorted { $0.x < $1.x }, style: style, interval: .bars))
    }
  }

  private var images: String {
    let images = models.map(\.baseline.count).max() ?? 0
    return "n = \(images) image\(images == 1 ? "" : "s") of \(data.displayable)"
  }

  private static let difference = Axis("Δ accuracy", unit: "pp", includesZero: true)

  private var isKnown: Bool {
    models.contains { $0.baseline.accuracy != nil && $0.variants.contains { $0.accuracy != nil } }
  }

  /// Accuracy lost over the frequency of the noise, as in the paper.
  private var frequencies: Figure? {
    let known = study.perturbations.compactMap(\.frequency)
    guard isKnown, let low = known.min(), let high = known.max() else { return nil }
    let noise = study.noise
    let ticks = stride(from: 1, through: 9, by: 2).map {
      Axis.Tick(Double($0) / 10, "0.\($0)π")
    }
    return Figure(
      name: "robustness_frequency", title: "Accuracy under noise of one frequency",
      subtitle: images + "; \(noise.isSign ? "sign" : "normal") noise of \(noise.amplitude), mask "
        + noise.mask.rawValue
        + (noise.renormalization == .rms
          ? ", each image scaled to that rms" : ", not scaled after it")
        + "; bars: 95 % intervals over the same images",
      summary: "How many percentage points of accuracy noise costs whose spectrum is a ring around "
        + "a frequency.",
      panels: [
        Figure.Panel(
          x: Axis(
            "Noise frequency", range: max(0, low - 0.05)...min(1, high + 0.05), ticks: ticks),
          y: Self.difference, marks(\.frequency))
      ])
  }

  /// Accuracy lost over severity, a panel a corruption.
  private var corruptions: Figure? {
    let kinds = Corruption.Kind.allCases.filter { kind in
      study.perturbations.contains { $0.corruption?.kind == kind }
    }
    guard isKnown, !kinds.isEmpty else { return nil }
    let severity = Axis(
      "Severity", range: 0.7...5.3, ticks: (1...5).map { Axis.Tick(Double($0), "\($0)") })
    return Figure(
      name: "robustness_corruptions", title: "Accuracy under common corruptions",
      subtitle: images + "; bars: 95 % intervals over the same images",
      summary: "How many percentage points of accuracy corruptions of five severities cost.",
      panels: kinds.map { kind in
        Figure.Panel(
          title: kind.rawValue.split(separator: "_").joined(separator: " "), x: severity,
          y: Self.difference,
          marks {
            $0.corruption?.kind == kind ? $0.corruption.map { Double($0.severity) } : nil
          })
      }, columns: min(3, kinds.count))
  }
}
