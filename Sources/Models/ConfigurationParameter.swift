/// A hyper-parameter value that can be written in an architecture's text.
public protocol ConfigurationValue: Sendable, Equatable {
  /// Reads a value; nil if the text is none.
  init?(argument: String)
  /// The value as text; ``init(argument:)`` reads it back.
  var argument: String { get }
  /// What is expected, for messages: "an integer".
  static var expectation: String { get }
}

extension Int: ConfigurationValue {
  /// Reads decimal digits.
  public init?(argument: String) { self.init(argument) }
  /// Decimal digits.
  public var argument: String { String(self) }
  /// For messages.
  public static var expectation: String { "an integer" }
}

extension Double: ConfigurationValue {
  /// Reads a finite number such as `1e-6`.
  public init?(argument: String) {
    guard let value = Double(argument), value.isFinite else { return nil }
    self = value
  }
  /// The shortest text that reads back the same.
  public var argument: String { description }
  /// For messages.
  public static var expectation: String { "a number" }
}

extension Bool: ConfigurationValue {
  /// Reads `true` or `false`.
  public init?(argument: String) { self.init(argument) }
  /// `true` or `false`.
  public var argument: String { description }
  /// For messages.
  public static var expectation: String { "true or false" }
}

extension [Int]: ConfigurationValue {
  /// Reads `3-4-6-3` or `[3,4,6,3]`.
  public init?(argument: String) {
    var text = argument[...]
    if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
    let parts = text.split(omittingEmptySubsequences: false) { $0 == "-" || $0 == "," }
    let values = parts.compactMap { Int($0) }
    guard !values.isEmpty, values.count == parts.count else { return nil }
    self = values
  }
  /// The numbers with dashes between them.
  public var argument: String { map(String.init).joined(separator: "-") }
  /// For messages.
  public static var expectation: String { "integers such as 3-4-6-3" }
}

extension ConfigurationValue where Self: RawRepresentable & CaseIterable, RawValue == String {
  /// Reads the raw value.
  public init?(argument: String) { self.init(rawValue: argument) }
  /// The raw value.
  public var argument: String { rawValue }
  /// For messages.
  public static var expectation: String {
    "one of " + allCases.map(\.rawValue).joined(separator: ", ")
  }
}

/// One hyper-parameter of a family: its name in `vit(patch=4,…)`, its place in the configuration, and
/// its default, which may follow from the parameters declared before it.
public struct ConfigurationParameter<Configuration: Sendable>: Sendable {
  /// Where the value of a loaded model comes from.
  public enum Origin: Sendable {
    /// Names and shapes of the weights tell it; another value is a conflict.
    case weights
    /// Nothing in the weights tells it.
    case declaration
    /// The weights tell it, and it may differ from the named variant's: the number of classes.
    case adaptable
  }

  /// The name in an architecture's text.
  public let name: String
  /// What it is, in a few words.
  public let summary: String
  /// What values are possible, for messages.
  public let expectation: String
  /// Where the value of a loaded model comes from.
  public let origin: Origin

  let isAlwaysShown: Bool
  let assign: @Sendable (inout Configuration, String) -> Bool
  let assignDefault: @Sendable (inout Configuration) -> Void
  let copy: @Sendable (Configuration, inout Configuration) -> Void
  let text: @Sendable (Configuration) -> String
  let isDefault: @Sendable (Configuration) -> Bool

  /// A parameter whose default follows from those declared before it.
  public init<Value: ConfigurationValue>(
    _ name: String, _ path: any WritableKeyPath<Configuration, Value> & Sendable, _ summary: String,
    origin: Origin = .weights, isAlwaysShown: Bool = false,
    derived: @escaping @Sendable (Configuration) -> Value
  ) {
    self.name = name
    self.summary = summary
    self.expectation = Value.expectation
    self.origin = origin
    self.isAlwaysShown = isAlwaysShown
    assign = { configuration, text in
      guard let value = Value(argument: text) else { return false }
      configuration[keyPath: path] = value
      return true
    }
    assignDefault = { $0[keyPath: path] = derived($0) }
    copy = { $1[keyPath: path] = $0[keyPath: path] }
    text = { $0[keyPath: path].argument }
    isDefault = { $0[keyPath: path] == derived($0) }
  }

  /// A parameter with a fixed default.
  public init<Value: ConfigurationValue>(
    _ name: String, _ path: any WritableKeyPath<Configuration, Value> & Sendable, _ summary: String,
    default value: Value, origin: Origin = .weights, isAlwaysShown: Bool = false
  ) {
    self.init(name, path, summary, origin: origin, isAlwaysShown: isAlwaysShown) { _ in value }
  }
}
