/// A JSON document whose text is a function of its value alone: members stay in the order given,
/// numbers have as many digits as it takes to read the same value back.
public enum JSONText: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int)
  /// A NaN or an infinity, which JSON cannot hold, is written as null.
  case real(Double)
  case string(String)
  case array([JSONText])
  case object([Member])

  /// A key and its value.
  public struct Member: Sendable, Equatable {
    /// The name.
    public var key: String
    /// What stands under it.
    public var value: JSONText
    /// Makes one from its parts; see the properties.
    public init(_ key: String, _ value: JSONText) {
      self.key = key
      self.value = value
    }
  }

  /// An object with its keys sorted by their UTF-8 bytes.
  public static func sorted(_ members: [String: JSONText]) -> JSONText {
    .object(
      members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { Member($0.key, $0.value) })
  }

  /// The value of the first member of that name, if this is an object that has one.
  public subscript(key: String) -> JSONText? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// The string, if this is one.
  public var stringValue: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// The elements, if this is an array.
  public var elements: [JSONText]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  /// The document on one line, without a line end.
  public var compact: String {
    var text = ""
    write(into: &text, indent: nil)
    return text
  }

  /// The document on several lines, two spaces a level, with a line end.
  public var pretty: String {
    var text = ""
    write(into: &text, indent: 0)
    return text + "\n"
  }

  private func write(into text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .real(let value): text += value.isFinite ? value.description : "null"
    case .string(let value): Self.quote(value, into: &text)
    case .array(let elements):
      text += "["
      for (index, element) in elements.enumerated() {
        Self.separate(index, into: &text, indent: indent)
        element.write(into: &text, indent: indent.map { $0 + 1 })
      }
      if !elements.isEmpty { Self.breakLine(into: &text, indent: indent) }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        Self.separate(index, into: &text, indent: indent)
        Self.quote(member.key, into: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(into: &text, indent: indent.map { $0 + 1 })
      }
      if !members.isEmpty { Self.breakLine(into: &text, indent: indent) }
      text += "}"
    }
  }

  private static func separate(_ index: Int, into text: inout String, indent: Int?) {
    if index > 0 { text += "," }
    breakLine(into: &text, indent: indent.map { $0 + 1 })
  }

  private static func breakLine(into text: inout String, indent: Int?) {
    guard let indent else { return }
    text += "\n" + String(repeating: "  ", count: indent)
  }

  private static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value),
        // Line separators end a statement when JSON is pasted into older JavaScript.
        "\u{2028}", "\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension JSONText: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
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
  public init(arrayLiteral elements: JSONText...) { self = .array(elements) }
  /// An object with its keys in the order written.
  public init(dictionaryLiteral elements: (String, JSONText)...) {
    self = .object(elements.map { Member($0.0, $0.1) })
  }
  /// From a literal.
  public init(nilLiteral: ()) { self = .null }
}
