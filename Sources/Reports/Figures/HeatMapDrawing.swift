extension Figure.Panel {
  var heatMap: HeatMap? {
    for case .heatMap(let map) in marks { return map }
    return nil
  }

  /// What the reader of a heat map must know besides its colours.
  func remarks(colorRange: ClosedRange<Double>?) -> [String] {
    guard let map = heatMap else { return [] }
    let range = colorRange ?? 0...1
    let cells = map.values.joined()
    let values = cells.compactMap { $0 }.filter(\.isFinite)
    var remarks: [String] = []
    func limit(_ value: Double) -> String { AxisScale.minus(NumberText.trimmed(value, 3)) }
    func extreme(_ value: Double) -> String {
      AxisScale.minus(NumberText.significant(value, digits: 2))
    }
    let below = values.filter { $0 < range.lowerBound }
    if let least = below.min() {
      remarks.append(
        "\(below.count) value\(below.count == 1 ? "" : "s") below \(limit(range.lowerBound)) "
          + "(least \(extreme(least))) drawn as \(limit(range.lowerBound))")
    }
    let above = values.filter { $0 > range.upperBound }
    // What rounding alone puts above the limit is not worth a word.
    if let greatest = above.max(), greatest > range.upperBound + 1e-6 {
      remarks.append(
        "\(above.count) value\(above.count == 1 ? "" : "s") above \(limit(range.upperBound)) "
          + "(greatest \(extreme(greatest))) drawn as \(limit(range.upperBound))")
    }
    let missing = cells.count - values.count
    if missing > 0 { remarks.append("Hatched: undefined (\(missing))") }
    return remarks
  }
}

extension HeatMap {
  /// The longest name written in full beside an axis, in pixels.
  private static let nameLimit = 120.0

  /// The names as shown: without the components that all of them share at the start or the end, if
  /// some would be cut otherwise.
  static func shown(_ names: [String]) -> [String] {
    let isLong = names.contains {
      TextMetrics.width($0, size: FigureLayout.Size.cell) > nameLimit
    }
    guard isLong, names.count > 1, let first = names.first else { return names }
    var parts = names.map { $0.split(separator: ".", omittingEmptySubsequences: false) }
    let count = first.split(separator: ".", omittingEmptySubsequences: false).count
    for _ in 0..<count {
      guard let head = parts[0].first, parts.allSatisfy({ $0.count > 1 && $0.first == head })
      else { break }
      parts = parts.map { Array($0.dropFirst()) }
    }
    for _ in 0..<count {
      guard let tail = parts[0].last, parts.allSatisfy({ $0.count > 1 && $0.last == tail })
      else { break }
      parts = parts.map { Array($0.dropLast()) }
    }
    return parts.map { $0.joined(separator: ".") }
  }

  /// Whether the names of columns are too long to stand upright.
  var turnsColumnNames: Bool {
    Self.shown(columnNames).contains { TextMetrics.width($0, size: FigureLayout.Size.cell) > 24 }
  }

  /// Scales over cell indices, with as many names as fit.
  func scales(_ panel: Figure.Panel, cell: Double) -> (x: AxisScale, y: AxisScale) {
    func axis(_ title: Axis, _ names: [String], need: Double) -> AxisScale {
      let steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
      let step = steps.first { Double($0) * cell >= need } ?? 2000
      let ticks = stride(from: 0, to: names.count, by: step).map { index in
        Axis.Tick(
          Double(index),
          TextMetrics.shorten(names[index], size: FigureLayout.Size.cell, width: Self.nameLimit))
      }
      let limits = -0.5...(Double(names.count) - 0.5)
      return AxisScale(
        Axis(title.title, unit: title.unit, range: limits, ticks: ticks), extent: Extent(),
        length: cell * Double(names.count), margin: 0, spacing: 1, isHorizontal: false,
        fontSize: FigureLayout.Size.cell)
    }
    let columns = Self.shown(columnNames)
    let widest = columns.map { TextMetrics.width($0, size: FigureLayout.Size.cell) }.max() ?? 0
    let line = FigureLayout.Size.cell + 2
    return (
      axis(panel.x, columns, need: turnsColumnNames ? line : max(widest + 5, line)),
      axis(panel.y, Self.shown(rowNames), need: line)
    )
  }
}

extension FigureDrawing {
  mutating func draw(_ map: HeatMap, in frame: FigureLayout.Frame) {
    let plot = frame.plot
    let rows = map.rowNames.count
    let columns = map.columnNames.count
    let cell = plot.width / Double(columns)
    let bar = figure.colorBar ?? Figure.ColorBar("", .magma)
    let side = SVGWriter.number(cell)
    let columnNames = HeatMap.shown(map.columnNames)
    let rowNames = HeatMap.shown(map.rowNames)

    svg.begin("g", [("shape-rendering", "crispEdges")])
    for row in 0..<rows {
      for column in 0..<columns {
        let value = map.values[row][column].flatMap { $0.isFinite ? $0 : nil }
        let fill = value.map { bar.color($0).hex } ?? "url(#\(id("hatch")))"
        let text = value.map { AxisScale.minus(NumberText.significant($0)) } ?? "undefined"
        svg.element(
          "rect",
          [
            ("x", SVGWriter.number(plot.x + Double(column) * cell)),
            ("y", SVGWriter.number(plot.bottom - Double(row + 1) * cell)), ("width", side),
            ("height", side), ("fill", fill),
          ], tooltip: "\(columnNames[column]) × \(rowNames[row]): \(text)")
      }
    }
    svg.end()
    drawStages(of: map, cell: cell, plot: plot)
  }

  /// Thin white lines between stages, their names above and to the right.
  private mutating func drawStages(of map: HeatMap, cell: Double, plot: FigureLayout.Rectangle) {
    func spans(_ stages: [HeatMap.Stage], _ count: Int) -> [(ClosedRange<Double>, String)] {
      let ordered = stages.filter { (0..<count).contains($0.start) }
        .sorted { $0.start < $1.start }
      return ordered.indices.map { index in
        let end = index + 1 < ordered.count ? ordered[index + 1].start : count
        return (Double(ordered[index].start) * cell...Double(end) * cell, ordered[index].name)
      }
    }
    let font = SVGWriter.Font(size: FigureLayout.Size.cell, color: .mutedInk)
    func fitted(_ name: String, _ span: ClosedRange<Double>) -> Label {
      let room = span.upperBound - span.lowerBound - 2
      guard room >= 8 else { return Label("") }
      return Label(TextMetrics.shorten(name, size: font.size, width: room))
    }
    for (span, name) in spans(map.columnStages, map.columnNames.count) {
      let middle = plot.x + (span.lowerBound + span.upperBound) / 2
      if span.lowerBound > 0 {
        let x = plot.x + span.lowerBound
        svg.line(
          .init(x: x, y: plot.y), .init(x: x, y: plot.bottom), color: .white, width: 1)
      }
      svg.label(fitted(name, span), at: .init(x: middle, y: plot.y - 6), font, anchor: .middle)
    }
    for (span, name) in spans(map.rowStages, map.rowNames.count) {
      let middle = plot.bottom - (span.lowerBound + span.upperBound) / 2
      if span.lowerBound > 0 {
        let y = plot.bottom - span.lowerBound
        svg.line(
          .init(x: plot.x, y: y), .init(x: plot.right, y: y), color: .white, width: 1)
      }
      svg.label(
        fitted(name, span), at: .init(x: plot.right + 7, y: middle), font, anchor: .middle,
        turn: 90)
    }
  }
}
