/// One axis of a panel.
public struct Axis: Sendable, Equatable {
  /// How values become places.
  public enum Scale: Sendable { case linear, log }

  /// A place on the axis and what is written there.
  public struct Tick: Sendable, Equatable {
    /// The place, in units of the axis.
    public var value: Double
    /// What is written there.
    public var label: String
    /// Makes one from its parts; see the properties.
    public init(_ value: Double, _ label: String) {
      self.value = value
      self.label = label
    }
  }

  /// What the axis measures.
  public var title: String
  /// Written in parentheses after the title.
  public var unit: String?
  /// Linear, or logarithmic for positive values.
  public var scale: Scale
  /// The limits; nil: from the data, with a small margin. Marks outside are cut off at the frame.
  public var range: ClosedRange<Double>?
  /// Whether automatic limits reach to zero.
  public var includesZero: Bool
  /// The ticks; nil: round numbers.
  public var ticks: [Tick]?

  /// Makes one from its parts; see the properties.
  public init(
    _ title: String, unit: String? = nil, scale: Scale = .linear,
    range: ClosedRange<Double>? = nil, includesZero: Bool = false, ticks: [Tick]? = nil
  ) {
    precondition(scale == .linear || (range?.lowerBound ?? 1) > 0, "a log axis is positive")
    self.title = title
    self.unit = unit
    self.scale = scale
    self.range = range
    self.includesZero = includesZero
    self.ticks = ticks
  }

  /// Depth from the first record (0) to the last (1).
  public static let depth = Axis("Normalized depth", range: 0...1)

  /// Frequency from 0 to π radians a pixel, in units of π.
  public static let frequency = Axis(
    "Frequency", range: 0...1,
    ticks: [Tick(0, "0.0π"), Tick(0.5, "0.5π"), Tick(1, "1.0π")])
}
