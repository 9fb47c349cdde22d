import Glibc
import StrictJSON

extension Figure {
  /// The figure as a Vega-Lite 5 specification with its data inside, for editing and for tools
  /// that draw such specifications. Limits and colours are those of ``svg``.
  public var vegaLite: JSONValue {
    let layout = FigureLayout(self)
    let key = VegaKey(self)
    let panels = zip(panels, layout.frames).map { VegaPanel($0, $1, shownColorBar, key).json }
    let document: JSONValue = [
      "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
      "title": setting.hasTitles
        ? ["text": .string(title), "subtitle": .string(subtitle), "anchor": "start"] : "",
      "description": .string(summary),
      "background": "white",
      "config": [
        "font": .string(setting.families), "view": ["stroke": nil],
        "axis": ["gridColor": .string(Color.grid.hex)],
      ],
      "columns": .integer(layout.columns),
      "concat": .array(panels),
    ]
    return document.displayable
  }
}

extension JSONValue {
  /// The document with U+FFFD for what the drawings that come of it could not hold.
  fileprivate var displayable: JSONValue {
    switch self {
    case .null, .bool, .integer, .real: self
    case .string(let text): .string(text.displayable)
    case .array(let elements): .array(elements.map(\.displayable))
    case .object(let members):
      .object(members.map { Member($0.name.displayable, $0.value.displayable) })
    }
  }
}

/// Every named mark of a figure and how it looks. All panels have the same scales of colour and shape:
/// of different ones Vega-Lite takes the first for all.
private struct VegaKey {
  var names: [String] = []
  var styles: [Style] = []
  /// Those that the legend lists.
  var shown: [String] = []

  init(_ figure: Figure) {
    for mark in figure.panels.flatMap(\.marks) {
      switch mark {
      case .series(let series) where series.paint == .style:
        add(series.name, series.style, isShown: series.inLegend)
      case .area(let area): add(area.name, area.style, isShown: true)
      default: break
      }
    }
  }

  private mutating func add(_ name: String, _ style: Style, isShown: Bool) {
    if !names.contains(name) {
      names.append(name)
      styles.append(style)
    }
    if isShown, !shown.contains(name) { shown.append(name) }
  }

  /// An encoding by name with a value for each.
  func encoding(_ range: [JSONValue]) -> JSONValue {
    [
      "field": "series", "type": "nominal", "title": nil,
      "scale": ["domain": .array(names.map(JSONValue.string)), "range": .array(range)],
      "legend": ["symbolOpacity": 1, "values": .array(shown.map(JSONValue.string))],
    ]
  }

  var color: JSONValue { encoding(styles.map { .string($0.color.hex) }) }
}

/// One panel as a layered view.
private struct VegaPanel {
  let panel: Figure.Panel
  let frame: FigureLayout.Frame
  let bar: Figure.ColorBar?
  let key: VegaKey

  init(
    _ panel: Figure.Panel, _ frame: FigureLayout.Frame, _ bar: Figure.ColorBar?, _ key: VegaKey
  ) {
    self.panel = panel
    self.frame = frame
    self.bar = bar
    self.key = key
  }

  var json: JSONValue {
    var members: [JSONValue.Member] = []
    if !panel.title.isEmpty { members.append(.init("title", .string(panel.title))) }
    members.append(.init("width", .real(frame.plot.width)))
    members.append(.init("height", .real(frame.plot.height)))
    if let map = panel.heatMap {
      members += heat(map)
    } else {
      let layers = shades + curves + painted + areas + bars + lines + notes
      members.append(.init("layer", .array(layers.isEmpty ? [Self.nothing] : layers)))
      if !curves.isEmpty && !painted.isEmpty {
        members.append(.init("resolve", ["scale": ["color": "independent"]]))
      }
    }
    return .object(members)
  }

  /// Vega-Lite wants a layer.
  private static var nothing: JSONValue { ["data": ["values": []], "mark": "point"] }

  // MARK: Encodings

  private func position(_ field: String, _ axis: Axis, _ scale: AxisScale) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("field", .string(field)), .init("type", "quantitative"),
      .init("title", .string(axis.title + (axis.unit.map { " (\($0))" } ?? ""))),
      .init(
        "scale",
        [
          "type": scale.isLog ? "log" : "linear", "domain": [.real(scale.low), .real(scale.high)],
          "nice": false, "zero": false,
        ]),
    ]
    if let ticks = axis.ticks {
      let words = ticks.reversed().reduce("''") { rest, tick in
        let label = JSONValue.string(tick.label).compact
        return "datum.value == \(tick.value) ? \(label) : \(rest)"
      }
      members.append(
        .init(
          "axis",
          ["values": .array(ticks.map { .real($0.value) }), "labelExpr": .string(words)]))
    }
    return .object(members)
  }

  private func x(_ field: String = "x") -> JSONValue { position(field, panel.x, frame.x) }
  private func y(_ field: String = "y") -> JSONValue { position(field, panel.y, frame.y) }

  private var colorBarScale: JSONValue {
    let bar = bar ?? Figure.ColorBar("", .magma)
    let stops = (0...16).map { JSONValue.string(bar.map.color(at: Double($0) / 16).hex) }
    let (low, high) = (bar.range.lowerBound, bar.range.upperBound)
    return [
      "domain": .array((0...16).map { .real(low + (high - low) * Double($0) / 16) }),
      "range": .array(stops), "clamp": true,
    ]
  }

  private func layer(
    _ rows: [JSONValue], _ mark: JSONValue, _ encoding: [JSONValue.Member]
  ) -> JSONValue {
    ["data": ["values": .array(rows)], "mark": mark, "encoding": .object(encoding)]
  }

  /// A value to six digits, more than a drawing shows; null for what does not exist.
  private func number(_ value: Double?) -> JSONValue {
    guard let value, value.isFinite else { return .null }
    guard value != 0 else { return .real(0) }
    let digits = 5 - log10(abs(value)).rounded(.down)
    guard abs(digits) < 300 else { return .real(value) }
    let scale = pow(10, abs(digits))
    return .real(
      digits >= 0 ? (value * scale).rounded() / scale : (value / scale).rounded() * scale)
  }

  // MARK: Marks

  private var shades: [JSONValue] {
    panel.marks.compactMap {
      guard case .shade(let shade) = $0 else { return nil }
      return layer(
        [
          [
            "start": .real(shade.range.lowerBound), "end": .real(shade.range.upperBound),
            "name": .string(shade.name),
          ]
        ],
        ["type": "rect", "color": .string(shade.color.hex), "opacity": 0.15],
        [
          .init("x", x("start")), .init("x2", ["field": "end"]),
          .init("tooltip", ["field": "name"]),
        ])
    }
  }

  private var plain: [Series] {
    panel.marks.compactMap {
      if case .series(let series) = $0, series.paint == .style { series } else { nil }
    }
  }

  /// Series in their own colours: bands, lines and markers of one table.
  private var curves: [JSONValue] {
    guard !plain.isEmpty else { return [] }
    let rows = plain.flatMap { series in
      series.points.map { point -> JSONValue in
        var row: [JSONValue.Member] = [
          .init("series", .string(series.name)), .init("x", number(point.x)),
          .init("y", number(point.y)),
        ]
        if point.low != nil || point.high != nil {
          row += [.init("low", number(point.low)), .init("high", number(point.high))]
        }
        if !point.label.isEmpty { row.append(.init("label", .string(point.label))) }
        if series.style.width > 0 { row.append(.init("line", true)) }
        if series.style.marker != nil { row.append(.init("marked", true)) }
        if series.style.isHollow { row.append(.init("hollow", true)) }
        return .object(row)
      }
    }
    let color = JSONValue.Member("color", key.color)
    let tooltip = JSONValue.Member(
      "tooltip",
      .array(["series", "label", "x", "y", "low", "high"].map { ["field": .string($0)] }))
    var layers: [JSONValue] = []
    if plain.contains(where: { $0.points.contains { $0.low != nil } }) {
      let bands = plain.contains { $0.interval == .band }
      layers.append([
        "mark": bands ? ["type": "area", "opacity": 0.18] : ["type": "rule"],
        "encoding": .object([
          .init("x", x()), .init("y", y("low")), .init("y2", ["field": "high"]), color,
        ]),
      ])
    }
    layers.append(
      [
        "transform": [["filter": "datum.line"]],
        "mark": ["type": "line", "clip": true],
        "encoding": .object([
          .init("x", x()), .init("y", y()), color,
          .init("strokeDash", key.encoding(key.styles.map { Self.dash($0.dash) })),
        ]),
      ])
    for isHollow in [false, true] where plain.contains(where: { $0.style.isHollow == isHollow }) {
      layers.append(
        [
          "transform": [
            ["filter": "datum.marked"],
            ["filter": .string(isHollow ? "datum.hollow" : "!datum.hollow")],
          ],
          "mark": ["type": "point", "filled": .bool(!isHollow), "size": 45, "opacity": 1],
          "encoding": .object([
            .init("x", x()), .init("y", y()), color,
            .init(
              "shape", key.encoding(key.styles.map { .string(Self.shape($0.marker)) })), tooltip,
          ]),
        ])
    }
    return [["data": ["values": .array(rows)], "layer": .array(layers)]]
  }

  /// Series coloured by the colour bar: segments, because a line has one colour.
  private var painted: [JSONValue] {
    var segments: [JSONValue] = []
    var points: [JSONValue] = []
    for case .series(let series) in panel.marks where series.paint != .style {
      func value(_ index: Int) -> Double {
        switch series.paint {
        case .value(let value): value
        case .values(let values): values[index]
        case .style: 0
        }
      }
      for (index, point) in series.points.enumerated() {
        if index > 0 {
          let before = series.points[index - 1]
          if let y1 = before.y, let y2 = point.y, y1.isFinite, y2.isFinite {
            let name = series.inLegend ? [JSONValue.Member("series", .string(series.name))] : []
            segments.append(
              .object(
                name + [
                  .init("x", number(before.x)), .init("y", number(y1)),
                  .init("x2", number(point.x)), .init("y2", number(y2)),
                  .init("value", number((value(index - 1) + value(index)) / 2)),
                ]))
          }
        }
        if series.style.marker != nil {
          points.append([
            "series": .string(series.name), "x": number(point.x), "y": number(point.y),
            "value": number(value(index)), "label": .string(point.label),
            "low": number(point.low), "high": number(point.high),
          ])
        }
      }
    }
    let color: JSONValue = [
      "field": "value", "type": "quantitative", "scale": colorBarScale,
      "legend": ["title": .string(bar?.title ?? "")],
    ]
    var layers: [JSONValue] = []
    if !segments.isEmpty {
      layers.append(
        layer(
          segments, ["type": "rule", "strokeWidth": 2, "clip": true],
          [
            .init("x", x()), .init("y", y()), .init("x2", ["field": "x2"]),
            .init("y2", ["field": "y2"]), .init("color", color),
            .init("tooltip", [["field": "series"], ["field": "value"]]),
          ]))
    }
    if !points.isEmpty {
      layers.append(
        layer(
          points, ["type": "rule"],
          [
            .init("x", x()), .init("y", y("low")), .init("y2", ["field": "high"]),
            .init("color", color),
          ]))
      layers.append(
        layer(
          points, ["type": "point", "filled": true, "size": 45, "opacity": 1],
          [
            .init("x", x()), .init("y", y()), .init("color", color),
            .init("tooltip", [["field": "label"], ["field": "x"], ["field": "y"]]),
          ]))
    }
    return layers
  }

  private var areas: [JSONValue] {
    let areas = panel.marks.compactMap { mark -> Area? in
      if case .area(let area) = mark { area } else { nil }
    }
    guard !areas.isEmpty else { return [] }
    let rows = areas.flatMap { area in
      area.points.map { point -> JSONValue in
        let y = frame.y.isLog ? point.y.map { max($0, frame.y.low) } : point.y
        return ["series": .string(area.name), "x": number(point.x), "y": number(y)]
      }
    }
    let base = frame.y.isLog ? frame.y.low : min(max(0, frame.y.low), frame.y.high)
    return [
      layer(
        rows,
        [
          "type": "area", "line": true, "fillOpacity": .real(FigureDrawing.areaOpacity),
          "clip": true,
        ],
        [
          .init("x", x()), .init("y", y()), .init("y2", ["datum": .real(base)]),
          .init("color", key.color),
        ])
    ]
  }

  private var bars: [JSONValue] {
    panel.marks.compactMap {
      guard case .bars(let bars) = $0 else { return nil }
      let rows = bars.heights.indices.map { index -> JSONValue in
        [
          "start": .real(bars.edges[index]), "end": .real(bars.edges[index + 1]),
          "y": .real(bars.heights[index]), "series": .string(bars.name),
        ]
      }
      return layer(
        rows, ["type": "rect", "color": .string(bars.style.color.hex), "opacity": 0.5],
        [
          .init("x", x("start")), .init("x2", ["field": "end"]), .init("y", y()),
          .init("y2", ["datum": .real(frame.y.isLog ? frame.y.low : 0)]),
          .init("tooltip", [["field": "series"], ["field": "start"], ["field": "y"]]),
        ])
    }
  }

  private var lines: [JSONValue] {
    panel.marks.compactMap {
      switch $0 {
      case .level(let value, let name, let dash):
        layer([["y": .real(value)]], rule(name, dash, .frame), [.init("y", y())])
      case .position(let value, let name, let dash, let color):
        layer([["x": .real(value)]], rule(name, dash, color), [.init("x", x())])
      default: nil
      }
    }
  }

  private func rule(_ name: String?, _ dash: Dash, _ color: Color) -> JSONValue {
    [
      "type": "rule", "color": .string(color.hex), "strokeDash": Self.dash(dash),
      "tooltip": .string(name ?? ""),
    ]
  }

  private var notes: [JSONValue] {
    panel.marks.compactMap {
      guard case .note(let placeX, let placeY, let text) = $0 else { return nil }
      return layer(
        [["x": .real(placeX), "y": .real(placeY), "text": .string(text)]],
        ["type": "text", "align": "left", "dx": 6],
        [.init("x", x()), .init("y", y()), .init("text", ["field": "text"])])
    }
  }

  private func heat(_ map: HeatMap) -> [JSONValue.Member] {
    let rows = map.rowNames.indices.flatMap { row in
      map.columnNames.indices.map { column -> JSONValue in
        [
          "row": .integer(row), "column": .integer(column),
          "row_name": .string(map.rowNames[row]), "column_name": .string(map.columnNames[column]),
          "value": number(map.values[row][column].flatMap { $0.isFinite ? $0 : nil }),
        ]
      }
    }
    func axis(_ field: String, _ axis: Axis, _ names: [String], _ order: String) -> JSONValue {
      let words = JSONValue.array(names.map(JSONValue.string)).compact
      return [
        "field": .string(field), "type": "ordinal", "title": .string(axis.title),
        "sort": .string(order),
        "axis": ["labelExpr": .string("\(words)[datum.value]"), "labelOverlap": true],
      ]
    }
    return [
      .init("data", ["values": .array(rows)]),
      .init("mark", ["type": "rect"]),
      .init(
        "encoding",
        [
          "x": axis("column", panel.x, map.columnNames, "ascending"),
          "y": axis("row", panel.y, map.rowNames, "descending"),
          "color": [
            "condition": ["test": "!isValid(datum.value)", "value": "#bdbdbd"], "field": "value",
            "type": "quantitative", "scale": colorBarScale,
            "legend": ["title": .string(bar?.title ?? "")],
          ],
          "tooltip": [["field": "column_name"], ["field": "row_name"], ["field": "value"]],
        ]),
    ]
  }

  private static func dash(_ dash: Dash) -> JSONValue {
    switch dash {
    case .solid: [1, 0]
    case .dashed: [8, 4]
    case .dotted: [2, 3]
    case .dashDotted: [9, 3, 2, 3]
    }
  }

  private static func shape(_ marker: Marker?) -> String {
    switch marker {
    case nil, .circle?: "circle"
    case .diamond?: "diamond"
    case .square?: "square"
    case .triangle?: "triangle-up"
    case .triangleDown?: "triangle-down"
    case .cross?: "M-.6 -1L0 -.4L.6 -1L1 -.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0L-1 -.6Z"
    case .plus?: "cross"
    }
  }
}
