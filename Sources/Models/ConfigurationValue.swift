import StrictJSON

/// A hyper-parameter value that can be written in an architecture's text.
public protocol ConfigurationValue: Sendable, Equatable {
  /// Reads a value; nil if the text is none.
  init?(argument: String)
  /// The value as text; ``init(argument:)`` reads it back.
  var argument: String { get }
  /// What is expected, for messages: "an integer".
  static var expectation: String { get }
  /// Whether the value, or each number in it, lies in a range.
  func lies(in range: ClosedRange<Int>) -> Bool
  /// Reads a value of a settings file; nil if it is none.
  init?(setting: JSONValue)
}

extension ConfigurationValue {
  /// What is no number lies in every range.
  public func lies(in range: ClosedRange<Int>) -> Bool { true }

  /// Reads a settings file's value as the text of an argument.
  public init?(setting: JSONValue) {
    switch setting {
    case .bool(let value): self.init(argument: String(value))
    case .integer(let value): self.init(argument: String(value))
    // Python writes 4.0 for many a whole number.
    case .real(let value): self.init(argument: Int(exactly: value).map(String.init) ?? "\(value)")
    case .string(let value): self.init(argument: value)
    default: return nil
    }
  }
}

extension Int: ConfigurationValue {
  /// Reads decimal digits.
  public init?(argument: String) { self.init(argument) }
  /// Decimal digits.
  public var argument: String { String(self) }
  /// For messages.
  public static var expectation: String { "an integer" }
  /// Whether the number lies in a range.
  public func lies(in range: ClosedRange<Int>) -> Bool { range.contains(self) }
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
  /// Whether the number lies in a range without its upper end.
  public func lies(in range: ClosedRange<Int>) -> Bool {
    self >= Double(range.lowerBound) && self < Double(range.upperBound)
  }
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
  /// Whether all numbers lie in a range.
  public func lies(in range: ClosedRange<Int>) -> Bool { allSatisfy(range.contains) }
  /// Reads a list of whole numbers.
  public init?(setting: JSONValue) {
    let values = setting.arrayValue?.compactMap { Int(setting: $0) } ?? []
    guard !values.isEmpty, values.count == setting.arrayValue?.count else { return nil }
    self = values
  }
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
