import StrictJSON

/// How a figure is set: its width, its words, its font. The same figure goes to a screen, to a column
/// of a paper, to a slide.
public struct FigureSetting: Sendable, Equatable {
  /// The limits of the colours of heat maps.
  public enum HeatScale: Sendable, Equatable {
    /// From the least to the greatest value of the figure.
    case fitted
    /// The same in every figure: what lies beyond has the colour of the end, and a remark says so.
    case fixed(ClosedRange<Double>)
  }

  /// The width of the page in inches; nil: as wide as the panels come out at sizes for a screen.
  ///
  /// With a width, panels give way, not letters: those have 7 to 9 points.
  public var width: Double?
  /// Whether title and subtitle are drawn; the caption has them otherwise.
  public var hasTitles: Bool
  /// The family that words are set in before any other; nil: Helvetica or what stands for it.
  public var font: String?
  /// The limits of the colours of heat maps; nil: those of the figure.
  public var heatScale: HeatScale?

  /// Makes one from its parts; see the properties.
  public init(
    width: Double? = nil, hasTitles: Bool = true, font: String? = nil,
    heatScale: HeatScale? = nil
  ) {
    self.width = width
    self.hasTitles = hasTitles
    self.font = font
    self.heatScale = heatScale
  }

  /// The width of one column of a two-column paper, in inches (ICML, CVPR: 3.25 to 3.27).
  public static let singleColumn = 3.25
  /// The width of both columns with the gutter, in inches.
  public static let doubleColumn = 6.75

  /// The families in order of preference, as CSS has them. Each is quoted: its own name may hold
  /// anything.
  var families: String {
    let standard = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
    guard let font else { return standard }
    return Self.generic.contains(font) ? font : "'\(font)', \(standard)"
  }

  /// Families that every viewer has, whatever they are there; CSS has them without quotes.
  public static let generic: Set<String> = ["serif", "sans-serif", "monospace"]

  var sizes: FigureSizes { width == nil ? .screen : .print }
}

/// Sizes of letters and marks, in pixels of 1/96 inch.
struct FigureSizes {
  var margin = 16.0
  var title = 15.0
  var subtitle = 11.5
  var panelTitle = 13.0
  var axisTitle = 12.5
  var tick = 11.0
  /// The names of layers beside heat maps.
  var cell = 10.0
  var legend = 11.5
  var note = 10.5
  var tickLength = 4.0
  var barWidth = 13.0
  /// The longest name of a layer or a model that is written in full.
  var longestName = 140.0
  /// What a title of a narrow panel may be wide all the same.
  var shortestTitle = 160.0
  /// Pixels a tick is worth, along x and along y.
  var tickSpacing = (x: 62.0, y: 48.0)
  /// Between panels.
  var gap = 18.0
  /// What widths of lines and sizes of markers are multiplied by.
  var mark = 1.0

  static let screen = FigureSizes()
  /// 9 points for titles, 7.5 to 8 for words, 7.1 for numbers.
  static let print = FigureSizes(
    margin: 4, title: 12, subtitle: 10, panelTitle: 10.7, axisTitle: 10.7, tick: 9.5, cell: 9.5,
    legend: 10, note: 9.5, tickLength: 3, barWidth: 10, longestName: 104,
    shortestTitle: 96, tickSpacing: (44, 30),
    gap: 12, mark: 0.75)

  /// From one line of a title, a subtitle, a remark or the legend to the next.
  var titleLine: Double { title + 4 }
  var subtitleLine: Double { subtitle + 3.5 }
  var axisTitleLine: Double { axisTitle * 1.2 }
  var noteLine: Double { note + 4.5 }
  var legendLine: Double { legend + 7.5 }
}

extension Figure {
  /// The scale of colours with the limits that the setting asks for.
  var shownColorBar: ColorBar? {
    guard let bar = colorBar, let scale = setting.heatScale else { return colorBar }
    let values = panels.compactMap(\.heatMap).flatMap(\.values).joined()
      .compactMap(\.self).filter(\.isFinite)
    guard panels.contains(where: { $0.heatMap != nil }) else { return bar }
    switch scale {
    case .fixed(let range): return ColorBar(bar.title, bar.map, range: range)
    case .fitted:
      guard let low = values.min(), let high = values.max(), (high - low).isFinite else {
        return bar
      }
      let pad = low < high ? 0 : max(low.magnitude * 0.01, 1e-6)
      return ColorBar(bar.title, bar.map, range: low - pad...high + pad)
    }
  }

  /// What a reader is told under the figure: title, subtitle, what it shows, and the remarks.
  public var caption: String {
    let remarks = panels.flatMap { $0.remarks(colorRange: shownColorBar?.range) }
    return ([title, subtitle, summary] + remarks).map(\.displayable)
      .map { $0.last == "." ? String($0.dropLast()) : $0 }.filter { !$0.isEmpty }
      .joined(separator: ". ") + ".\n"
  }

  /// How many of `count` panels stand in a row of at most `limit`: rows are filled evenly, and none
  /// has a single panel if that can be helped.
  static func balancedColumns(_ count: Int, atMost limit: Int) -> Int {
    guard count > limit else { return max(count, 1) }
    let rows = (count + limit - 1) / limit
    let even = (count + rows - 1) / rows
    let better = stride(from: even, through: 2, by: -1).first { count % $0 != 1 }
    return better ?? (count <= 3 ? 1 : even)
  }

  /// Where each of `count` panels stands: rows of `columns`, in order; where a single panel would be
  /// left for the last row, rows before it give one of theirs.
  static func places(of count: Int, columns: Int) -> [(row: Int, column: Int)] {
    let rows = (count + columns - 1) / columns
    let isEven = columns > 2 && count % columns == 1 && rows > 1
    let lengths = (0..<rows).map { row in
      isEven ? count / rows + (row < count % rows ? 1 : 0) : min(columns, count - row * columns)
    }
    return lengths.enumerated().flatMap { row, length in (0..<length).map { (row, $0) } }
  }
}
