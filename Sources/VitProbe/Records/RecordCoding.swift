import Diagnostics
import FoundationEssentials
import Reports
import StrictJSON

/// How values become JSON in a file of records, and back: every number to the last bit, keys in a
/// fixed order, no line ends and no tabs.
enum RecordCoding {
  private static let infinity = "inf"
  private static let negativeInfinity = "-inf"
  private static let nan = "nan"

  static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: infinity, negativeInfinity: negativeInfinity, nan: nan)
    return Array(try encoder.encode(value))
  }

  /// What a file from another machine may hold: enough for the settings of the longest run.
  private static let limits = JSONLimits(bytes: 1 << 30, depth: 32, values: 1 << 26)

  /// Reads a document. It is read by the bounded reader of all other files first, which refuses what is
  /// too deep, too long, or has a key twice; what Foundation decodes is known to be sound.
  ///
  /// - Parameter analyses: the types of analyzers that may be found.
  static func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: [UInt8], analyses: [any Analyzer.Type] = []
  ) throws -> Value {
    _ = try JSONValue(parsing: bytes, limits: limits)
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: infinity, negativeInfinity: negativeInfinity, nan: nan)
    if let key = CodingUserInfoKey.analyses { decoder.userInfo[key] = analyses }
    return try decoder.decode(type, from: Data(bytes))
  }

  /// What a decoder found wrong, and where.
  static func reason(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    let context: DecodingError.Context
    switch error {
    case .typeMismatch(_, let found), .valueNotFound(_, let found), .dataCorrupted(let found):
      context = found
    case .keyNotFound(let key, let found):
      let place = found.codingPath.map(\.stringValue).joined(separator: ".")
      return "\(place.isEmpty ? "the document" : place) has no \"\(key.stringValue)\""
    @unknown default: return "\(error)"
    }
    let place = context.codingPath.map(\.stringValue).joined(separator: ".")
    return (place.isEmpty ? "" : "\(place): ") + context.debugDescription
  }
}

extension CodingUserInfoKey {
  /// The types of analyzers that may be found, `[any Analyzer.Type]`.
  static var analyses: CodingUserInfoKey? { CodingUserInfoKey(rawValue: "analyses") }
}

/// A document inside another.
struct EmbeddedJSON: Codable, Sendable, Equatable {
  let value: JSONValue

  init(_ value: JSONValue) { self.value = value }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    switch value {
    case .null:
      var container = encoder.singleValueContainer()
      try container.encodeNil()
    case .bool(let value):
      var container = encoder.singleValueContainer()
      try container.encode(value)
    case .integer(let value):
      var container = encoder.singleValueContainer()
      try container.encode(value)
    case .real(let value):
      var container = encoder.singleValueContainer()
      try container.encode(value)
    case .string(let value):
      var container = encoder.singleValueContainer()
      try container.encode(value)
    case .array(let elements):
      var container = encoder.unkeyedContainer()
      for element in elements { try container.encode(EmbeddedJSON(element)) }
    case .object(let members):
      var container = encoder.container(keyedBy: Key.self)
      for member in members {
        try container.encode(EmbeddedJSON(member.value), forKey: Key(stringValue: member.name))
      }
    }
  }

  init(from decoder: any Decoder) throws {
    if let container = try? decoder.container(keyedBy: Key.self) {
      value = .sorted(
        Dictionary(
          try container.allKeys.map {
            ($0.stringValue, try container.decode(EmbeddedJSON.self, forKey: $0).value)
          }, uniquingKeysWith: { first, _ in first }))
    } else if var container = try? decoder.unkeyedContainer() {
      var elements: [JSONValue] = []
      while !container.isAtEnd { elements.append(try container.decode(EmbeddedJSON.self).value) }
      value = .array(elements)
    } else {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        value = .null
      } else if let flag = try? container.decode(Bool.self) {
        value = .bool(flag)
      } else if let number = try? container.decode(Int.self) {
        value = .integer(number)
      } else if let number = try? container.decode(Double.self) {
        value = .real(number)
      } else {
        value = .string(try container.decode(String.self))
      }
    }
  }
}
