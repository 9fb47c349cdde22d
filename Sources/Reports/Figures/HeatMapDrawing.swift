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
  /// The names as shown: without the components that all of them share at the start or the end, if
  /// some would be cut otherwise.
  static func shown(_ names: [String], _ sizes: FigureSizes) -> [String] {
    let isLong = names.contains {
      TextMetrics.width($0, size: sizes.cell) > sizes.longestName
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
  func turnsColumnNames(_ sizes: FigureSizes) -> Bool {
    Self.shown(columnNames, sizes).contains { TextMetrics.width($0, size: sizes.cell) > 24 }
  }

  /// Scales over cell indices, with as many names as fit.
  func scales(
    _ panel: Figure.Panel, cell: Double, sizes: FigureSizes
  ) -> (x: AxisScale, y: AxisScale) {
    func axis(_ title: Axis, _ names: [String], need: Double) -> AxisScale {
      let steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
      let step = steps.first { Double($0) * cell >= need } ?? 2000
      let ticks = stride(from: 0, to: names.count, by: step).map { index in
        Axis.Tick(
          Double(index),
          TextMetrics.shorten(names[index], size: sizes.cell, width: sizes.longestName))
      }
      let limits = -0.5...(Double(names.count) - 0.5)
      return AxisScale(
        Axis(title.title, unit: title.unit, range: limits, ticks: ticks), extent: Extent(),
        length: cell * Double(names.count), margin: 0, spacing: 1, isHorizontal: false,
        fontSize: sizes.cell)
    }
    let columns = Self.shown(columnNames, sizes)
    let widest = columns.map { TextMetrics.width($0, size: sizes.cell) }.max() ?? 0
    let line = sizes.cell + 2
    return (
      axis(panel.x, columns, need: turnsColumnNames(sizes) ? line : max(widest + 5, line)),
      axis(panel.y, Self.shown(rowNames, sizes), need: line)
    )
  }
}

extension FigureDrawing {
  mutating func draw(_ map: HeatMap, in frame: FigureLayout.Frame) {
    let plot = frame.plot
    let rows = map.rowNames.count
    let columns = map.columnNames.count
    let cell = plot.width / Double(columns)
    let bar = figure.shownColorBar ?? Figure.ColorBar("", .magma)
    let side = SVGWriter.number(cell)
    let columnNames = HeatMap.shown(map.columnNames, layout.sizes)
    let rowNames = HeatMap.shown(map.rowNames, layout.sizes)

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
          ] + SVGWriter.key(map.keys?.columns[column], as: "column")
            + SVGWriter.key(map.keys?.rows[row], as: "row"),
          tooltip: "\(columnNames[column]) × \(rowNames[row]): \(text)")
      }
    }
    svg.end()
    drawStages(of: map, cell: cell, plot: plot)
  }

  /// Dotted lines between stages, white on dark so that they show on any colour, with the names of
  /// stages above and to the right.
  private mutating func drawStages(of map: HeatMap, cell: Double, plot: FigureLayout.Rectangle) {
    let font = SVGWriter.Font(size: layout.sizes.cell, color: .mutedInk)
    func line(_ from: SVGWriter.Place, _ to: SVGWriter.Place) {
      svg.line(from, to, color: .ink, width: 2.4)
      svg.line(from, to, color: .white, width: 1.2, dash: .dotted)
    }
    let columns = map.spans(map.columnStages, of: map.columnNames.count, cell: cell, font.size)
    // Numbers alone: what they count stands before them.
    if let word = columns.first?.word {
      svg.label(Label(word), at: .init(x: plot.x - 5, y: plot.y - 6), font, anchor: .end)
    }
    for span in columns {
      if span.start > 0 {
        let x = plot.x + span.start
        line(.init(x: x, y: plot.y), .init(x: x, y: plot.bottom))
      }
      let middle = plot.x + (span.start + span.end) / 2
      svg.label(Label(span.name), at: .init(x: middle, y: plot.y - 6), font, anchor: .middle)
    }
    for span in map.spans(map.rowStages, of: map.rowNames.count, cell: cell, font.size) {
      if span.start > 0 {
        let y = plot.bottom - span.start
        line(.init(x: plot.x, y: y), .init(x: plot.right, y: y))
      }
      let middle = plot.bottom - (span.start + span.end) / 2
      svg.label(
        Label(span.name), at: .init(x: plot.right + font.size * 0.7, y: middle), font,
        anchor: .middle, turn: 90)
    }
  }
}

extension HeatMap {
  /// Where the stages of an axis lie, in pixels from its start, and what is written there: their names;
  /// where one of those has no room, the last word of each ("2" of "stage 2"); no word that would
  /// still run into the next.
  fileprivate func spans(
    _ stages: [Stage], of count: Int, cell: Double, _ size: Double
  ) -> [(start: Double, end: Double, name: String, word: String?)] {
    let ordered = stages.filter { (0..<count).contains($0.start) }.sorted { $0.start < $1.start }
    let ends = ordered.dropFirst().map(\.start) + [count]
    let rooms = zip(ordered, ends).map { Double($1 - $0.start) * cell - 2 }
    func fits(_ names: [String]) -> Bool {
      zip(names, rooms).allSatisfy { TextMetrics.width($0, size: size) <= $1 }
    }
    var names = ordered.map(\.name)
    var word: String?
    if !fits(names) {
      word = names.first.flatMap { $0.split(separator: " ").dropLast().first.map(String.init) }
      names = names.map { $0.split(separator: " ").last.map(String.init) ?? "" }
    }
    return ordered.indices.map { index in
      (
        Double(ordered[index].start) * cell, Double(ends[index]) * cell,
        TextMetrics.width(names[index], size: size) <= rooms[index] + 2 ? names[index] : "",
        word
      )
    }
  }
}
