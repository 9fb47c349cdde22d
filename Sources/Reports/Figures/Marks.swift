/// A point of a series.
public struct Point: Sendable, Equatable {
  /// The place along the horizontal axis.
  public var x: Double
  /// Nil or not finite: a gap in the line.
  public var y: Double?
  /// The ends of a confidence interval, if there is one.
  public var low: Double?
  /// The upper end of the confidence interval.
  public var high: Double?
  /// What the tooltip says besides the numbers: the layer's name.
  public var label: String
  /// The number by which a page that holds the drawing knows what the point is of; drawn as `data-key`.
  public var key: Int?

  /// Makes one from its parts; see the properties.
  public init(
    _ x: Double, _ y: Double?, low: Double? = nil, high: Double? = nil, label: String = "",
    key: Int? = nil
  ) {
    self.x = x
    self.y = y
    self.low = low
    self.high = high
    self.label = label
    self.key = key
  }
}

/// A line through points, or a cloud of points.
public struct Series: Sendable, Equatable {
  /// Where the colour comes from.
  public enum Paint: Sendable, Equatable {
    /// The style's colour.
    case style
    /// One value for the whole series, on the figure's colour bar.
    case value(Double)
    /// A value a point, on the figure's colour bar; a segment has the mean of its ends.
    case values([Double])
  }
  /// How confidence intervals are drawn.
  public enum Interval: Sendable { case band, bars }

  /// The name in the legend.
  public var name: String
  /// In the order in which the line joins them.
  public var points: [Point]
  /// Colour, marker and dash.
  public var style: Style
  /// Where the colour comes from.
  public var paint: Paint
  /// How confidence intervals are drawn.
  public var interval: Interval
  /// Whether the legend lists it.
  public var inLegend: Bool
  /// As that of a point, for the whole series.
  public var key: Int?

  /// Makes one from its parts; see the properties.
  public init(
    _ name: String, _ points: [Point], style: Style, paint: Paint = .style,
    interval: Interval = .band, inLegend: Bool = true, key: Int? = nil
  ) {
    if case .values(let values) = paint {
      precondition(values.count == points.count, "a value of the colour bar for every point")
    }
    self.name = name
    self.points = points
    self.style = style
    self.paint = paint
    self.interval = interval
    self.inLegend = inLegend
    self.key = key
  }
}

/// A grid of square cells, row 0 at the bottom.
public struct HeatMap: Sendable, Equatable {
  /// A boundary between stages and the name of the stage that it begins.
  public struct Stage: Sendable, Equatable {
    /// The first row or column of the stage.
    public var start: Int
    /// The name, as the legend or the edge of the cells shows it.
    public var name: String
    /// Makes one from its parts; see the properties.
    public init(start: Int, _ name: String) {
      self.start = start
      self.name = name
    }
  }

  /// `values[row][column]`; nil or not finite: hatched.
  public var values: [[Double?]]
  /// The names of columns (x) and rows (y), for ticks and tooltips.
  public var columnNames: [String]
  /// The names of rows (y), for ticks and tooltips.
  public var rowNames: [String]
  /// Stages along x, named above the cells.
  public var columnStages: [Stage]
  /// Stages along y, named to the right of the cells.
  public var rowStages: [Stage]
  /// As that of a point, for each column and row; drawn as `data-column` and `data-row` of cells.
  public var keys: Keys?

  /// The numbers by which a page knows columns and rows.
  public struct Keys: Sendable, Equatable {
    /// A number a column.
    public var columns: [Int]
    /// A number a row.
    public var rows: [Int]
    /// Makes one from its parts; see the properties.
    public init(columns: [Int], rows: [Int]) {
      self.columns = columns
      self.rows = rows
    }
  }

  /// Makes one from its parts; see the properties.
  public init(
    _ values: [[Double?]], columnNames: [String], rowNames: [String],
    columnStages: [Stage] = [], rowStages: [Stage] = [], keys: Keys? = nil
  ) {
    precondition(!values.isEmpty && !columnNames.isEmpty, "at least one cell")
    precondition(
      values.count == rowNames.count && values.allSatisfy { $0.count == columnNames.count },
      "a name for each row and each column")
    precondition(
      keys.map { $0.columns.count == columnNames.count && $0.rows.count == rowNames.count } ?? true,
      "a key for each row and each column")
    self.values = values
    self.columnNames = columnNames
    self.rowNames = rowNames
    self.columnStages = columnStages
    self.rowStages = rowStages
    self.keys = keys
  }
}

/// A filled curve over a base line: a density.
public struct Area: Sendable, Equatable {
  /// The name, as the legend or the edge of the cells shows it.
  public var name: String
  /// (x, y) in order of x.
  public var points: [Point]
  /// Colour, marker and dash.
  public var style: Style

  /// Makes one from its parts; see the properties.
  public init(_ name: String, _ points: [Point], style: Style) {
    self.name = name
    self.points = points
    self.style = style
  }
}

/// Bars between edges: a histogram.
public struct Bars: Sendable, Equatable {
  /// The name, as the legend or the edge of the cells shows it.
  public var name: String
  /// One more than heights, increasing.
  public var edges: [Double]
  /// The height of each bar.
  public var heights: [Double]
  /// Colour, marker and dash.
  public var style: Style

  /// Makes one from its parts; see the properties.
  public init(_ name: String, edges: [Double], heights: [Double], style: Style) {
    precondition(edges.count == heights.count + 1, "an edge on both sides of every bar")
    self.name = name
    self.edges = edges
    self.heights = heights
    self.style = style
  }
}

/// A shaded vertical strip.
public struct Shade: Sendable, Equatable {
  /// From left to right, in units of the x axis.
  public var range: ClosedRange<Double>
  /// Drawn at 15 % opacity, or along the upper edge where strips are many.
  public var color: Color
  /// The name in the legend, shared by all strips of a kind.
  public var name: String

  /// Makes one from its parts; see the properties.
  public init(_ range: ClosedRange<Double>, color: Color, name: String) {
    self.range = range
    self.color = color
    self.name = name
  }

  /// The step into a self-attention record, gray as in Park and Kim (2022).
  public static func attention(_ range: ClosedRange<Double>) -> Shade {
    Shade(range, color: Color(0x7F7F7F), name: "MSA")
  }
  /// The step into a sub-sampling record, blue.
  public static func subsampling(_ range: ClosedRange<Double>) -> Shade {
    Shade(range, color: Color.distinct[0], name: "Subsampling")
  }
}

/// What is drawn in a panel, in order; shades lie under everything.
public enum Mark: Sendable, Equatable {
  case series(Series)
  case heatMap(HeatMap)
  case area(Area)
  case bars(Bars)
  case shade(Shade)
  /// A horizontal line across the panel; named ones are in the legend.
  case level(Double, name: String?, dash: Dash)
  /// A vertical line across the panel.
  case position(Double, name: String?, dash: Dash, color: Color = .frame)
  /// A word to the right of a place.
  case note(x: Double, y: Double, text: String)
}
