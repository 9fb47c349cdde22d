import Reports
import StrictJSON

extension View {
  static let fourier = View(
    id: "fourier", title: "Fourier spectra",
    explanation:
      "How much of each spatial frequency there is in the maps of a layer, relative to the "
      + "constant part: 0 is as much, −7 is a thousandth. Gray strips are steps into self-attention, "
      + "blue ones into subsampling.",
    tables: ["fourier"]
  ) { (run, layers) throws(ResultsError) in
    try FourierFigures(run: run, layers: layers).all
  }
}

/// The spectra of the layers of each model, and their high ends over depth.
struct FourierFigures {
  let run: RunResults
  let layers: LayerIndex

  private struct Spectrum {
    let name: String
    let key: Int?
    let depth: Double
    let kind: String
    let points: [(plot: Double, true: Double, value: Double?, error: Double?)]
    /// At the highest frequency.
    var end: (plot: Double, true: Double, value: Double?, error: Double?)? { points.last }
  }

  var all: [Figure] {
    get throws(ResultsError) {
      guard let table = run.table("fourier") else { return [] }
      let spectra = try spectra(table)
      let drawn = spectra.filter { $0.spectra.contains { $0.end?.value != nil } }
      guard !drawn.isEmpty else { return [] }
      let variants = Set(try table.texts("variant")).sorted().joined(separator: "/")
      let what = "\(imageCount(try table.numbers("n_images"))), variant \(variants)"
      return [depth(drawn, what)] + drawn.map { curves($0.model, $0.spectra, what) }
    }
  }

  private func spectra(
    _ table: CSVTable
  ) throws(ResultsError) -> [(model: String, spectra: [Spectrum])] {
    let (names, kinds, depths) = (
      try table.texts("layer_name"), try table.texts("kind"), try table.numbers("depth")
    )
    let (plot, truth) = (try table.numbers("freq_plot"), try table.numbers("freq_true"))
    let (values, errors) = (
      try table.numbers("delta_log_amp"), try table.numbers("delta_se")
    )
    return try ModelRows.of(table, in: run).map { group in
      (
        group.model,
        ModelRows.groups(group.rows, by: names).map { name, rows in
          Spectrum(
            name: name, key: layers.number(run.number, group.model, name),
            depth: depths[rows[0]] ?? 0, kind: kinds[rows[0]],
            points: rows.compactMap { row in
              plot[row].map { ($0, truth[row] ?? $0, values[row], errors[row]) }
            })
        }
      )
    }
  }

  private func depth(
    _ models: [(model: String, spectra: [Spectrum])], _ what: String
  ) -> Figure {
    let panels = models.map { model, spectra in
      let depths = spectra.map(\.depth)
      let points = spectra.map {
        Point($0.depth, $0.end?.value, error: $0.end?.error, label: $0.name, key: $0.key)
      }
      let style = Style(color: .frame, marker: run.style(model).marker, width: 2.5)
      return Figure.Panel(
        title: model, x: .depth, y: Axis("Δ Log amplitude"),
        shades(depths, spectra.map(\.kind)) + [
          .series(
            Series(
              model, points, style: style, paint: .values(depths), interval: .bars, inLegend: false)
          )
        ])
    }
    return Figure(
      name: "fourier_depth", title: "High-frequency amplitude over depth",
      subtitle:
        "Δ log amplitude at the highest frequency of each map; \(what); bars: 95 % intervals "
        + "over images",
      summary:
        "How much of the highest spatial frequency each layer holds relative to the constant "
        + "part.",
      panels: panels, colorBar: Figure.ColorBar("Normalized depth", .ember))
  }

  private func curves(_ model: String, _ spectra: [Spectrum], _ what: String) -> Figure {
    let isStretched = run.setting("fourier", "axis")?.stringValue != "true"
    let drawn = spectra.filter { $0.end?.value != nil }
    let ends = Set(drawn.compactMap { $0.end?.true })
    // From deep to shallow, so that the first lies on top.
    let marks = drawn.reversed().map { spectrum -> Mark in
      .series(
        Series(
          spectrum.name,
          spectrum.points.map { Point(isStretched ? $0.plot : $0.true, $0.value) },
          style: Style(color: .frame, width: 1.6), paint: .value(spectrum.depth), inLegend: false,
          key: spectrum.key))
    }
    let x: Axis =
      isStretched ? .stretchedFrequency(end: ends.count == 1 ? ends.first : nil) : .frequency
    return Figure(
      name: "fourier_\(model)", title: "Relative log amplitudes: \(model)",
      subtitle: what,
      summary: "One line a layer, colored by depth: how much of each spatial frequency there is.",
      panels: [Figure.Panel(x: x, y: Axis("Δ Log amplitude"), marks)],
      colorBar: Figure.ColorBar("Normalized depth", .ember), panelSize: (380, 230))
  }
}
