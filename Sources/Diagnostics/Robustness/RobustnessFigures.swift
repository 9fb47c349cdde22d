import Reports

/// Accuracy under changes of the images, and which frequencies the loss is sensitive to.
public struct RobustnessFigures {
  private let source: FigureSource

  /// Figures of the tables `robustness` and `robustness_gradient`, as far as they are there.
  public init(_ source: FigureSource) { self.source = source }

  /// Noise of rings, corruptions, noise of the plane, the gradient.
  public var all: [Figure] {
    get throws(ResultsError) {
      var figures: [Figure?] = []
      if let table = source.table(RobustnessStudy.name) {
        let rows = try RobustnessRows(table)
        if rows.isKnown {
          figures = [try frequencies(rows), try corruptions(rows), try basis(rows)]
        }
      }
      return (figures + [try gradients]).compactMap(\.self)
    }
  }

  /// A line a model through the changes that have a place.
  private func marks(_ rows: RobustnessRows, _ place: (Int) -> Double?) -> [Mark] {
    rows.models.map { model in
      let points = model.rows.compactMap { row in
        place(row).map { Point($0, rows.changes[row], low: rows.low[row], high: rows.high[row]) }
      }
      return .series(
        Series(
          model.value, points.sorted { $0.x < $1.x }, style: source.style(model.value),
          interval: .bars))
    }
  }

  private static let difference = Axis("Δ accuracy", unit: "pp", includesZero: true)

  /// Accuracy lost over the frequency of the noise, as in the paper.
  private func frequencies(_ rows: RobustnessRows) throws(ResultsError) -> Figure? {
    let known = rows.frequencies.compactMap(\.self)
    guard let low = known.min(), let high = known.max(), low >= 0, high <= 1,
      let first = rows.frequencies.firstIndex(where: { $0 != nil })
    else { return nil }
    func text(_ column: String) throws(ResultsError) -> String? {
      rows.table.has(column) ? try rows.table.texts(column)[first] : nil
    }
    let kind = try text("sign") == "true" ? "sign" : "normal"
    let noise =
      try text("eps").map { amplitude throws(ResultsError) in
        "; \(kind) noise of \(amplitude), mask \(try text("mask") ?? "")"
          + (try text("renorm") == FrequencyNoise.Renormalization.rms.rawValue
            ? ", each image scaled to that rms" : ", not scaled after it")
      } ?? ""
    let ticks = stride(from: 1, through: 9, by: 2).map {
      Axis.Tick(Double($0) / 10, "0.\($0)π")
    }
    return Figure(
      name: "robustness_frequency", title: "Accuracy under noise of one frequency",
      subtitle: rows.images + noise + "; bars: 95 % intervals over the same images",
      summary: "How many percentage points of accuracy noise costs whose spectrum is a ring around "
        + "a frequency.",
      panels: [
        Figure.Panel(
          x: Axis(
            "Noise frequency", range: max(0, low - 0.05)...min(1, high + 0.05), ticks: ticks),
          y: Self.difference, marks(rows) { rows.frequencies[$0] })
      ])
  }

  /// Accuracy lost over severity, a panel a corruption.
  private func corruptions(_ rows: RobustnessRows) throws(ResultsError) -> Figure? {
    let found = RowGroup.of(
      rows.severities.indices.filter { rows.severities[$0] != nil }, by: rows.tests
    ).map(\.value)
    let own = Corruption.Kind.allCases.map(\.rawValue)
    let kinds = own.filter(found.contains) + found.filter { !own.contains($0) }
    guard !kinds.isEmpty else { return nil }
    let severity = Axis(
      "Severity", range: 0.7...5.3, ticks: (1...5).map { Axis.Tick(Double($0), "\($0)") })
    return Figure(
      name: "robustness_corruptions", title: "Accuracy under common corruptions",
      subtitle: rows.images + "; bars: 95 % intervals over the same images",
      summary: "How many percentage points of accuracy corruptions of five severities cost.",
      panels: kinds.map { kind in
        Figure.Panel(
          title: kind.split(separator: "_").joined(separator: " "), x: severity,
          y: Self.difference, marks(rows) { rows.tests[$0] == kind ? rows.severities[$0] : nil })
      }, columns: min(3, kinds.count))
  }

  /// The most frequencies of the plane along an axis, to each side of the constant.
  private static let mostFrequencies = 1 << 9

  /// The error over the plane of frequencies, a map a model; a frequency and its conjugate are one.
  private func basis(_ rows: RobustnessRows) throws(ResultsError) -> Figure? {
    guard rows.table.has("ky"), rows.table.has("kx") else { return nil }
    let (ky, kx) = (try rows.table.numbers("ky"), try rows.table.numbers("kx"))
    let places = ky.indices.map { row -> (y: Int, x: Int)? in
      guard let y = ky[row].flatMap({ Int(exactly: $0) }),
        let x = kx[row].flatMap({ Int(exactly: $0) }),
        max(y.magnitude, x.magnitude) <= Self.mostFrequencies
      else { return nil }
      return (y, x)
    }
    guard let most = places.compactMap({ $0.map { max(abs($0.y), abs($0.x)) } }).max() else {
      return nil
    }
    let names = (-most...most).map { $0 < 0 ? "−\(-$0)" : "\($0)" }
    let panels = rows.models.map { model in
      var values = [[Double?]](
        repeating: [Double?](repeating: nil, count: names.count), count: names.count)
      for row in model.rows {
        guard let (y, x) = places[row] else { continue }
        let error = rows.noisy[row].map { 1 - $0 }
        values[most + y][most + x] = error
        values[most - y][most - x] = error
      }
      return Figure.Panel(
        title: rows.models.count > 1 ? model.value : "", x: Axis("Waves from left to right"),
        y: Axis("Waves from top to bottom"),
        [.heatMap(HeatMap(values, columnNames: names, rowNames: names))])
    }
    let first = places.firstIndex { $0 != nil } ?? 0
    let length = rows.table.has("eps") ? try rows.table.numbers("eps")[first] : nil
    let scale = rows.table.has("renorm") ? try rows.table.texts("renorm")[first] : nil
    let isByChannel = scale == FourierBasisNoise.Scale.channel.rawValue
    return Figure(
      name: "robustness_fourier", title: "Error under noise of one frequency of the plane",
      subtitle: rows.images
        + (length.map {
          "; noise of length \(NumberText.significant($0, digits: 3)) "
            + (isByChannel ? "in each channel" : "in the whole image")
        } ?? ""),
      summary: "The error rate with noise of each frequency; the constant is in the middle.",
      panels: panels, columns: min(2, panels.count),
      colorBar: Figure.ColorBar("Error rate", .viridis), legend: .none)
  }

  /// The gradient's power by frequency, relative to that of white noise.
  private var gradients: Figure? {
    get throws(ResultsError) {
      guard let table = source.table("robustness_gradient") else { return nil }
      let (frequencies, shares) = (try table.numbers("f_over_pi"), try table.numbers("share"))
      let (low, high) = (try table.numbers("share_lo"), try table.numbers("share_hi"))
      let overWhite = try table.numbers("share_over_white")
      let marks = try table.rowsByModel().map { model -> Mark in
        let points = model.rows.map { row in
          let white = overWhite[row].flatMap { over in shares[row].map { over / $0 } }
          return Point(
            frequencies[row] ?? 0, overWhite[row],
            low: low[row].flatMap { low in white.map { low * $0 } },
            high: high[row].flatMap { high in white.map { high * $0 } })
        }
        return .series(Series(model.value, points, style: source.style(model.value)))
      }
      return Figure(
        name: "robustness_gradient", title: "Spectrum of the loss's gradient by the input",
        subtitle: try table.imageCount(of: "data")
          + "; 1 is that of white noise; bands: 95 % intervals over images",
        summary: "The mean share of the gradient's power at each frequency over that of white "
          + "noise.",
        panels: [
          Figure.Panel(
            x: Axis.frequency, y: Axis("Power over that of white noise", scale: .log),
            marks + [.level(1, name: nil, dash: .dashed)])
        ])
    }
  }
}

/// The columns of `robustness`.
private struct RobustnessRows {
  let table: any TableRows
  let models: [RowGroup]
  let tests: [String]
  let severities: [Double?]
  let frequencies: [Double?]
  let changes: [Double?]
  let low: [Double?]
  let high: [Double?]
  let noisy: [Double?]
  let images: String

  init(_ table: any TableRows) throws(ResultsError) {
    self.table = table
    models = try table.rowsByModel()
    tests = try table.texts("test")
    (severities, frequencies) = (try table.numbers("severity"), try table.numbers("f_over_pi"))
    changes = try table.numbers("delta_acc_pp")
    (low, high) = (try table.numbers("ci_lo"), try table.numbers("ci_hi"))
    noisy = try table.numbers("acc_noisy")
    images = try table.imageCount(of: "data")
  }

  /// Whether some change could be measured.
  var isKnown: Bool { changes.contains { $0 != nil } }
}
