/// Where everything stands on the page: computed from the lengths of the labels, so that nothing
/// is cut off and nothing overlaps.
struct FigureLayout {
  enum Size {
    static let margin = 16.0
    static let title = 15.0
    static let subtitle = 11.5
    static let panelTitle = 13.0
    static let axisTitle = 12.5
    static let tick = 11.0
    static let cell = 10.0
    static let legend = 11.5
    static let note = 10.5
    static let tickLength = 4.0
    static let barWidth = 13.0
  }

  struct Rectangle {
    var x: Double
    var y: Double
    var width: Double
    var height: Double
    var right: Double { x + width }
    var bottom: Double { y + height }
  }

  /// A panel's place and scales.
  struct Frame {
    var plot: Rectangle
    var x: AxisScale
    var y: AxisScale
    var showsX: Bool
    var showsY: Bool
    /// Ticks with words turned by a quarter.
    var turnsX: Bool
    var margins: Margins

    func at(_ x: Double, _ y: Double) -> SVGWriter.Place? {
      guard let right = self.x.place(x), let up = self.y.place(y) else { return nil }
      return .init(x: plot.x + right * plot.width, y: plot.bottom - up * plot.height)
    }
  }

  struct Margins {
    var left = 0.0
    var right = 0.0
    var top = 0.0
    var bottom = 0.0
    /// From the frame to the base line of the x title, and to the notes under it.
    var xTitle = 0.0
    var yTitle = 0.0
    /// Lines under the axis, the first at this distance from the frame.
    var remarks: [String] = []
    var remarksTop = 0.0
  }

  let titleLines: [String]
  let subtitleLines: [String]
  let frames: [Frame]
  let legend: [LegendEntry]
  /// The corner of the legend; nil: there is none.
  let legendBox: Rectangle?
  let legendIsInside: Bool
  let colorBar: Rectangle?
  let colorBarScale: AxisScale?
  let width: Double
  let height: Double

  init(_ figure: Figure) {
    let columns = figure.columns
    let rows = (figure.panels.count + columns - 1) / columns
    let sizes = Self.plotSizes(figure)
    let scales = Self.scales(figure, sizes)

    // Margins of each panel.
    var margins: [Margins] = []
    var shows: [(x: Bool, y: Bool)] = []
    for (index, panel) in figure.panels.enumerated() {
      let isHeat = panel.heatMap != nil
      let isLowest = index + columns >= figure.panels.count
      let showsX = isHeat || !figure.sharesX || isLowest
      let showsY = isHeat || !figure.sharesY || index % columns == 0
      shows.append((showsX, showsY))
      margins.append(
        Self.margins(
          panel, x: scales[index].x, y: scales[index].y, plot: sizes[index], showsX: showsX,
          showsY: showsY, titled: figure.panels.contains { !$0.title.isEmpty },
          colorRange: figure.colorBar?.range))
    }

    // Columns are as wide as their widest panel; rows as high as their highest.
    func greatest(_ values: [Double]) -> Double { values.max() ?? 0 }
    let indices = figure.panels.indices
    let columnIndices = (0..<columns).map { column in indices.filter { $0 % columns == column } }
    let rowIndices = (0..<rows).map { row in indices.filter { $0 / columns == row } }
    let left = columnIndices.map { greatest($0.map { margins[$0].left }) }
    let inner = columnIndices.map { greatest($0.map { sizes[$0].width }) }
    let right = columnIndices.map { greatest($0.map { margins[$0].right }) }
    let top = rowIndices.map { greatest($0.map { margins[$0].top }) }
    let innerHeight = rowIndices.map { greatest($0.map { sizes[$0].height }) }
    let bottom = rowIndices.map { greatest($0.map { margins[$0].bottom }) }

    let gap = 18.0
    let gridWidth =
      left.reduce(0, +) + inner.reduce(0, +) + right.reduce(0, +) + gap * Double(columns - 1)
    var contentRight = Size.margin + gridWidth

    // Keys to the right: the colour bar, then the legend.
    var barX: Double?
    if let bar = figure.colorBar {
      let scale = AxisScale(
        Axis(bar.title, range: bar.range), extent: Extent(), length: innerHeight[0], margin: 0,
        spacing: 55, isHorizontal: false, fontSize: Size.tick)
      colorBarScale = scale
      barX = (contentRight + 16).rounded()
      let labels = greatest(scale.ticks.map { $0.label.width(size: Size.tick) })
      contentRight += 16 + Size.barWidth + Size.tickLength + 3 + labels + 8 + Size.axisTitle
    } else {
      colorBarScale = nil
    }
    let entries = figure.legend == .none ? [] : LegendEntry.all(figure)
    legend = entries.count > 1 || entries.contains { $0.isNeeded(in: figure) } ? entries : []
    let legendSize = LegendEntry.size(legend)
    var legendX: Double?

    // Only a single panel has room for a legend inside; which corner is known once it is placed.
    var free: (Double, Double)?
    if !legend.isEmpty {
      if figure.legend == .automatic, figure.panels.count == 1 {
        let frame = Frame(
          plot: Rectangle(x: 0, y: 0, width: sizes[0].width, height: sizes[0].height),
          x: scales[0].x, y: scales[0].y, showsX: true, showsY: true, turnsX: false,
          margins: margins[0])
        free = LegendEntry.freeCorner(
          width: legendSize.width, height: legendSize.height, frame: frame,
          marks: figure.panels[0].marks)
      }
      if free == nil {
        legendX = contentRight + 18
        contentRight += 18 + legendSize.width
      }
    }
    width = max(contentRight + Size.margin, 360).rounded(.up)

    // Header.
    let textWidth = width - 2 * Size.margin
    titleLines = TextMetrics.wrap(figure.title, size: Size.title, bold: true, width: textWidth)
    subtitleLines = TextMetrics.wrap(figure.subtitle, size: Size.subtitle, width: textWidth)
    var y = Size.margin + Double(titleLines.count) * 19
    if !subtitleLines.isEmpty { y += Double(subtitleLines.count) * 15 + 1 }
    y += titleLines.isEmpty && subtitleLines.isEmpty ? 0 : 10

    var frames: [Frame] = []
    let gridTop = y
    for row in 0..<rows {
      var x = Size.margin
      for column in 0..<columns {
        let index = row * columns + column
        guard indices.contains(index) else { break }
        let plot = Rectangle(
          x: (x + left[column]).rounded(), y: (y + top[row]).rounded(), width: sizes[index].width,
          height: sizes[index].height)
        frames.append(
          Frame(
            plot: plot, x: scales[index].x, y: scales[index].y, showsX: shows[index].x,
            showsY: shows[index].y, turnsX: figure.panels[index].heatMap?.turnsColumnNames ?? false,
            margins: margins[index]))
        x += left[column] + inner[column] + right[column] + gap
      }
      y += top[row] + innerHeight[row] + bottom[row] + (row + 1 < rows ? 12 : 0)
    }
    self.frames = frames
    colorBar = barX.map {
      Rectangle(x: $0, y: frames[0].plot.y, width: Size.barWidth, height: frames[0].plot.height)
    }
    legendIsInside = free != nil
    if let free {
      legendBox = Rectangle(
        x: frames[0].plot.x + free.0, y: frames[0].plot.y + free.1, width: legendSize.width,
        height: legendSize.height)
    } else {
      legendBox = legendX.map {
        Rectangle(
          x: $0, y: frames[0].plot.y, width: legendSize.width, height: legendSize.height)
      }
    }
    height =
      max(
        y, gridTop + top[0] + (legendX == nil ? 0 : legendSize.height), (colorBar?.bottom ?? 0) + 8
      )
      .rounded(.up) + Size.margin
  }

  /// The inside of the axes of every panel.
  private static func plotSizes(_ figure: Figure) -> [(width: Double, height: Double)] {
    let columns = figure.columns
    let rows = (figure.panels.count + columns - 1) / columns
    let standard: (width: Double, height: Double) =
      switch columns {
      case 1: (500, rows == 1 ? 300 : 190)
      case 2: (310, rows == 1 ? 300 : 200)
      case 3: (240, rows == 1 ? 270 : 190)
      default: (200, rows == 1 ? 250 : 180)
      }
    let side = columns == 1 ? 400.0 : columns == 2 ? 310 : 240

    // Weights share the width of a row.
    let firstRow = figure.panels.prefix(columns)
    let total = firstRow.map(\.weight).reduce(0, +)
    return figure.panels.map { panel in
      if let map = panel.heatMap {
        let longest = max(map.columnNames.count, map.rowNames.count)
        let cell = min(max((side / Double(longest)).rounded(.down), 2), 36)
        return (cell * Double(map.columnNames.count), cell * Double(map.rowNames.count))
      }
      let size = figure.panelSize ?? standard
      return (
        (size.width * Double(columns) * panel.weight / max(total, panel.weight)).rounded(),
        size.height
      )
    }
  }

  private static func scales(
    _ figure: Figure, _ sizes: [(width: Double, height: Double)]
  ) -> [(x: AxisScale, y: AxisScale)] {
    let extents = figure.panels.map { Extent.of($0.marks) }
    var shared: (x: Extent, y: Extent) = (Extent(), Extent())
    for (panel, extent) in zip(figure.panels, extents) where panel.heatMap == nil {
      shared.x.include(extent.x)
      shared.y.include(extent.y)
    }
    return figure.panels.indices.map { index in
      let panel = figure.panels[index]
      let (x, y) =
        panel.heatMap == nil
        ? (
          figure.sharesX ? shared.x : extents[index].x, figure.sharesY ? shared.y : extents[index].y
        )
        : (extents[index].x, extents[index].y)
      if let map = panel.heatMap {
        return map.scales(panel, cell: sizes[index].width / Double(map.columnNames.count))
      }
      return (
        AxisScale(
          panel.x, extent: x, length: sizes[index].width, margin: 0.03, spacing: 62,
          isHorizontal: true, fontSize: Size.tick),
        AxisScale(
          panel.y, extent: y, length: sizes[index].height, margin: 0.05, spacing: 48,
          isHorizontal: false, fontSize: Size.tick)
      )
    }
  }

  private static func margins(
    _ panel: Figure.Panel, x: AxisScale, y: AxisScale,
    plot: (width: Double, height: Double), showsX: Bool, showsY: Bool, titled: Bool,
    colorRange: ClosedRange<Double>?
  ) -> Margins {
    var margins = Margins()
    let map = panel.heatMap
    let size = map == nil ? Size.tick : Size.cell
    let gap = Size.tickLength + 4

    let widest = y.ticks.map { $0.label.width(size: size) }.max() ?? 0
    margins.left = showsY ? gap + widest : 4
    if showsY && !y.title.isEmpty {
      margins.yTitle = margins.left + 10
      margins.left += 10 + Size.axisTitle
    }
    // A title longer than its axis sticks out on both sides.
    if showsY {
      let title = shownTitle(y, plot.height).width(size: Size.axisTitle)
      margins.top = max(0, (title - plot.height) / 2)
      margins.bottom = margins.top
    }
    if showsX {
      let title = shownTitle(x, plot.width).width(size: Size.axisTitle)
      margins.right = max(0, (title - plot.width) / 2)
      margins.left = max(margins.left, margins.right)
    }
    // The first and last words under the axis stick out by half their width.
    if showsX, map == nil {
      for tick in x.ticks {
        let half = tick.label.width(size: size) / 2
        margins.left = max(margins.left, half - tick.place * plot.width)
        margins.right = max(margins.right, half - (1 - tick.place) * plot.width)
      }
    }
    margins.right = max(margins.right, 4)
    for mark in panel.marks {
      if case .note(let valueX, _, let text) = mark, let place = x.place(valueX) {
        let end = place * plot.width + 8 + TextMetrics.width(text, size: Size.note)
        margins.right = max(margins.right, end - plot.width)
      }
    }
    if let map, !map.rowStages.isEmpty { margins.right = max(margins.right, 18) }

    // A title wider than its panel sticks out on both sides.
    let title = TextMetrics.width(panel.shownTitle(plot.width), size: Size.panelTitle, bold: true)
    margins.left = max(margins.left, (title - plot.width) / 2)
    margins.right = max(margins.right, (title - plot.width) / 2)

    var top = titled ? Size.panelTitle + 11 : 6
    if let map, !map.columnStages.isEmpty { top += 16 }
    margins.top = max(margins.top, top)
    let yTitle = margins.bottom

    if showsX {
      let turned = map?.turnsColumnNames ?? false
      let words =
        turned ? x.ticks.map { $0.label.width(size: size) }.max() ?? 0 : size
      margins.bottom = gap + words
      if !x.title.isEmpty {
        margins.bottom += 8 + Size.axisTitle
        margins.xTitle = margins.bottom - 1
      }
    } else {
      margins.bottom = 4
    }
    margins.bottom = max(margins.bottom + 7, yTitle)
    margins.remarksTop = margins.bottom
    margins.remarks = panel.remarks(colorRange: colorRange).flatMap {
      TextMetrics.wrap($0, size: Size.note, width: max(plot.width, 230))
    }
    margins.bottom += Double(margins.remarks.count) * 15
    return margins
  }
}

extension FigureLayout {
  /// The title of an axis, shortened to the axis or to what a short one is given.
  static func shownTitle(_ axis: AxisScale, _ length: Double) -> Label {
    guard axis.title.superscript.isEmpty else { return axis.title }
    let text = axis.title.base + axis.title.tail
    return Label(TextMetrics.shorten(text, size: Size.axisTitle, width: max(length, 160)))
  }
}

extension Figure.Panel {
  /// The title, shortened to its panel or to what a narrow panel may be widened to.
  func shownTitle(_ width: Double) -> String {
    TextMetrics.shorten(
      title, size: FigureLayout.Size.panelTitle, bold: true, width: max(width, 160))
  }
}
