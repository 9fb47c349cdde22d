/// A line of the legend: a sample and a name.
struct LegendEntry: Equatable {
  enum Sample: Equatable {
    case series(Style)
    case area(Style)
    case shade(Color)
    case level(Dash, Color)
  }

  static let sampleWidth = 28.0
  static let padding = 8.0

  var name: String
  var sample: Sample

  /// Whether a legend is worth its room for this entry alone: not for what a title names.
  func isNeeded(in figure: Figure) -> Bool {
    switch sample {
    case .series, .area:
      !figure.title.contains(name) && !figure.panels.contains { $0.title.contains(name) }
    case .shade, .level: true
    }
  }

  /// Every name once, series before lines and shades.
  static func all(_ figure: Figure) -> [LegendEntry] {
    var entries: [LegendEntry] = []
    var last: [LegendEntry] = []
    for mark in figure.panels.flatMap(\.marks) {
      switch mark {
      case .series(let series) where series.inLegend:
        var style = series.style
        if series.paint != .style { style.color = .frame }
        entries.append(LegendEntry(name: series.name, sample: .series(style)))
      case .area(let area): entries.append(LegendEntry(name: area.name, sample: .area(area.style)))
      case .bars(let bars): entries.append(LegendEntry(name: bars.name, sample: .area(bars.style)))
      case .level(_, let name?, let dash):
        last.append(LegendEntry(name: name, sample: .level(dash, .frame)))
      case .position(_, let name?, let dash, let color):
        last.append(LegendEntry(name: name, sample: .level(dash, color)))
      case .shade(let shade):
        last.append(LegendEntry(name: shade.name, sample: .shade(shade.color)))
      default: break
      }
    }
    var unique: [LegendEntry] = []
    for entry in entries + last where !entry.name.isEmpty && !unique.contains(entry) {
      unique.append(entry)
    }
    return unique.map {
      var entry = $0
      entry.name = TextMetrics.shorten(
        $0.name, size: figure.setting.sizes.legend, width: 220)
      return entry
    }
  }

  /// The width of an entry with the space after it.
  static func pitch(_ entries: [LegendEntry], _ sizes: FigureSizes) -> Double {
    let widest = entries.map { TextMetrics.width($0.name, size: sizes.legend) }.max() ?? 0
    return sampleWidth + 8 + widest + 12
  }

  /// The size of a legend with so many entries in a row.
  static func size(
    _ entries: [LegendEntry], columns: Int, sizes: FigureSizes
  ) -> (width: Double, height: Double) {
    let rows = (entries.count + columns - 1) / columns
    return (
      (pitch(entries, sizes) * Double(columns) - 12 + 2 * padding).rounded(.up),
      sizes.legendLine * Double(rows) + 2 * padding - 4
    )
  }

  /// The place, from the top left of the frame, of a box that touches no mark; nil if none is free.
  static func freeCorner(
    width: Double, height: Double, frame: FigureLayout.Frame, marks: [Mark], noteSize: Double
  ) -> (Double, Double)? {
    let plot = frame.plot
    guard width < plot.width * 0.6, height < plot.height * 0.7 else { return nil }
    let inset = 8.0
    let corners = [
      (inset, inset), (plot.width - width - inset, inset),
      (plot.width - width - inset, plot.height - height - inset),
      (inset, plot.height - height - inset),
    ]
    let drawn = marks.flatMap { outline($0, frame, noteSize) }
    return corners.first { x, y in
      !drawn.contains { place in
        (x - 8...x + width + 8).contains(place.x) && (y - 8...y + height + 8).contains(place.y)
      }
    }
  }

  /// Places a few pixels apart along everything that a mark draws.
  private static func outline(
    _ mark: Mark, _ frame: FigureLayout.Frame, _ noteSize: Double
  ) -> [SVGWriter.Place] {
    var lines: [[SVGWriter.Place]] = []
    switch mark {
    case .series(let series):
      for end: (Point) -> Double? in [{ $0.y }, { $0.low }, { $0.high }] {
        lines.append(series.points.compactMap { p in end(p).flatMap { frame.at(p.x, $0) } })
      }
    case .area(let area):
      // The inside too: strokes from the base to the curve.
      for point in area.points {
        guard let y = point.y, let top = frame.at(point.x, y) else { continue }
        lines.append([top, .init(x: top.x, y: frame.plot.bottom)])
      }
    case .bars(let bars):
      for (index, height) in bars.heights.enumerated() {
        for x in [bars.edges[index], bars.edges[index + 1]] {
          guard let top = frame.at(x, height) else { continue }
          lines.append([top, .init(x: top.x, y: frame.plot.bottom)])
        }
      }
    case .level(let value, _, _):
      let y = frame.plot.bottom - frame.y.clamped(value) * frame.plot.height
      lines.append([.init(x: frame.plot.x, y: y), .init(x: frame.plot.right, y: y)])
    case .position(let value, _, _, _):
      let x = frame.plot.x + frame.x.clamped(value) * frame.plot.width
      lines.append([.init(x: x, y: frame.plot.y), .init(x: x, y: frame.plot.bottom)])
    case .note(let x, let y, let text):
      guard let place = frame.at(x, y) else { break }
      let width = TextMetrics.width(text, size: noteSize)
      lines.append([place, .init(x: place.x + width, y: place.y)])
    case .heatMap, .shade: break
    }
    return lines.flatMap(sampled)
  }

  private static func sampled(_ line: [SVGWriter.Place]) -> [SVGWriter.Place] {
    var places = line.prefix(1).map { $0 }
    for (from, to) in zip(line, line.dropFirst()) {
      let length = max((to.x - from.x).magnitude, (to.y - from.y).magnitude)
      let steps = max(1, min(Int(min(length, 4000) / 4), 1000))
      for step in 1...steps {
        let part = Double(step) / Double(steps)
        places.append(
          .init(x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part))
      }
    }
    return places
  }
}

extension FigureDrawing {
  mutating func drawLegend() {
    guard let box = layout.legendBox else { return }
    let sizes = layout.sizes
    svg.begin("g", [("id", id("legend"))])
    if layout.legendIsInside {
      svg.element(
        "rect",
        [
          ("x", SVGWriter.number(box.x)), ("y", SVGWriter.number(box.y)),
          ("width", SVGWriter.number(box.width)), ("height", SVGWriter.number(box.height)),
          ("rx", "3"), ("fill", Color.white.hex), ("fill-opacity", "0.85"),
          ("stroke", Color.grid.hex),
        ])
    }
    for (index, entry) in layout.legend.enumerated() {
      let (row, column) = (index / layout.legendColumns, index % layout.legendColumns)
      let left =
        box.x + LegendEntry.padding + Double(column) * LegendEntry.pitch(layout.legend, sizes)
      let middle = box.y + LegendEntry.padding - 2 + sizes.legendLine * (Double(row) + 0.5)
      let right = left + LegendEntry.sampleWidth
      func swatch(_ color: Color, _ opacity: Double, stroke: Color?) -> [(String, String)] {
        [
          ("x", SVGWriter.number(left + 3)), ("y", SVGWriter.number(middle - 5.5)),
          ("width", SVGWriter.number(LegendEntry.sampleWidth - 6)), ("height", "11"),
          ("fill", color.hex), ("fill-opacity", SVGWriter.number(opacity)),
        ] + (stroke.map { [("stroke", $0.hex)] } ?? [])
      }
      switch entry.sample {
      case .series(let style):
        if style.width > 0 {
          svg.line(
            .init(x: left, y: middle), .init(x: right, y: middle), color: style.color,
            width: style.width * sizes.mark, dash: style.dash, opacity: style.opacity)
        }
        if let marker = style.marker {
          drawMarker(
            marker, at: .init(x: (left + right) / 2, y: middle), style: style,
            color: style.color, tooltip: "")
        }
      case .area(let style):
        svg.element(
          "rect",
          swatch(style.color, FigureDrawing.areaOpacity, stroke: style.color)
            + SVGWriter.dashes(style.dash, width: 1.2))
      case .shade(let color): svg.element("rect", swatch(color, 0.22, stroke: nil))
      case .level(let dash, let color):
        svg.line(
          .init(x: left, y: middle), .init(x: right, y: middle), color: color, width: 1,
          dash: dash)
      }
      svg.label(
        Label(entry.name), at: .init(x: right + 8, y: middle + 4),
        .init(size: sizes.legend))
    }
    svg.end()
  }
}
