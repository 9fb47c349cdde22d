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
    let starts = plan.starts
    curves = plan.subjects.enumerated().map { index, subject in
      subject.taps.enumerated().map { tap, planned in
        let layer = starts[index] + tap
        return FourierCurve(
          records.compactMap {
            $0.taps.indices.contains(layer) ? ($0.images, $0.taps[layer]) : nil
          }, bins: MapGrid(planned).map { FourierBins($0, settings.variant) })
      }
    }
  }

  var report: Report {
    var figures = plan.subjects.indices.compactMap(spectra)
    if let figure = depthFigure { figures.append(figure) }
    return Report(tables: [table], figures: figures, summary: summary, notes: notes)
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

  private var summary: Table {
    var table = Table(
      "fourier",
      columns: [
        .text("model"), .integer("layers"), .real("first"), .real("last"), .real("msa_step"),
        .real("other_step"), .integer("undefined"),
      ])
    for (subject, curves) in zip(plan.subjects, curves) {
      let highest = curves.map { $0.last?.delta }
      table.append([
        .text(subject.label), .integer(curves.count), Cell(highest.first ?? nil),
        Cell(highest.last ?? nil), Cell(subject.meanChange(over: .attention, of: highest)),
        Cell(subject.meanChange(over: .other, of: highest)),
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

  // MARK: Figures

  private var subtitle: String {
    let what =
      switch settings.variant {
      case .diag: "diagonal of the 2D spectrum, mean of log amplitudes over channels"
      case .radial: "rings of the 2D spectrum, mean of log amplitudes over channels"
      case .axis: "axes of the 2D spectrum, mean of log amplitudes over channels"
      case .power: "diagonal of the 2D spectrum, half the log of mean power"
      }
    return "n = \(images) image\(images == 1 ? "" : "s"); \(what)"
  }

  private func spectra(_ index: Int) -> Figure? {
    let subject = plan.subjects[index]
    let drawn = curves[index].indices.filter { curves[index][$0].last != nil }
    guard let first = drawn.first, let last = drawn.last else { return nil }
    // From deep to shallow, so that the first lies on top. The intervals of all lines would hide them.
    var marks = drawn.reversed().map { tap -> Mark in
      let curve = curves[index][tap]
      let hasBand = tap == first || tap == last
      let points = curve.points.enumerated().map { k, point -> Point in
        let interval = hasBand ? point.interval : nil
        return Point(
          frequency(curve, k), point.delta, low: interval?.low, high: interval?.high)
      }
      return .series(
        Series(
          subject.taps[tap].tap.name, points, style: Style(color: Color(0x4D4D4D), width: 1.6),
          paint: .value(subject.depth(tap)), inLegend: false))
    }
    let curve = curves[index][first]
    if first == 0, subject.taps[0].tap.kind == .embed, let end = curve.last?.delta {
      let name = subject.taps[0].tap.layout == .featureMap ? "Stem" : "Emb"
      marks.append(.note(x: frequency(curve, curve.points.count - 1), y: end, text: name))
    }
    let axis = frequencyAxis(drawn.compactMap { curves[index][$0].bins })
    return Figure(
      name: "fourier_\(plan.slugs[index])",
      title: "Relative log amplitudes of Fourier-transformed feature maps: \(subject.label)",
      subtitle: images > 1
        ? "\(subtitle); first and last layer with 95 % intervals over images\(axis.remark)"
        : subtitle + axis.remark,
      summary: "One line a layer, colored by depth: how much of each spatial frequency there is "
        + "relative to the constant part.",
      panels: [Figure.Panel(x: axis.axis, y: Axis("Δ Log amplitude"), marks)],
      colorBar: Figure.ColorBar("Normalized depth", .ember))
  }

  /// The axis of maps of these sizes, and what must be said of it: on the reference axis all maps end at
  /// the same place, whatever their highest frequency is.
  private func frequencyAxis(_ maps: [FourierBins]) -> (axis: Axis, remark: String) {
    guard settings.axis == .reference else { return (.frequency, "") }
    let ends = maps.map { $0.frequency($0.count - 1) }
    guard let least = ends.min(), let greatest = ends.max(), least < greatest else {
      return (.stretchedFrequency(end: ends.first), "")
    }
    func text(_ value: Double) -> String {
      value == 1 ? "π" : "\((value * 1000).rounded() / 1000)π"
    }
    return (
      .stretchedFrequency(end: nil),
      "; highest frequencies from \(text(least)) to \(text(greatest))"
    )
  }

  private func frequency(_ curve: FourierCurve, _ k: Int) -> Double {
    guard let bins = curve.bins else { return 0 }
    return settings.axis == .reference ? bins.stretchedFrequency(k) : bins.frequency(k)
  }

  private var depthFigure: Figure? {
    let markers = Style.models(families: plan.subjects.map(\.family))
    let panels = plan.subjects.indices.compactMap { index -> Figure.Panel? in
      let subject = plan.subjects[index]
      guard curves[index].contains(where: { $0.last != nil }) else { return nil }
      let depths = subject.taps.indices.map(subject.depth)
      let points = subject.taps.indices.map { tap -> Point in
        let last = curves[index][tap].last
        return Point(
          depths[tap], last?.delta, low: last?.interval?.low, high: last?.interval?.high,
          label: subject.taps[tap].tap.name)
      }
      let series = Series(
        subject.label, points,
        style: Style(color: Color(0x4D4D4D), marker: markers[index].marker, width: 2.5),
        paint: .values(depths), interval: .bars, inLegend: false)
      return Figure.Panel(
        title: subject.label, x: .depth, y: Axis("Δ Log amplitude"),
        subject.shades + plan.stageMarks(of: [index], styles: markers) + [.series(series)])
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "fourier_depth", title: "High-frequency amplitude over depth",
      subtitle: "Δ log amplitude at the highest frequency of each map; \(subtitle)"
        + (images > 1 ? "; bars: 95 % intervals over images" : ""),
      summary:
        "How much of the highest spatial frequency each layer holds relative to the constant "
        + "part; steps into self-attention are shaded gray, subsampling blue.",
      panels: panels, colorBar: Figure.ColorBar("Normalized depth", .ember))
  }
}
