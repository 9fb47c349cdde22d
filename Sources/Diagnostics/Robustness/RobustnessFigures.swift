import Reports

/// Figures of robustness.
struct RobustnessFigures {
  private let study: RobustnessStudy
  private let models: [EvaluatedModel]
  private let data: String

  init(_ study: RobustnessStudy, _ models: [EvaluatedModel], data: String) {
    (self.study, self.models, self.data) = (study, models, data)
  }

  /// A line a model through the changes that have a place.
  private func marks(_ place: (Perturbation) -> Double?) -> [Mark] {
    let styles = Style.models(families: models.map(\.family))
    return zip(models, styles).map { model, style in
      let points = zip(study.perturbations, model.variants).compactMap {
        perturbation, scores -> Point? in
        guard let x = place(perturbation) else { return nil }
        let change = PairedDifference(scores)?.accuracy
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
  var frequencies: Figure? {
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
  var corruptions: Figure? {
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

  /// The error over the plane of frequencies, a map a model; a frequency and its conjugate are one.
  var basis: Figure? {
    let known = study.perturbations.enumerated().compactMap { place, perturbation in
      perturbation.basis.map { (place, $0) }
    }
    let most = known.map { max(abs($0.1.ky), abs($0.1.kx)) }.max()
    guard isKnown, let most else { return nil }
    let names = (-most...most).map { "\($0)" }
    let panels = models.map { model -> Figure.Panel in
      var values = [[Double?]](
        repeating: [Double?](repeating: nil, count: names.count), count: names.count)
      for (place, frequency) in known {
        let error = model.variants[place].accuracy.map { 1 - $0 }
        values[most + frequency.ky][most + frequency.kx] = error
        values[most - frequency.ky][most - frequency.kx] = error
      }
      return Figure.Panel(
        title: models.count > 1 ? model.label : "", x: Axis("Waves from left to right"),
        y: Axis("Waves from top to bottom"),
        [.heatMap(HeatMap(values, columnNames: names, rowNames: names))])
    }
    let length = NumberText.significant(study.basis.length, digits: 3)
    return Figure(
      name: "robustness_fourier", title: "Error under noise of one frequency of the plane",
      subtitle: images + "; noise of length \(length) "
        + (study.basis.scale == .channel ? "in each channel" : "in the whole image"),
      summary: "The error rate with noise of each frequency; the constant is in the middle.",
      panels: panels, columns: min(2, panels.count),
      colorBar: Figure.ColorBar("Error rate", .viridis), legend: .none)
  }

  /// The gradient's power by frequency, relative to that of white noise.
  var gradients: Figure? {
    guard !study.gradientSides.isEmpty else { return nil }
    let styles = Style.models(families: models.map(\.family))
    let marks = models.indices.map { place -> Mark in
      let mean = MeanGradientSpectrum(
        models[place].measures.last ?? [], GradientSpectrum(side: study.gradientSides[place]))
      let points = mean.rings.map { ring -> Point in
        let white = ring.overWhite.flatMap { over in ring.share.map { over / $0 } }
        return Point(
          ring.frequency, ring.overWhite,
          low: ring.interval.flatMap { interval in white.map { interval.lowerBound * $0 } },
          high: ring.interval.flatMap { interval in white.map { interval.upperBound * $0 } })
      }
      return .series(Series(models[place].label, points, style: styles[place]))
    }
    return Figure(
      name: "robustness_gradient", title: "Spectrum of the loss's gradient by the input",
      subtitle: images + "; 1 is that of white noise; bands: 95 % intervals over images",
      summary: "The mean share of the gradient's power at each frequency over that of white noise.",
      panels: [
        Figure.Panel(
          x: Axis.frequency, y: Axis("Power over that of white noise", scale: .log),
          marks + [.level(1, name: nil, dash: .dashed)])
      ])
  }
}
