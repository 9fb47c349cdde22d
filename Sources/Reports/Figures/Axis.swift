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
    ticks: [Tick(0, "0"), Tick(0.5, "π/2"), Tick(1, "π")])

  /// Frequency in parts of the highest one of each map, as the reference figures stretch it. The ticks
  /// say what that is, where it is the same for all maps.
  ///
  /// - Parameter end: the highest frequency in units of π; nil if maps differ.
  public static func stretchedFrequency(end: Double?) -> Axis {
    guard let end else {
      return Axis(
        "Frequency / highest of the map", range: 0...1,
        ticks: [Tick(0, "0"), Tick(0.5, "1/2"), Tick(1, "1")])
    }
    func name(_ part: Double) -> String {
      let value = end * part
      return value == 1 ? "π" : value == 0.5 ? "π/2" : NumberText.trimmed(value, 3) + "π"
    }
    return Axis(
      "Frequency", range: 0...1, ticks: [Tick(0, "0"), Tick(0.5, name(0.5)), Tick(1, name(1))])
  }
}
