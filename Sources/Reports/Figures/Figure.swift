/// A figure as a value: what is drawn and how its axes read, without a pixel.
///
/// The same value gives the same bytes, always. See ``svg`` and ``vegaLite``.
public struct Figure: Sendable, Equatable {
  /// Where the legend stands.
  public enum Legend: Sendable {
    /// In a corner of a single panel that no mark touches, else outside.
    case automatic
    /// To the right of the panels.
    case outside
    case none
  }

  /// A scale of colours beside the panels.
  public struct ColorBar: Sendable, Equatable {
    /// The title, in words for readers.
    public var title: String
    /// The colours.
    public var map: ColorMap
    /// The values at the ends of the scale; what lies beyond has the colour of the end.
    public var range: ClosedRange<Double>
    /// Makes one from its parts; see the properties.
    public init(_ title: String, _ map: ColorMap, range: ClosedRange<Double> = 0...1) {
      precondition(range.lowerBound < range.upperBound, "a range with an inside")
      self.title = title
      self.map = map
      self.range = range
    }
    func color(_ value: Double) -> Color {
      map.color(at: (value - range.lowerBound) / (range.upperBound - range.lowerBound))
    }
  }

  /// Marks that share two axes.
  public struct Panel: Sendable, Equatable {
    /// The title, in words for readers.
    public var title: String
    /// The horizontal axis.
    public var x: Axis
    /// The vertical axis.
    public var y: Axis
    /// What is drawn, in order.
    public var marks: [Mark]
    /// The width relative to the other panels of its row.
    public var weight: Double

    /// Makes one from its parts; see the properties.
    public init(title: String = "", x: Axis, y: Axis, weight: Double = 1, _ marks: [Mark]) {
      precondition(weight > 0, "a positive width")
      self.title = title
      self.x = x
      self.y = y
      self.weight = weight
      self.marks = marks
    }
  }

  /// The stem of its file; every id in the drawing begins with it, so that several figures can
  /// stand in one page.
  public var name: String
  /// The title, in words for readers.
  public var title: String
  /// The number of images, the estimator, the confidence level.
  public var subtitle: String
  /// What a screen reader says after the title.
  public var summary: String
  /// Row by row, from the top left.
  public var panels: [Panel]
  /// Panels in a row.
  public var columns: Int
  /// Whether all panels have the same limits on an axis (and the same ticks, written once a row).
  public var sharesX: Bool
  /// Whether all panels have the same limits in y, with ticks written once a row.
  public var sharesY: Bool
  /// The scale of colours beside the panels, shared by all of them.
  public var colorBar: ColorBar?
  /// Where the legend stands.
  public var legend: Legend
  /// The size of the area inside the axes of a panel, in pixels of 1/96 inch; nil: by the number
  /// of panels. Heat maps have square cells and set their own size.
  public var panelSize: (width: Double, height: Double)? {
    get { size.map { ($0.width, $0.height) } }
    set { size = newValue.map { Size(width: $0.width, height: $0.height) } }
  }
  private var size: Size?
  /// How it is set: width, words, font.
  public var setting = FigureSetting()

  private struct Size: Sendable, Equatable {
    var width: Double
    var height: Double
  }

  /// Makes one from its parts; see the properties.
  public init(
    name: String, title: String, subtitle: String = "", summary: String = "", panels: [Panel],
    columns: Int? = nil, sharesX: Bool = true, sharesY: Bool = true, colorBar: ColorBar? = nil,
    legend: Legend = .automatic, panelSize: (width: Double, height: Double)? = nil
  ) {
    precondition(!panels.isEmpty, "at least one panel")
    precondition((columns ?? 1) > 0, "at least one column")
    self.name = name
    self.title = title
    self.subtitle = subtitle
    self.summary = summary
    self.panels = panels
    self.columns =
      columns.map { min($0, panels.count) }
      ?? Self.balancedColumns(panels.count, atMost: 4)
    self.sharesX = sharesX
    self.sharesY = sharesY
    self.colorBar = colorBar
    self.legend = legend
    size = panelSize.map { Size(width: $0.width, height: $0.height) }
  }
}
