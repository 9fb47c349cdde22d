/// What is wrong with a JSON document, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Bytes before the place.
  public let offset: Int
  /// What stands there.
  public let found: String
  /// What the grammar allows there.
  public let expected: String
  /// One line for people.
  public var description: String {
    "at byte \(offset): found \(found), expected \(expected)"
  }
}

extension JSONText {
  /// Reads a document by RFC 8259, strictly: UTF-8, no comments, no trailing commas, no repeated
  /// keys, at most 64 levels deep.
  public init(parsing bytes: [UInt8]) throws(JSONError) {
    var reader = JSONReader(bytes: bytes)
    self = try reader.document()
  }
}

private struct JSONReader {
  let bytes: [UInt8]
  var offset = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSONError) -> JSONText {
    let value = try value(depth: 0)
    skipSpace()
    guard offset == bytes.count else { throw unexpected("the end of the document") }
    return value
  }

  private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private func unexpected(_ expected: String) -> JSONError {
    let found =
      switch next {
      case nil: "the end of the document"
      case .some(let byte) where (0x21...0x7E).contains(byte):
        "`\(Character(Unicode.Scalar(byte)))`"
      case .some(let byte): "byte \(byte)"
      }
    return JSONError(offset: offset, found: found, expected: expected)
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      offset += 1
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    offset += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONText {
    guard depth <= 64 else { throw unexpected("at most 64 levels") }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSONText) throws(JSONError) -> JSONText
  {
    for byte in "\(text)".utf8 {
      guard take(byte) else { throw unexpected("`\(text)`") }
    }
    return value
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONText {
    offset += 1
    var members: [JSONText.Member] = []
    var keys: Set<String> = []
    skipSpace()
    if take(UInt8(ascii: "}")) { return .object([]) }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw unexpected("a key") }
      let start = offset
      let key = try string()
      guard keys.insert(key).inserted else {
        throw JSONError(offset: start, found: "a repeated key", expected: "each key once")
      }
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw unexpected("`:`") }
      members.append(.init(key, try value(depth: depth + 1)))
      skipSpace()
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw unexpected("`,` or `}`") }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONText {
    offset += 1
    var elements: [JSONText] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .array([]) }
    repeat {
      elements.append(try value(depth: depth + 1))
      skipSpace()
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw unexpected("`,` or `]`") }
    return .array(elements)
  }

  private mutating func digits() throws(JSONError) {
    guard let byte = next, (0x30...0x39).contains(byte) else { throw unexpected("a digit") }
    while let byte = next, (0x30...0x39).contains(byte) { offset += 1 }
  }

  private mutating func number() throws(JSONError) -> JSONText {
    let start = offset
    var isInteger = true
    _ = take(UInt8(ascii: "-"))
    if next == nil || !((0x30...0x39).contains(next ?? 0)) { throw unexpected("a value") }
    if !take(UInt8(ascii: "0")) { try digits() }
    if take(UInt8(ascii: ".")) {
      isInteger = false
      try digits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      offset += 1
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      throw JSONError(offset: start, found: text, expected: "a number that a Double can hold")
    }
    return .real(value)
  }

  private mutating func string() throws(JSONError) -> String {
    let start = offset
    offset += 1
    var content: [UInt8] = []
    while let byte = next {
      offset += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: content, as: UTF8.self) else {
          throw JSONError(offset: start, found: "bytes that are not UTF-8", expected: "UTF-8")
        }
        return text
      case UInt8(ascii: "\\"): content += Array(try escape().utf8)
      case 0..<0x20:
        offset -= 1
        throw unexpected("an escaped control character")
      default: content.append(byte)
      }
    }
    throw unexpected("the end of a string")
  }

  private mutating func escape() throws(JSONError) -> String {
    guard let byte = next else { throw unexpected("an escape") }
    offset += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let first = try hexadecimal()
      var value = UInt32(first)
      if (0xD800..<0xDC00).contains(first) {
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
          throw unexpected("the second half of a surrogate pair")
        }
        let second = try hexadecimal()
        guard (0xDC00..<0xE000).contains(second) else {
          throw unexpected("the second half of a surrogate pair")
        }
        value = 0x10000 + ((UInt32(first) - 0xD800) << 10) + (UInt32(second) - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(value) else { throw unexpected("a Unicode scalar") }
      return String(Character(scalar))
    default:
      offset -= 1
      throw unexpected("an escape")
    }
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw unexpected("four hexadecimal digits")
      }
      value = value << 4 | UInt16(digit)
      offset += 1
    }
    return value
  }
}
