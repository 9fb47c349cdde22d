extension FigureDrawing {
  private typealias Place = SVGWriter.Place

  /// The colour of a value on the figure's colour bar; gray for none.
  private func painted(_ value: Double) -> Color {
    value.isNaN ? .frame : figure.shownColorBar?.color(value) ?? .frame
  }

  // MARK: Series

  mutating func draw(_ series: Series, in frame: FigureLayout.Frame, clip: String) {
    let style = series.style
    var base = style.color
    if case .value(let value) = series.paint { base = painted(value) }
    svg.begin("g", SVGWriter.key(series.key))
    svg.words("title", series.name)
    if series.interval == .band { drawBand(series, color: base, in: frame, clip: clip) }
    if style.width > 0 { drawLine(series, color: base, in: frame, clip: clip) }
    if series.interval == .bars { drawBars(series, color: base, in: frame, clip: clip) }
    if let marker = style.marker {
      for (index, point) in series.points.enumerated() {
        guard let y = point.y, let place = frame.at(point.x, y), frame.holds(place) else {
          continue
        }
        var color = base
        if case .values(let values) = series.paint { color = painted(values[index]) }
        drawMarker(
          marker, at: place, style: style, color: color, key: point.key,
          tooltip: tooltip(series, point, frame))
      }
    }
    svg.end()
  }

  private func tooltip(_ series: Series, _ point: Point, _ frame: FigureLayout.Frame) -> String {
    func text(_ value: Double) -> String { AxisScale.minus(NumberText.significant(value)) }
    var words = series.name
    if !point.label.isEmpty { words += words.isEmpty ? point.label : ", \(point.label)" }
    words += words.isEmpty ? "" : ": "
    words += "(\(text(point.x)), \(point.y.map(text) ?? "undefined"))"
    if let low = point.low, let high = point.high, low.isFinite, high.isFinite {
      words += " [\(text(low)), \(text(high))]"
    }
    return words
  }

  /// Runs of neighbouring points that have a place.
  private func runs(
    _ points: [Point], _ frame: FigureLayout.Frame, _ value: (Point) -> Double?
  ) -> [[(index: Int, place: Place)]] {
    var runs: [[(index: Int, place: Place)]] = []
    var isOpen = false
    for (index, point) in points.enumerated() {
      guard let y = value(point), let place = frame.at(point.x, y) else {
        isOpen = false
        continue
      }
      if !isOpen { runs.append([]) }
      isOpen = true
      runs[runs.count - 1].append((index, place))
    }
    return runs
  }

  private mutating func drawLine(
    _ series: Series, color: Color, in frame: FigureLayout.Frame, clip: String
  ) {
    let style = series.style
    let width = style.width * layout.sizes.mark
    var common = [
      ("fill", "none"), ("stroke-width", SVGWriter.number(width)),
      ("stroke-linejoin", "round"), ("clip-path", "url(#\(clip))"),
    ]
    common += SVGWriter.dashes(style.dash, width: width)
    if style.dash == .solid { common.append(("stroke-linecap", "round")) }
    if style.opacity < 1 { common.append(("stroke-opacity", SVGWriter.number(style.opacity))) }
    for run in runs(series.points, frame, { $0.y }) where run.count > 1 {
      if case .values(let values) = series.paint {
        for (from, to) in zip(run, run.dropFirst()) {
          let shade = painted((values[from.index] + values[to.index]) / 2)
          svg.element(
            "path",
            [("d", SVGWriter.path([from.place, to.place])), ("stroke", shade.hex)] + common)
        }
      } else {
        svg.element(
          "path", [("d", SVGWriter.path(run.map(\.place))), ("stroke", color.hex)] + common,
          tooltip: series.name)
      }
    }
  }

  private mutating func drawBand(
    _ series: Series, color: Color, in frame: FigureLayout.Frame, clip: String
  ) {
    let hasBoth: (Point) -> Bool = { $0.low?.isFinite == true && $0.high?.isFinite == true }
    let upper = runs(series.points, frame) { hasBoth($0) ? $0.high : nil }
    for run in upper where run.count > 1 {
      let lower = run.reversed().map { entry in
        let point = series.points[entry.index]
        // On a log axis a lower end at or below zero reaches the bottom.
        return frame.at(point.x, point.low ?? 0)
          ?? Place(x: entry.place.x, y: frame.plot.bottom)
      }
      svg.element(
        "path",
        [
          ("d", SVGWriter.path(run.map(\.place) + lower, closed: true)), ("fill", color.hex),
          ("fill-opacity", "0.18"), ("clip-path", "url(#\(clip))"),
        ])
    }
  }

  private mutating func drawBars(
    _ series: Series, color: Color, in frame: FigureLayout.Frame, clip: String
  ) {
    for (index, point) in series.points.enumerated() {
      guard let low = point.low, let high = point.high, let top = frame.at(point.x, high),
        top.x >= frame.plot.x - 0.5, top.x <= frame.plot.right + 0.5
      else { continue }
      let bottom = frame.at(point.x, low) ?? Place(x: top.x, y: frame.plot.bottom)
      var shade = color
      if case .values(let values) = series.paint { shade = painted(values[index]) }
      let (y1, y2) = (
        min(max(bottom.y, frame.plot.y), frame.plot.bottom),
        min(max(top.y, frame.plot.y), frame.plot.bottom)
      )
      let cap = 3 * layout.sizes.mark
      svg.element(
        "path",
        [
          (
            "d",
            SVGWriter.path([Place(x: top.x, y: y1), Place(x: top.x, y: y2)])
              + SVGWriter.path([Place(x: top.x - cap, y: y1), Place(x: top.x + cap, y: y1)])
              + SVGWriter.path([Place(x: top.x - cap, y: y2), Place(x: top.x + cap, y: y2)])
          ),
          ("fill", "none"), ("stroke", shade.hex), ("stroke-width", "1.1"),
        ])
    }
  }

  mutating func drawMarker(
    _ marker: Marker, at place: SVGWriter.Place, style: Style, color: Color, key: Int? = nil,
    tooltip: String
  ) {
    let radius = style.markerSize * layout.sizes.mark / 2
    func shape(_ corners: [(Double, Double)]) -> String {
      SVGWriter.path(
        corners.map { Place(x: place.x + $0.0 * radius, y: place.y + $0.1 * radius) },
        closed: true)
    }
    // A thin white edge keeps neighbours apart.
    var paint =
      style.isHollow
      ? [("fill", Color.white.hex), ("stroke", color.hex), ("stroke-width", "1.3")]
      : [("fill", color.hex), ("stroke", Color.white.hex), ("stroke-width", "0.7")]
    if style.opacity < 1 { paint.append(("opacity", SVGWriter.number(style.opacity))) }
    paint += SVGWriter.key(key)
    let d: String
    switch marker {
    case .circle:
      svg.element(
        "circle",
        [
          ("cx", SVGWriter.number(place.x)), ("cy", SVGWriter.number(place.y)),
          ("r", SVGWriter.number(radius)),
        ] + paint, tooltip: tooltip)
      return
    case .diamond: d = shape([(0, -1.25), (1.1, 0), (0, 1.25), (-1.1, 0)])
    case .square: d = shape([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    case .triangle: d = shape([(0, -1.2), (1.1, 0.85), (-1.1, 0.85)])
    case .triangleDown: d = shape([(0, 1.2), (1.1, -0.85), (-1.1, -0.85)])
    case .plus:
      d = shape([
        (-0.35, -1.1), (0.35, -1.1), (0.35, -0.35), (1.1, -0.35), (1.1, 0.35), (0.35, 0.35),
        (0.35, 1.1), (-0.35, 1.1), (-0.35, 0.35), (-1.1, 0.35), (-1.1, -0.35), (-0.35, -0.35),
      ])
    case .cross:
      d = shape([
        (0, -0.5), (0.6, -1.1), (1.1, -0.6), (0.5, 0), (1.1, 0.6), (0.6, 1.1), (0, 0.5),
        (-0.6, 1.1), (-1.1, 0.6), (-0.5, 0), (-1.1, -0.6), (-0.6, -1.1),
      ])
    }
    svg.element("path", [("d", d)] + paint, tooltip: tooltip)
  }

  // MARK: Areas

  /// Enough for two fills to be told apart also by readers who see no red or no green, and for a
  /// third to show through.
  static let areaOpacity = 0.35

  mutating func draw(_ area: Area, in frame: FigureLayout.Frame, clip: String) {
    let width = max(area.style.width * layout.sizes.mark, 0.5)
    let base = frame.plot.bottom - frame.y.clamped(0) * frame.plot.height
    for run in runs(
      area.points, frame,
      { point in
        // Nothing is a density of zero: on a log axis, the floor.
        point.y.map { frame.y.isLog && $0 <= 0 ? frame.y.low : $0 }
      }) where run.count > 1
    {
      let curve = run.map(\.place)
      let fill =
        curve + [Place(x: curve[curve.count - 1].x, y: base), Place(x: curve[0].x, y: base)]
      svg.element(
        "path",
        [
          ("d", SVGWriter.path(fill, closed: true)), ("fill", area.style.color.hex),
          ("fill-opacity", SVGWriter.number(Self.areaOpacity)), ("clip-path", "url(#\(clip))"),
        ], tooltip: area.name)
      svg.element(
        "path",
        [
          ("d", SVGWriter.path(curve)), ("fill", "none"), ("stroke", area.style.color.hex),
          ("stroke-width", SVGWriter.number(width)),
          ("stroke-linejoin", "round"), ("clip-path", "url(#\(clip))"),
        ] + SVGWriter.dashes(area.style.dash, width: width), tooltip: area.name)
    }
  }

  mutating func draw(_ bars: Bars, in frame: FigureLayout.Frame, clip: String) {
    let base = frame.plot.bottom - frame.y.clamped(0) * frame.plot.height
    svg.begin("g", [("clip-path", "url(#\(clip))")])
    for (index, height) in bars.heights.enumerated() {
      guard let top = frame.at(bars.edges[index], height),
        let right = frame.x.place(bars.edges[index + 1])
      else { continue }
      let end = frame.plot.x + right * frame.plot.width
      func text(_ value: Double) -> String { AxisScale.minus(NumberText.significant(value)) }
      svg.element(
        "rect",
        [
          ("x", SVGWriter.number(min(top.x, end))), ("y", SVGWriter.number(min(top.y, base))),
          ("width", SVGWriter.number((end - top.x).magnitude)),
          ("height", SVGWriter.number((base - top.y).magnitude)), ("fill", bars.style.color.hex),
          ("fill-opacity", SVGWriter.number(Self.areaOpacity)),
          ("stroke", bars.style.color.hex), ("stroke-width", "0.8"),
        ],
        tooltip: "\(bars.name), \(text(bars.edges[index])) to \(text(bars.edges[index + 1])): "
          + text(height))
    }
    svg.end()
  }

  // MARK: Strips, lines, words

  /// The strips of a panel. Where there are many, or narrow ones, they would be a comb that hides the
  /// curves: a rule along the upper edge then says the same.
  mutating func drawShades(_ panel: Figure.Panel, in frame: FigureLayout.Frame) {
    let shades = panel.marks.compactMap { mark -> Shade? in
      if case .shade(let shade) = mark { shade } else { nil }
    }
    let narrowest = shades.map { shade in
      (frame.x.clamped(shade.range.upperBound) - frame.x.clamped(shade.range.lowerBound))
        * frame.plot.width
    }.min()
    let isComb = shades.count > 16 || (narrowest ?? 10) < 5
    for shade in shades { draw(shade, in: frame, asRule: isComb) }
  }

  private mutating func draw(_ shade: Shade, in frame: FigureLayout.Frame, asRule: Bool) {
    let left = frame.x.clamped(shade.range.lowerBound) * frame.plot.width
    let right = frame.x.clamped(shade.range.upperBound) * frame.plot.width
    guard right > left else { return }
    svg.element(
      "rect",
      [
        ("x", SVGWriter.number(frame.plot.x + left)), ("y", SVGWriter.number(frame.plot.y)),
        ("width", SVGWriter.number(right - left)),
        ("height", SVGWriter.number(asRule ? 5 : frame.plot.height)), ("fill", shade.color.hex),
        ("fill-opacity", asRule ? "0.6" : "0.15"),
      ], tooltip: shade.name)
  }

  mutating func drawLine(across frame: FigureLayout.Frame, level: Double, dash: Dash) {
    guard let up = frame.y.place(level), (0...1).contains(up) else { return }
    let y = frame.plot.bottom - up * frame.plot.height
    svg.line(
      .init(x: frame.plot.x, y: y), .init(x: frame.plot.right, y: y), color: .frame, width: 1,
      dash: dash)
  }

  mutating func drawLine(
    up frame: FigureLayout.Frame, position: Double, dash: Dash, color: Color
  ) {
    guard let right = frame.x.place(position), (0...1).contains(right) else { return }
    let x = frame.plot.x + right * frame.plot.width
    svg.line(
      .init(x: x, y: frame.plot.y), .init(x: x, y: frame.plot.bottom), color: color, width: 1,
      dash: dash)
  }

  mutating func drawNote(_ text: String, x: Double, y: Double, in frame: FigureLayout.Frame) {
    guard let place = frame.at(x, y), frame.holds(place) else { return }
    svg.label(
      Label(text), at: .init(x: place.x + 6, y: place.y + 3.5),
      .init(size: layout.sizes.note, color: .mutedInk))
  }
}

extension FigureLayout.Frame {
  /// Whether a place is inside the axes or on them.
  func holds(_ place: SVGWriter.Place) -> Bool {
    place.x >= plot.x - 0.5 && place.x <= plot.right + 0.5 && place.y >= plot.y - 0.5
      && place.y <= plot.bottom + 0.5
  }
}
