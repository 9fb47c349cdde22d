extension FigureLayout {
  /// What a panel needs around its axes.
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

    init(
      _ panel: Figure.Panel, x: AxisScale, y: AxisScale,
      plot: (width: Double, height: Double), showsX: Bool, showsY: Bool, titled: Bool,
      colorRange: ClosedRange<Double>?, sizes: FigureSizes
    ) {
      let map = panel.heatMap
      let size = map == nil ? sizes.tick : sizes.cell
      let gap = sizes.tickLength + 4

      let widest = y.ticks.map { $0.label.width(size: size) }.max() ?? 0
      left = showsY ? gap + widest : 4
      if showsY && !y.title.isEmpty {
        yTitle = left + sizes.axisTitle * 0.6
        let lines = FigureLayout.titleLines(y, plot.height, sizes).count
        left += sizes.axisTitle * 1.6 + Double(lines - 1) * sizes.axisTitleLine
      }
      func overhang(_ axis: AxisScale, _ length: Double) -> Double {
        let widths = FigureLayout.titleLines(axis, length, sizes).map {
          $0.width(size: sizes.axisTitle)
        }
        return max(0, ((widths.max() ?? 0) - length) / 2)
      }
      // A title longer than its axis sticks out on both sides.
      if showsY {
        top = overhang(y, plot.height)
        bottom = top
      }
      if showsX {
        right = overhang(x, plot.width)
        left = max(left, right)
      }
      // The first and last words under the axis stick out by half their width.
      if showsX, map == nil {
        for tick in x.ticks {
          let half = tick.label.width(size: size) / 2
          left = max(left, half - tick.place * plot.width)
          right = max(right, half - (1 - tick.place) * plot.width)
        }
      }
      right = max(right, 4)
      for mark in panel.marks {
        if case .note(let valueX, _, let text) = mark, let place = x.place(valueX) {
          let end = place * plot.width + 8 + TextMetrics.width(text, size: sizes.note)
          right = max(right, end - plot.width)
        }
      }
      if let map, !map.rowStages.isEmpty { right = max(right, sizes.cell + 8) }

      // A title wider than its panel sticks out on both sides.
      let title = TextMetrics.width(
        panel.shownTitle(plot.width, sizes), size: sizes.panelTitle, bold: true)
      left = max(left, (title - plot.width) / 2)
      right = max(right, (title - plot.width) / 2)

      var above = titled ? sizes.panelTitle + 11 : 6
      if let map, !map.columnStages.isEmpty { above += sizes.cell + 6 }
      top = max(top, above)
      let yTitleEnd = bottom

      if showsX {
        let turned = map?.turnsColumnNames(sizes) ?? false
        let words =
          turned ? x.ticks.map { $0.label.width(size: size) }.max() ?? 0 : size
        bottom = gap + words
        if !x.title.isEmpty {
          bottom += 8 + sizes.axisTitle
          xTitle = bottom - 1
          let lines = FigureLayout.titleLines(x, plot.width, sizes).count
          bottom += Double(lines - 1) * sizes.axisTitleLine
        }
      } else {
        bottom = 4
      }
      bottom = max(bottom + 7, yTitleEnd)
      remarksTop = bottom
      remarks = panel.remarks(colorRange: colorRange).flatMap {
        TextMetrics.wrap(
          $0, size: sizes.note, width: max(plot.width + right, sizes.shortestTitle * 1.6))
      }
      bottom += Double(remarks.count) * sizes.noteLine
      let longest = remarks.map { TextMetrics.width($0, size: sizes.note) }.max() ?? 0
      right = max(right, longest - plot.width)
    }
  }

  /// The title of an axis, in lines as long as the axis or what a short one is given; cut where a
  /// single word is longer than that, or where there would be more than two.
  static func titleLines(_ axis: AxisScale, _ length: Double, _ sizes: FigureSizes) -> [Label] {
    guard axis.title.superscript.isEmpty else { return [axis.title] }
    let text = axis.title.base + axis.title.tail
    let room = max(length, sizes.axisTitle * 14)
    let lines = TextMetrics.wrap(text, size: sizes.axisTitle, width: room)
    let isCut = lines.joined(separator: " ") != text
    if lines.count > 2 || isCut {
      return [Label(TextMetrics.shorten(text, size: sizes.axisTitle, width: room))]
    }
    return lines.map { Label($0) }
  }
}

extension Figure.Panel {
  /// The title, shortened to its panel or to what a narrow panel may be widened to.
  func shownTitle(_ width: Double, _ sizes: FigureSizes) -> String {
    TextMetrics.shorten(
      title, size: sizes.panelTitle, bold: true, width: max(width, sizes.shortestTitle))
  }
}
