/// Where everything stands on the page: computed from the lengths of the labels, so that nothing
/// is cut off and nothing overlaps.
struct FigureLayout {
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

  let sizes: FigureSizes
  let titleLines: [String]
  let subtitleLines: [String]
  let frames: [Frame]
  let legend: [LegendEntry]
  /// The legend's place; nil: there is none.
  let legendBox: Rectangle?
  let legendIsInside: Bool
  /// Panels in a row.
  let columns: Int
  /// Entries in a row of the legend.
  let legendColumns: Int
  let colorBar: Rectangle?
  let colorBarScale: AxisScale?
  let width: Double
  let height: Double

  /// The layout for the figure's setting: of a page of fixed width, the one with the most panels in a
  /// row that leaves each enough room.
  init(_ figure: Figure) {
    guard let inches = figure.setting.width else {
      self.init(figure, columns: figure.columns, page: nil, inner: nil)
      return
    }
    let page = inches * 96
    var columns = figure.columns
    while true {
      var inner = page / Double(columns)
      var layout = FigureLayout(figure, columns: columns, page: page, inner: inner)
      // Margins depend on ticks, and ticks on the width inside them.
      for _ in 0..<8 where (layout.contentWidth - page).magnitude > 0.25 {
        inner = min(max(inner - (layout.contentWidth - page) / Double(columns), 30), page)
        layout = FigureLayout(figure, columns: columns, page: page, inner: inner)
      }
      let isWide = inner >= 84 && layout.contentWidth <= page + 0.5
      if isWide || columns == 1 {
        self = layout
        return
      }
      columns = Figure.balancedColumns(figure.panels.count, atMost: columns - 1)
    }
  }

  /// How wide the content comes out, whatever the page.
  private let contentWidth: Double

  /// - Parameters:
  ///   - page: the width of the page; nil: as wide as the content.
  ///   - inner: the mean width inside the axes of a panel; nil: that of a screen.
  private init(_ figure: Figure, columns: Int, page: Double?, inner: Double?) {
    let sizes = figure.setting.sizes
    self.sizes = sizes
    self.columns = columns
    let places = Figure.places(of: figure.panels.count, columns: columns)
    let rows = (places.last?.row ?? 0) + 1
    let plots = Self.plotSizes(figure, columns: columns, inner: inner)
    let scales = Self.scales(figure, plots)
    let bar = figure.shownColorBar

    // Margins of each panel.
    var margins: [Margins] = []
    var shows: [(x: Bool, y: Bool)] = []
    for (index, panel) in figure.panels.enumerated() {
      let isHeat = panel.heatMap != nil
      let below = (row: places[index].row + 1, column: places[index].column)
      let isLowest = !places.contains { $0 == below }
      let showsX = isHeat || !figure.sharesX || isLowest
      let showsY = isHeat || !figure.sharesY || places[index].column == 0
      shows.append((showsX, showsY))
      margins.append(
        Margins(
          panel, x: scales[index].x, y: scales[index].y, plot: plots[index], showsX: showsX,
          showsY: showsY, titled: figure.panels.contains { !$0.title.isEmpty },
          colorRange: bar?.range, sizes: sizes))
    }

    // Columns are as wide as their widest panel; rows as high as their highest.
    func greatest(_ values: [Double]) -> Double { values.max() ?? 0 }
    let indices = figure.panels.indices
    let columnIndices = (0..<columns).map { column in
      indices.filter { places[$0].column == column }
    }
    let rowIndices = (0..<rows).map { row in indices.filter { places[$0].row == row } }
    let left = columnIndices.map { greatest($0.map { margins[$0].left }) }
    let across = columnIndices.map { greatest($0.map { plots[$0].width }) }
    let right = columnIndices.map { greatest($0.map { margins[$0].right }) }
    let top = rowIndices.map { greatest($0.map { margins[$0].top }) }
    let down = rowIndices.map { greatest($0.map { plots[$0].height }) }
    let bottom = rowIndices.map { greatest($0.map { margins[$0].bottom }) }

    let gridWidth =
      left.reduce(0, +) + across.reduce(0, +) + right.reduce(0, +)
      + sizes.gap * Double(columns - 1)
    var contentRight = sizes.margin + gridWidth

    // Keys to the right: the colour bar, then the legend.
    var barX: Double?
    if let bar {
      let scale = AxisScale(
        Axis(bar.title, range: bar.range), extent: Extent(), length: down[0], margin: 0,
        spacing: sizes.tickSpacing.y * 1.15, isHorizontal: false, fontSize: sizes.tick)
      colorBarScale = scale
      let gap = sizes.gap - 2
      barX = contentRight + gap
      let labels = greatest(scale.ticks.map { $0.label.width(size: sizes.tick) })
      contentRight += gap + sizes.barWidth + sizes.tickLength + 3 + labels + 8 + sizes.axisTitle
    } else {
      colorBarScale = nil
    }
    let entries = figure.legend == .none ? [] : LegendEntry.all(figure)
    legend = entries.count > 1 || entries.contains { $0.isNeeded(in: figure) } ? entries : []
    let upright = LegendEntry.size(legend, columns: 1, sizes: sizes)
    var legendX: Double?

    // Only a single panel has room for a legend inside; which corner is known once it is placed.
    var free: (Double, Double)?
    if !legend.isEmpty {
      if figure.legend == .automatic, figure.panels.count == 1 {
        let frame = Frame(
          plot: Rectangle(x: 0, y: 0, width: plots[0].width, height: plots[0].height),
          x: scales[0].x, y: scales[0].y, showsX: true, showsY: true, turnsX: false,
          margins: margins[0])
        free = LegendEntry.freeCorner(
          width: upright.width, height: upright.height, frame: frame,
          marks: figure.panels[0].marks, noteSize: sizes.note)
      }
      // On a page of fixed width it stands below, to leave the panels their width.
      if free == nil, page == nil {
        legendX = contentRight + 18
        contentRight += 18 + upright.width
      }
    }
    let content = contentRight + sizes.margin
    contentWidth = content
    let width = page.map { max($0, content - 0.5) } ?? max(content, 360).rounded(.up)
    self.width = width

    // Header.
    let textWidth = width - 2 * sizes.margin
    let hasTitles = figure.setting.hasTitles
    titleLines =
      hasTitles
      ? TextMetrics.wrap(figure.title, size: sizes.title, bold: true, width: textWidth) : []
    subtitleLines =
      hasTitles ? TextMetrics.wrap(figure.subtitle, size: sizes.subtitle, width: textWidth) : []
    var y = sizes.margin + Double(titleLines.count) * sizes.titleLine
    if !subtitleLines.isEmpty { y += Double(subtitleLines.count) * sizes.subtitleLine + 1 }
    y += titleLines.isEmpty && subtitleLines.isEmpty ? 0 : 10

    var frames: [Frame] = []
    let gridTop = y
    for row in 0..<rows {
      var x = sizes.margin
      for (column, index) in rowIndices[row].enumerated() {
        let plot = Rectangle(
          x: (x + left[column]).rounded(), y: (y + top[row]).rounded(), width: plots[index].width,
          height: plots[index].height)
        frames.append(
          Frame(
            plot: plot, x: scales[index].x, y: scales[index].y, showsX: shows[index].x,
            showsY: shows[index].y,
            turnsX: figure.panels[index].heatMap?.turnsColumnNames(sizes) ?? false,
            margins: margins[index]))
        x += left[column] + across[column] + right[column] + sizes.gap
      }
      y += top[row] + down[row] + bottom[row] + (row + 1 < rows ? 12 : 0)
    }
    self.frames = frames
    colorBar = barX.map {
      Rectangle(
        x: $0.rounded(), y: frames[0].plot.y, width: sizes.barWidth,
        height: frames[0].plot.height)
    }
    legendIsInside = free != nil
    var columnsOfLegend = 1
    if let free {
      legendBox = Rectangle(
        x: frames[0].plot.x + free.0, y: frames[0].plot.y + free.1, width: upright.width,
        height: upright.height)
    } else if let legendX {
      legendBox = Rectangle(
        x: legendX, y: frames[0].plot.y, width: upright.width, height: upright.height)
    } else if legend.isEmpty {
      legendBox = nil
    } else {
      let room = width - 2 * sizes.margin
      while columnsOfLegend < legend.count,
        LegendEntry.size(legend, columns: columnsOfLegend + 1, sizes: sizes).width <= room
      {
        columnsOfLegend += 1
      }
      // Evenly filled rows.
      let lines = (legend.count + columnsOfLegend - 1) / columnsOfLegend
      columnsOfLegend = (legend.count + lines - 1) / lines
      let size = LegendEntry.size(legend, columns: columnsOfLegend, sizes: sizes)
      legendBox = Rectangle(
        x: sizes.margin + max(0, (room - size.width) / 2), y: y, width: size.width,
        height: size.height)
      y += size.height
    }
    legendColumns = columnsOfLegend
    height =
      max(
        y, gridTop + top[0] + (legendX == nil ? 0 : upright.height), (colorBar?.bottom ?? 0) + 8
      )
      .rounded(.up) + sizes.margin
  }

  /// The inside of the axes of every panel.
  private static func plotSizes(
    _ figure: Figure, columns: Int, inner: Double?
  ) -> [(width: Double, height: Double)] {
    let rows = (figure.panels.count + columns - 1) / columns
    let standard: (width: Double, height: Double) =
      switch columns {
      case 1: (500, rows == 1 ? 300 : 190)
      case 2: (310, rows == 1 ? 300 : 200)
      case 3: (240, rows == 1 ? 270 : 190)
      default: (200, rows == 1 ? 250 : 180)
      }
    let side = inner ?? (columns == 1 ? 400.0 : columns == 2 ? 310 : 240)
    let natural = figure.panelSize ?? standard
    let size =
      inner.map { ($0, min(max($0 * natural.height / natural.width, 96), 300)) } ?? natural

    // Weights share the width of a row.
    let firstRow = figure.panels.prefix(columns)
    let total = firstRow.map(\.weight).reduce(0, +)
    return figure.panels.map { panel in
      if let map = panel.heatMap {
        let (across, up) = (Double(map.columnNames.count), Double(map.rowNames.count))
        guard inner == nil else {
          let cell = min(side / across, max(side * 1.5, 200) / up, 24)
          return (cell * across, cell * up)
        }
        // Of many layers the shorter side still needs room for its names.
        let cell = min(max((side / max(across, up)).rounded(.down), 3), 36)
        return (cell * across, cell * up)
      }
      let share = size.0 * Double(columns) * panel.weight / max(total, panel.weight)
      return (inner == nil ? share.rounded() : share, size.1)
    }
  }

  private static func scales(
    _ figure: Figure, _ plots: [(width: Double, height: Double)]
  ) -> [(x: AxisScale, y: AxisScale)] {
    let sizes = figure.setting.sizes
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
        return map.scales(
          panel, cell: plots[index].width / Double(map.columnNames.count), sizes: sizes)
      }
      return (
        AxisScale(
          panel.x, extent: x, length: plots[index].width, margin: 0.03,
          spacing: sizes.tickSpacing.x, isHorizontal: true, fontSize: sizes.tick),
        AxisScale(
          panel.y, extent: y, length: plots[index].height, margin: 0.05,
          spacing: sizes.tickSpacing.y, isHorizontal: false, fontSize: sizes.tick)
      )
    }
  }
}
