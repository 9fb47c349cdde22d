import Glibc
import Reports
import StrictJSON

/// Densities of the eigenvalues of largest magnitude, and of whole spectra where they were estimated.
public struct HessianFigures {
  let source: FigureSource

  /// Figures of the tables `hessian_eigs` and `hessian_density`, as far as they are there.
  public init(_ source: FigureSource) { self.source = source }

  /// Those that show anything.
  public var all: [Figure] {
    get throws(ResultsError) { [try extremes, try spectra].compactMap(\.self) }
  }

  /// A value of largest magnitude.
  private struct Value {
    let value: Double
    let residual: Double?
    let isOpen: Bool
  }

  /// A model and its values of largest magnitude.
  private struct Subject {
    let label: String
    let style: Style
    let values: [Value]
    let sample: EigenvalueSample
    let batches: Int
  }

  private func subjects(_ table: any TableRows) throws(ResultsError) -> [Subject] {
    let (which, batches) = (try table.texts("which"), try table.texts("batch_index"))
    let (values, residuals) = (try table.numbers("eigenvalue"), try table.numbers("residual"))
    let statuses = try table.texts("status")
    return try table.rowsByModel().map { group throws(ResultsError) in
      let own = group.rows.compactMap { row -> Value? in
        guard which[row] == "mag", let value = values[row] else { return nil }
        // What was assumed of the labels may stand behind.
        let isOpen = statuses[row].split(separator: ";").first == "not_converged"
        return Value(value: value, residual: residuals[row], isOpen: isOpen)
      }
      let sample = try Self.known(table) { () throws(SpectrumError) in
        try EigenvalueSample(own.map(\.value))
      }
      return Subject(
        label: group.value, style: source.style(group.value), values: own, sample: sample,
        batches: Set(group.rows.map { batches[$0] }).count)
    }
  }

  private static func known<Result>(
    _ table: any TableRows, _ body: () throws(SpectrumError) -> Result
  ) throws(ResultsError) -> Result {
    do { return try body() } catch { throw table.damage(0, "and those after it: \(error)") }
  }

  // MARK: Values of largest magnitude

  /// Two panels that share their height, as in the paper: negative values left, positive right. Values
  /// of models that lie far apart are shown by decades.
  private var extremes: Figure? {
    get throws(ResultsError) {
      guard let table = source.table("hessian_eigs") else { return nil }
      let subjects = try subjects(table)
      let decades = Self.areFarApart(subjects.map(\.sample))
      var marks: [EigenvalueSample.Side: [Mark]] = [:]
      for subject in subjects {
        for side in EigenvalueSample.Side.allCases {
          let own = try Self.known(table) { () throws(SpectrumError) in
            try Self.marks(subject, side, decades: decades)
          }
          if !own.isEmpty { marks[side, default: []] += own }
        }
      }
      let panels = EigenvalueSample.Side.allCases.compactMap { side in
        marks[side].map { own in
          Figure.Panel(
            title: side == .negative ? "Negative" : "Positive",
            x: decades
              ? Self.decadeAxis(side, subjects.map(\.sample)) : Axis("Eigenvalue"),
            y: Axis(decades ? "Density per decade" : "Density", includesZero: true),
            weight: side == .negative && marks[.positive] != nil ? 0.7 : 1, own)
        }
      }
      guard !panels.isEmpty else { return nil }
      let hasBars = marks.values.joined().contains { if case .bars = $0 { true } else { false } }
      return Figure(
        name: "hessian", title: "Hessian eigenvalues of largest magnitude",
        subtitle: try subtitle(table, subjects)
          + (hasBars ? "; bars: values too few for a density" : ""),
        summary: "Densities of the eigenvalues of largest magnitude, by sign.", panels: panels,
        sharesX: false, sharesY: true)
    }
  }

  private func subtitle(
    _ table: any TableRows, _ subjects: [Subject]
  ) throws(ResultsError) -> String {
    let records = subjects.map(\.batches).max() ?? 0
    let isWhole = try table.texts("batch_index").allSatisfy(\.isEmpty)
    let ranks = Set(try table.texts("rank")).count
    let top = source.settings["top"]?.intValue ?? ranks
    let decay = try table.numbers("weight_decay").compactMap(\.self).max() ?? 0
    let parameters = try table.constant("params")
    // The loss without the marks of an identifier.
    let loss = try table.constant("loss_name").split(separator: "+").map { part in
      String(part.map { $0 == "_" || $0 == "=" ? " " : $0 })
    }.joined(separator: ", ")
    return "top \(top) of "
      + (isWhole
        ? "the whole data set" : "\(records) minibatches of \(try table.constant("batch_size"))")
      + ", \(try table.constant("solver") == "power" ? "power iteration" : "Lanczos"), \(loss)"
      + (decay == 0 ? "" : ", L2 \(decay) included") + ", "
      + (parameters == "all" ? "all parameters" : "parameters: \(parameters)")
  }

  /// The density of one side, or bars where values are too few for one, and what has not converged.
  private static func marks(
    _ subject: Subject, _ side: EigenvalueSample.Side, decades: Bool
  ) throws(SpectrumError) -> [Mark] {
    let (sample, sign): (EigenvalueSample, Double) = (
      subject.sample, side == .negative ? -1 : 1
    )
    var style = subject.style
    style.marker = nil
    func area(_ x: [Double], _ density: [Double]) -> Mark {
      .area(Area(subject.label, zip(x, density).map { Point($0, $1) }, style: style))
    }
    func bars(_ edges: [Double], _ heights: [Double]) -> Mark {
      .bars(Bars(subject.label, edges: edges, heights: heights, style: style))
    }
    var marks: [Mark] = []
    if decades {
      if let smooth = try sample.decadeDensity(side) {
        marks.append(
          side == .negative
            ? area(smooth.x.reversed().map { -$0 }, smooth.density.reversed())
            : area(smooth.x, smooth.density))
      } else if let lone = sample.values(side).first {
        // One value, or equal ones: a bar a tenth of a decade wide.
        let x = sign * log10(abs(lone))
        let share = Double(sample.values(side).count) / Double(sample.values.count)
        marks += [
          bars([x - 0.05, x + 0.05], [share / 0.1]),
          note(sample, side, x: x + 0.05, y: share / 0.1),
        ]
      }
    } else if let smooth = try sample.density(side) {
      marks.append(area(smooth.x, smooth.density))
    } else if let histogram = try sample.histogram(side, bins: 10) {
      let (edges, heights) = (histogram.edges, histogram.density)
      marks.append(bars(edges, heights))
      if let top = heights.indices.max(by: { heights[$0] < heights[$1] }) {
        marks.append(note(sample, side, x: edges[top + 1], y: heights[top]))
      }
    }
    // Outlines on the axis at values that have not converged: how far they are off is not known from the density.
    let open = subject.values.filter { $0.isOpen && sign * $0.value > 0 }
    guard !open.isEmpty else { return marks }
    var outline = subject.style
    (outline.width, outline.isHollow) = (0, true)
    let points = open.map { value in
      Point(
        decades ? sign * log10(abs(value.value)) : value.value, 0,
        label: value.residual.map { "residual \($0)" } ?? "")
    }
    return marks + [.series(Series("\(subject.label), not converged", points, style: outline))]
  }

  /// What a bar stands for: a value alone, or several that are equal.
  private static func note(
    _ sample: EigenvalueSample, _ side: EigenvalueSample.Side, x: Double, y: Double
  ) -> Mark {
    let values = sample.values(side)
    let text = values.count == 1 ? "one value" : "\(values.count) values"
    return .note(x: x, y: y, text: text)
  }

  /// Whether one linear axis would squeeze the values of some model to a line: the medians of the
  /// magnitudes are more than a factor of 10 apart on one side.
  private static func areFarApart(_ samples: [EigenvalueSample]) -> Bool {
    EigenvalueSample.Side.allCases.contains { side in
      let medians = samples.compactMap { sample in
        let sizes = sample.values(side).map(abs).sorted()
        return sizes.isEmpty ? nil : sizes[sizes.count / 2]
      }
      guard let low = medians.min(), let high = medians.max() else { return false }
      return high > 10 * low
    }
  }

  /// An axis of log₁₀|λ|, mirrored for negative values, labelled with the values themselves.
  private static func decadeAxis(
    _ side: EigenvalueSample.Side, _ samples: [EigenvalueSample]
  ) -> Axis {
    let logs = samples.flatMap { $0.values(side) }.map { log10(abs($0)) }
    let low = Int(((logs.min() ?? 0) - 1).rounded(.down))
    let high = Int(((logs.max() ?? 0) + 1).rounded(.up))
    let stride = max(1, (high - low) / 6)
    let sign: Double = side == .negative ? -1 : 1
    let ticks = Swift.stride(from: low, through: high, by: stride).map { exponent in
      let superscript = exponent == 0 ? "1" : exponent == 1 ? "10" : "10" + raised(exponent)
      return Axis.Tick(sign * Double(exponent), (side == .negative ? "−" : "") + superscript)
    }
    return Axis("Eigenvalue", ticks: side == .negative ? ticks.reversed() : ticks)
  }

  private static func raised(_ exponent: Int) -> String {
    let digits: [Character: String] = [
      "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷",
      "8": "⁸", "9": "⁹",
    ]
    return String(exponent).map { digits[$0] ?? String($0) }.joined()
  }

  // MARK: Whole spectra

  /// What of a density is shown, in parts of its highest point.
  private static let leastShown = 1e-6

  /// The densities of whole spectra by stochastic Lanczos quadrature, a line a minibatch.
  private var spectra: Figure? {
    get throws(ResultsError) {
      guard let table = source.table("hessian_density") else { return nil }
      let sources = try table.texts("source")
      let (x, density) = (try table.numbers("x"), try table.numbers("density"))
      let models = try table.rowsByModel().map { group in
        (group.value, group.rows.filter { sources[$0] == "slq" && x[$0] != nil })
      }.filter { !$0.1.isEmpty }
      let top = models.flatMap(\.1).compactMap { density[$0] }.max() ?? 0
      guard top > 0, top * Self.leastShown > 0 else { return nil }
      let panels = models.map { label, rows -> Figure.Panel in
        var style = source.style(label)
        (style.marker, style.width) = (nil, 1.2)
        // Each density ascends; the next one begins where x falls back.
        var lines: [[Point]] = []
        for row in rows {
          let value = density[row].flatMap { $0 >= top * Self.leastShown ? $0 : nil }
          let point = Point(x[row] ?? 0, value)
          if let last = lines.last?.last, last.x < point.x {
            lines[lines.count - 1].append(point)
          } else {
            lines.append([point])
          }
        }
        return Figure.Panel(
          title: models.count > 1 ? label : "", x: Axis("Eigenvalue"),
          y: Axis("Density", scale: .log),
          lines.enumerated().map { place, points in
            .series(Series(label, points, style: style, inLegend: place == 0))
          })
      }
      return Figure(
        name: "hessian_spectrum", title: "Spectral density of the Hessian",
        subtitle: "stochastic Lanczos quadrature; a line a minibatch",
        summary: "The density of all eigenvalues of the Hessian, estimated with random vectors.",
        panels: panels, sharesX: false, sharesY: true)
    }
  }
}
