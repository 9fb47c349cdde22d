import Reports
import StrictJSON

/// The spectra of the layers of each model, and their high ends over depth.
public struct FourierFigures {
  private let source: FigureSource

  /// Figures of the table `fourier`, if it is there.
  public init(_ source: FigureSource) { self.source = source }

  /// A point of a spectrum.
  private struct Entry {
    /// Units of π radians a pixel, and the same stretched to end at 1.
    let frequency: (actual: Double, stretched: Double)
    let delta: Double?
    let error: Double?
  }

  /// A layer and its spectrum.
  private struct Spectrum {
    let layer: DepthLine.Layer
    let points: [Entry]
    /// The highest frequency; nil if there is none but 0.
    var end: Entry? { points.count > 1 ? points.last : nil }
  }

  /// A figure a model, then that over depth.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table("fourier") else { return [] }
      let (truth, stretched) = (try table.numbers("freq_true"), try table.numbers("freq_plot"))
      let (values, errors) = (try table.numbers("delta_log_amp"), try table.numbers("delta_se"))
      let models = try DepthLine.all(table, of: source).map { line in
        let spectra = line.layers.map { layer in
          Spectrum(
            layer: layer,
            points: layer.rows.compactMap { row in
              guard let actual = truth[row], let stretched = stretched[row] else { return nil }
              return Entry(
                frequency: (actual, stretched), delta: values[row], error: errors[row])
            })
        }
        return (line: line, spectra: spectra)
      }
      let images = try table.numbers("n_images").compactMap(\.self).max() ?? 0
      let subtitle = "\(try table.imageCount()); \(Self.words(try table.constant("variant")))"
      return models.compactMap { curves($0.line, $0.spectra, subtitle, images) }
        + [depth(models, subtitle, images)].compactMap(\.self)
    }
  }

  private static func words(_ variant: String) -> String {
    switch FourierSettings.Variant(rawValue: variant) {
    case .diag: "diagonal of the 2D spectrum, mean of log amplitudes over channels"
    case .radial: "rings of the 2D spectrum, mean of log amplitudes over channels"
    case .axis: "axes of the 2D spectrum, mean of log amplitudes over channels"
    case .power: "diagonal of the 2D spectrum, half the log of mean power"
    case nil: "variant \(variant)"
    }
  }

  private var isStretched: Bool {
    source.settings["axis"]?.stringValue != FourierSettings.FrequencyAxis.actual.rawValue
  }

  private func place(_ entry: Entry) -> Double {
    isStretched ? entry.frequency.stretched : entry.frequency.actual
  }

  // MARK: Figures

  private func curves(
    _ line: DepthLine, _ spectra: [Spectrum], _ subtitle: String, _ images: Double
  ) -> Figure? {
    let drawn = spectra.indices.filter { spectra[$0].end != nil }
    guard let first = drawn.first, let last = drawn.last else { return nil }
    // From deep to shallow, so that the first lies on top. The intervals of all lines would hide them.
    var marks = drawn.reversed().map { index -> Mark in
      let (layer, hasBand) = (spectra[index].layer, index == first || index == last)
      let points = spectra[index].points.map {
        Point(place($0), $0.delta, error: hasBand ? $0.error : nil, label: "")
      }
      return .series(
        Series(
          layer.name, points, style: Style(color: Color(0x4D4D4D), width: 1.6),
          paint: .value(layer.depth), inLegend: false, key: source.key(line.model, layer.name)))
    }
    let stem = spectra[first].layer
    if first == 0, stem.kind == "embed", let end = spectra[first].end, let y = end.delta {
      let isMap = source.layer(line.model, stem.name)?.isMap ?? false
      marks.append(.note(x: place(end), y: y, text: isMap ? "Stem" : "Emb"))
    }
    let axis = frequencyAxis(drawn.compactMap { spectra[$0].end?.frequency.actual })
    return Figure(
      name: "fourier_\(source.slug(of: line.model))",
      title: "Relative log amplitudes of Fourier-transformed feature maps: \(line.model)",
      subtitle: images > 1
        ? "\(subtitle); first and last layer with 95 % intervals over images\(axis.remark)"
        : subtitle + axis.remark,
      summary: "One line a layer, colored by depth: how much of each spatial frequency there is "
        + "relative to the constant part.",
      panels: [Figure.Panel(x: axis.axis, y: Axis("Δ Log amplitude"), marks)],
      colorBar: Figure.ColorBar("Normalized depth", .ember))
  }

  /// The axis of maps with these highest frequencies, and what must be said of it: on the reference axis all maps
  /// end at the same place, whatever their highest frequency is.
  private func frequencyAxis(_ ends: [Double]) -> (axis: Axis, remark: String) {
    guard isStretched else { return (.frequency, "") }
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

  private func depth(
    _ models: [(line: DepthLine, spectra: [Spectrum])], _ subtitle: String, _ images: Double
  ) -> Figure? {
    let panels = models.compactMap { line, spectra -> Figure.Panel? in
      guard spectra.contains(where: { $0.end != nil }) else { return nil }
      let points = spectra.map { spectrum in
        Point(
          spectrum.layer.depth, spectrum.end?.delta, error: spectrum.end?.error,
          label: spectrum.layer.name, key: source.key(line.model, spectrum.layer.name))
      }
      let series = Series(
        line.model, points,
        style: Style(
          color: Color(0x4D4D4D), marker: source.style(line.model).marker, width: 2.5),
        paint: .values(spectra.map(\.layer.depth)), interval: .bars, inLegend: false)
      return Figure.Panel(
        title: line.model, x: .depth, y: Axis("Δ Log amplitude"),
        line.shades + DepthLine.stageMarks(of: [line], source) + [.series(series)])
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
