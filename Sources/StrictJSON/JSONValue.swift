/// A JSON document as data.
///
/// Integers that fit 64 bits stay exact; every other number is a Double. The text is a function of
/// the value alone: members stay in the order given, numbers have as many digits as it takes to read
/// the same value back.
public enum JSONValue: Sendable, Equatable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number written without fraction or exponent that fits 64 bits.
  case integer(Int)
  /// Any other number. A NaN or an infinity, which JSON cannot hold, is written as null.
  case real(Double)
  /// Text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Named values in order; in what was parsed, the names are distinct.
  case object([Member])

  /// A name and its value.
  public struct Member: Sendable, Equatable {
    /// The name.
    public var name: String
    /// What stands under it.
    public var value: JSONValue

    /// Makes one from its parts; see the properties.
    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// An object with its names sorted by their UTF-8 bytes.
  public static func sorted(_ members: [String: JSONValue]) -> JSONValue {
    .object(
      members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { Member($0.key, $0.value) })
  }

  /// The value of the first member of that name; nil if there is none, or for other kinds of value.
  public subscript(name: String) -> JSONValue? {
    objectValue?.first { $0.name == name }?.value
  }

  /// The members, if this is an object.
  public var objectValue: [Member]? { if case .object(let value) = self { value } else { nil } }
  /// The elements, if this is a list.
  public var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The text, if this is a string.
  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  /// The number, if this is an integer that fits 64 bits.
  public var intValue: Int? { if case .integer(let value) = self { value } else { nil } }
  /// The truth value, if this is one.
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The number, if this is one.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .real(let value): value
    default: nil
    }
  }

  /// What kind of value this is, for messages: "a string", "an object" …
  public var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .integer: "an integer"
    case .real: "a number that is not a 64-bit integer"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  /// From a literal.
  public init(stringLiteral value: String) { self = .string(value) }
  /// From a literal.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// From a literal.
  public init(floatLiteral value: Double) { self = .real(value) }
  /// From a literal.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// From a literal.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// An object with its keys in the order written.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { Member($0.0, $0.1) })
  }
  /// From a literal.
  public init(nilLiteral: ()) { self = .null }
}
