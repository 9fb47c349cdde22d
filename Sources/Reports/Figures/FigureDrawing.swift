extension Figure {
  /// The figure as an SVG 1.1 document: the same bytes for the same value; a title and a
  /// description for screen readers; a tooltip on every mark; no scripts, no style sheet, nothing
  /// from outside. Every id begins with the figure's name.
  public var svg: String {
    var drawing = FigureDrawing(self)
    return drawing.document()
  }
}

/// A figure being drawn.
struct FigureDrawing {
  let figure: Figure
  let layout: FigureLayout
  let slug: String
  var svg = SVGWriter()

  init(_ figure: Figure) {
    self.figure = figure
    layout = FigureLayout(figure)
    let letters = figure.name.lowercased().map { character in
      character.isASCII && (character.isLetter || character.isNumber) ? character : "-"
    }
    slug = "fig-" + String(letters)
  }

  func id(_ part: String) -> String { "\(slug)-\(part)" }

  mutating func document() -> String {
    let width = SVGWriter.number(layout.width)
    let height = SVGWriter.number(layout.height)
    svg.begin(
      "svg",
      [
        ("xmlns", "http://www.w3.org/2000/svg"), ("id", slug), ("width", width),
        ("height", height), ("viewBox", "0 0 \(width) \(height)"), ("role", "img"),
        ("aria-labelledby", "\(id("title")) \(id("desc"))"),
        ("font-family", figure.setting.families),
      ])
    svg.words("title", figure.title, [("id", id("title"))])
    let summary = [figure.subtitle, figure.summary].filter { !$0.isEmpty }
    svg.words("desc", summary.joined(separator: ". "), [("id", id("desc"))])
    drawDefinitions()
    svg.element("rect", [("width", width), ("height", height), ("fill", Color.white.hex)])
    drawHeader()
    for index in figure.panels.indices { drawPanel(index) }
    drawColorBar()
    drawLegend()
    svg.end()
    return svg.text
  }

  private mutating func drawDefinitions() {
    svg.begin("defs")
    for (index, frame) in layout.frames.enumerated() {
      svg.begin("clipPath", [("id", id("clip-\(index)"))])
      svg.element("rect", Self.box(frame.plot))
      svg.end()
    }
    if figure.panels.contains(where: { $0.heatMap != nil }) {
      svg.begin(
        "pattern",
        [
          ("id", id("hatch")), ("width", "6"), ("height", "6"),
          ("patternUnits", "userSpaceOnUse"), ("patternTransform", "rotate(45)"),
        ])
      svg.element("rect", [("width", "6"), ("height", "6"), ("fill", "#f2f2f2")])
      svg.element(
        "line",
        [
          ("x1", "0"), ("y1", "0"), ("x2", "0"), ("y2", "6"), ("stroke", "#8c8c8c"),
          ("stroke-width", "2"),
        ])
      svg.end()
    }
    if let bar = figure.shownColorBar {
      svg.begin(
        "linearGradient",
        [("id", id("scale")), ("x1", "0"), ("y1", "1"), ("x2", "0"), ("y2", "0")])
      for step in 0...32 {
        svg.element(
          "stop",
          [
            ("offset", SVGWriter.number(Double(step) / 32)),
            ("stop-color", bar.map.color(at: Double(step) / 32).hex),
          ])
      }
      svg.end()
    }
    svg.end()
  }

  private mutating func drawHeader() {
    let sizes = layout.sizes
    var y = sizes.margin - 4
    for line in layout.titleLines {
      y += sizes.titleLine
      svg.label(
        Label(line), at: .init(x: sizes.margin, y: y - 2), .init(size: sizes.title, bold: true))
    }
    y += 1
    for line in layout.subtitleLines {
      y += sizes.subtitleLine
      svg.label(
        Label(line), at: .init(x: sizes.margin, y: y),
        .init(size: sizes.subtitle, color: .mutedInk))
    }
  }

  private mutating func drawPanel(_ index: Int) {
    let panel = figure.panels[index]
    let frame = layout.frames[index]
    let clip = id("clip-\(index)")
    svg.begin("g", [("id", id("panel-\(index)"))])
    drawShades(panel, in: frame)
    if panel.heatMap == nil { drawGrid(frame) }
    for mark in panel.marks {
      switch mark {
      case .series(let series): draw(series, in: frame, clip: clip)
      case .heatMap(let map): draw(map, in: frame)
      case .area(let area): draw(area, in: frame, clip: clip)
      case .bars(let bars): draw(bars, in: frame, clip: clip)
      case .level(let value, _, let dash): drawLine(across: frame, level: value, dash: dash)
      case .position(let value, _, let dash, let color):
        drawLine(up: frame, position: value, dash: dash, color: color)
      case .note(let x, let y, let text): drawNote(text, x: x, y: y, in: frame)
      case .shade: break
      }
    }
    drawAxes(panel, frame)
    svg.end()
  }

  private mutating func drawGrid(_ frame: FigureLayout.Frame) {
    let plot = frame.plot
    for tick in frame.y.ticks {
      let y = plot.bottom - tick.place * plot.height
      svg.line(.init(x: plot.x, y: y), .init(x: plot.right, y: y), color: .grid, width: 0.8)
    }
    for tick in frame.x.ticks {
      let x = plot.x + tick.place * plot.width
      svg.line(.init(x: x, y: plot.y), .init(x: x, y: plot.bottom), color: .grid, width: 0.8)
    }
  }

  private mutating func drawAxes(_ panel: Figure.Panel, _ frame: FigureLayout.Frame) {
    let plot = frame.plot
    let isHeat = panel.heatMap != nil
    let sizes = layout.sizes
    let size = isHeat ? sizes.cell : sizes.tick
    let tickLength = sizes.tickLength
    let font = SVGWriter.Font(size: size)

    svg.element(
      "path",
      [
        (
          "d",
          isHeat
            ? SVGWriter.path(
              [
                .init(x: plot.x, y: plot.y), .init(x: plot.right, y: plot.y),
                .init(x: plot.right, y: plot.bottom), .init(x: plot.x, y: plot.bottom),
              ], closed: true)
            : SVGWriter.path([
              .init(x: plot.x, y: plot.y), .init(x: plot.x, y: plot.bottom),
              .init(x: plot.right, y: plot.bottom),
            ])
        ),
        ("fill", "none"), ("stroke", Color.frame.hex), ("stroke-width", "1"),
      ])
    for tick in frame.x.ticks {
      let x = plot.x + tick.place * plot.width
      svg.line(
        .init(x: x, y: plot.bottom), .init(x: x, y: plot.bottom + tickLength), color: .frame,
        width: 1)
      guard frame.showsX else { continue }
      if frame.turnsX {
        svg.label(
          tick.label, at: .init(x: x + size * 0.35, y: plot.bottom + tickLength + 3), font,
          anchor: .end, turn: -90)
      } else {
        svg.label(
          tick.label, at: .init(x: x, y: plot.bottom + tickLength + 3 + size * 0.9), font,
          anchor: .middle)
      }
    }
    for place in frame.x.minor {
      let x = plot.x + place * plot.width
      svg.line(
        .init(x: x, y: plot.bottom), .init(x: x, y: plot.bottom + 2), color: .frame, width: 0.7)
    }
    for tick in frame.y.ticks {
      let y = plot.bottom - tick.place * plot.height
      svg.line(
        .init(x: plot.x - tickLength, y: y), .init(x: plot.x, y: y), color: .frame, width: 1)
      guard frame.showsY else { continue }
      svg.label(
        tick.label, at: .init(x: plot.x - tickLength - 3, y: y + size * 0.35), font, anchor: .end)
    }
    for place in frame.y.minor {
      let y = plot.bottom - place * plot.height
      svg.line(.init(x: plot.x - 2, y: y), .init(x: plot.x, y: y), color: .frame, width: 0.7)
    }

    let middle = plot.x + plot.width / 2
    let title = SVGWriter.Font(size: sizes.axisTitle)
    if frame.showsX {
      for (line, words) in FigureLayout.titleLines(frame.x, plot.width, sizes).enumerated() {
        let down = plot.bottom + frame.margins.xTitle - 2 + Double(line) * sizes.axisTitleLine
        svg.label(words, at: .init(x: middle, y: down), title, anchor: .middle)
      }
    }
    if frame.showsY {
      // The last line is next to the axis.
      let lines = FigureLayout.titleLines(frame.y, plot.height, sizes)
      for (line, words) in lines.enumerated() {
        let left = frame.margins.yTitle + Double(lines.count - 1 - line) * sizes.axisTitleLine
        svg.label(
          words, at: .init(x: plot.x - left, y: plot.y + plot.height / 2), title,
          anchor: .middle, turn: -90)
      }
    }
    if !panel.title.isEmpty {
      let stages = panel.heatMap?.columnStages.isEmpty == false ? sizes.cell + 6 : 0
      svg.label(
        Label(panel.shownTitle(plot.width, sizes)),
        at: .init(x: middle, y: plot.y - 9 - stages),
        .init(size: sizes.panelTitle, bold: true), anchor: .middle)
    }
    for (line, remark) in frame.margins.remarks.enumerated() {
      svg.label(
        Label(remark),
        at: .init(
          x: plot.x, y: plot.bottom + frame.margins.remarksTop + Double(line) * sizes.noteLine + 9),
        .init(size: sizes.note, color: .mutedInk, italic: true))
    }
  }

  private mutating func drawColorBar() {
    guard let bar = figure.shownColorBar, let box = layout.colorBar,
      let scale = layout.colorBarScale
    else { return }
    svg.begin("g", [("id", id("bar"))])
    svg.element(
      "rect",
      Self.box(box) + [
        ("fill", "url(#\(id("scale")))"), ("stroke", Color.frame.hex), ("stroke-width", "0.8"),
      ],
      tooltip: bar.title)
    let sizes = layout.sizes
    let font = SVGWriter.Font(size: sizes.tick)
    var widest = 0.0
    for tick in scale.ticks {
      let y = box.bottom - tick.place * box.height
      svg.line(
        .init(x: box.right, y: y), .init(x: box.right + sizes.tickLength, y: y),
        color: .frame, width: 1)
      svg.label(
        tick.label,
        at: .init(x: box.right + sizes.tickLength + 3, y: y + font.size * 0.35), font)
      widest = max(widest, tick.label.width(size: font.size))
    }
    svg.label(
      scale.title,
      at: .init(
        x: box.right + sizes.tickLength + 3 + widest + 4 + sizes.axisTitle * 0.9,
        y: box.y + box.height / 2),
      .init(size: sizes.axisTitle), anchor: .middle, turn: -90)
    svg.end()
  }

  private static func box(_ box: FigureLayout.Rectangle) -> [(String, String)] {
    [
      ("x", SVGWriter.number(box.x)), ("y", SVGWriter.number(box.y)),
      ("width", SVGWriter.number(box.width)), ("height", SVGWriter.number(box.height)),
    ]
  }
}
