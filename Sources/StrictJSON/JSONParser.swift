extension JSONValue {
  /// Parses one JSON document that fills `bytes`.
  ///
  /// Strict (RFC 8259): valid UTF-8 without byte order mark, no name twice in an object, no comments,
  /// no trailing commas, no NaN.
  public init(
    parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) {
    var parser = JSONParser(bytes: bytes, limits: limits)
    self = try parser.document()
  }

  /// Parses one JSON document that fills `bytes`, as strictly.
  public init(parsing bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
    self = try bytes.withUnsafeBufferPointer { (buffer) throws(JSONError) in
      try JSONValue(parsing: UnsafeRawBufferPointer(buffer), limits: limits)
    }
  }
}

/// A recursive-descent parser of strict JSON over raw bytes.
///
/// Hand-written because lenient parsers disagree about duplicate names and large numbers, and two
/// readers that disagree see two different models in one file.
struct JSONParser {
  let bytes: UnsafeRawBufferPointer
  let limits: JSONLimits
  private var position = 0
  private var depth = 0
  private var values = 0

  init(bytes: UnsafeRawBufferPointer, limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  mutating func document() throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.bytes else {
      throw excess("\(bytes.count) bytes of JSON", expected: "at most \(limits.bytes)")
    }
    if holds("\u{FEFF}") {
      throw failure("a byte order mark", expected: "JSON in UTF-8 without one")
    }
    skipSpace()
    let value = try value()
    skipSpace()
    guard position == bytes.count else { throw failure(here, expected: "the end of the JSON") }
    return value
  }

  // MARK: Values

  private mutating func value() throws(JSONError) -> JSONValue {
    values += 1
    guard values <= limits.values else {
      throw excess("more than \(limits.values) JSON values", expected: "fewer")
    }
    guard let first = peek else { throw failure(here, expected: "a JSON value") }
    switch first {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw failure(here, expected: "a JSON value")
    }
  }

  private mutating func word(
    _ text: StaticString, _ value: JSONValue
  ) throws(JSONError) -> JSONValue {
    guard holds(text) else { throw failure(here, expected: "a JSON value") }
    position += text.utf8CodeUnitCount
    return value
  }

  private mutating func object() throws(JSONError) -> JSONValue {
    try descend()
    var members: [JSONValue.Member] = []
    var names: Set<String>?
    skipSpace()
    if peek != UInt8(ascii: "}") {
      while true {
        skipSpace()
        guard peek == UInt8(ascii: "\"") else {
          throw failure(here, expected: "a name in quotation marks")
        }
        let start = position
        let name = try string()
        // Short objects are searched; a set is worth its cost only for long ones.
        if members.count == 16 { names = Set(members.map(\.name)) }
        let isNew = names?.insert(name).inserted ?? !members.contains { $0.name == name }
        guard isNew else {
          position = start
          throw failure(
            "the name \"\(name)\" a second time", expected: "each name once in an object")
        }
        skipSpace()
        guard take(UInt8(ascii: ":")) else { throw failure(here, expected: "\":\"") }
        skipSpace()
        members.append(JSONValue.Member(name, try value()))
        skipSpace()
        if take(UInt8(ascii: ",")) { continue }
        break
      }
    }
    guard take(UInt8(ascii: "}")) else { throw failure(here, expected: "\",\" or \"}\"") }
    depth -= 1
    return .object(members)
  }

  private mutating func array() throws(JSONError) -> JSONValue {
    try descend()
    var elements: [JSONValue] = []
    skipSpace()
    if peek != UInt8(ascii: "]") {
      while true {
        skipSpace()
        elements.append(try value())
        skipSpace()
        if take(UInt8(ascii: ",")) { continue }
        break
      }
    }
    guard take(UInt8(ascii: "]")) else { throw failure(here, expected: "\",\" or \"]\"") }
    depth -= 1
    return .array(elements)
  }

  private mutating func descend() throws(JSONError) {
    position += 1
    depth += 1
    guard depth <= limits.depth else {
      throw excess("JSON nested more than \(limits.depth) deep", expected: "a shallower document")
    }
  }

  // MARK: Numbers

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    var isInteger = true
    let isNegative = take(UInt8(ascii: "-"))
    if take(UInt8(ascii: "0")) {
      if isDigit { throw failure("a number with a leading zero", expected: "no leading zero") }
    } else {
      try digits()
    }
    if take(UInt8(ascii: ".")) {
      isInteger = false
      try digits()
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isInteger = false
      if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
      try digits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text), !(isNegative && value == 0) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      position = start
      throw failure("the number \(text)", expected: "a number within the range of a Double")
    }
    return .real(value)
  }

  private mutating func digits() throws(JSONError) {
    guard isDigit else { throw failure(here, expected: "a digit") }
    while isDigit { position += 1 }
  }

  // MARK: Strings

  private mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    while let byte = peek, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
      position += 1
    }
    if peek == UInt8(ascii: "\"") {
      defer { position += 1 }
      guard let text = String(validating: bytes[start..<position], as: UTF8.self) else {
        throw failure("text that is not UTF-8", expected: "UTF-8")
      }
      return text
    }
    return try stringWithEscapes(Array(bytes[start..<position]))
  }

  private mutating func stringWithEscapes(_ start: [UInt8]) throws(JSONError) -> String {
    var buffer = start
    while true {
      guard let byte = peek else { throw failure(here, expected: "the end of a string") }
      if byte < 0x20 {
        throw failure("a control character in a string", expected: "an escape sequence")
      }
      position += 1
      if byte == UInt8(ascii: "\"") { break }
      if byte != UInt8(ascii: "\\") {
        buffer.append(byte)
        continue
      }
      guard let escape = peek else { throw failure(here, expected: "an escape sequence") }
      position += 1
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(escape)
      case UInt8(ascii: "b"): buffer.append(0x08)
      case UInt8(ascii: "f"): buffer.append(0x0C)
      case UInt8(ascii: "n"): buffer.append(0x0A)
      case UInt8(ascii: "r"): buffer.append(0x0D)
      case UInt8(ascii: "t"): buffer.append(0x09)
      case UInt8(ascii: "u"):
        buffer.append(contentsOf: String(Character(try unicodeEscape())).utf8)
      default:
        position -= 1
        throw failure("an unknown escape sequence", expected: "one of \\\" \\\\ \\/ \\b … \\u")
      }
    }
    guard let text = String(validating: buffer, as: UTF8.self) else {
      throw failure("text that is not UTF-8", expected: "UTF-8")
    }
    return text
  }

  private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
    let first = try hexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
      throw failure("half of a surrogate pair", expected: "two \\u escapes")
    }
    let second = try hexadecimal()
    guard (0xDC00..<0xE000).contains(second),
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else { throw failure("half of a surrogate pair", expected: "two \\u escapes") }
    return scalar
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let digit: UInt8? =
        switch peek {
        case .some(let byte) where isDigit: byte - UInt8(ascii: "0")
        case .some(let byte) where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte):
          byte - UInt8(ascii: "a") + 10
        case .some(let byte) where (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte):
          byte - UInt8(ascii: "A") + 10
        default: nil
        }
      guard let digit else { throw failure(here, expected: "four hexadecimal digits") }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  // MARK: Bytes

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private var isDigit: Bool {
    peek.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  /// Whether the bytes from here on are those of `text`.
  private func holds(_ text: StaticString) -> Bool {
    guard bytes.count - position >= text.utf8CodeUnitCount else { return false }
    return bytes[position..<position + text.utf8CodeUnitCount].elementsEqual(
      UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  // MARK: Errors

  private var here: String {
    guard let byte = peek else { return "the JSON ends too early" }
    if byte > 0x20, byte < 0x7F { return "\"\(Character(Unicode.Scalar(byte)))\"" }
    return "the byte 0x" + String(byte, radix: 16)
  }

  private func failure(_ found: String, expected: String) -> JSONError {
    JSONError(
      position < bytes.count ? .malformed : .truncated, offset: position, found: found,
      expected: expected)
  }

  private func excess(_ found: String, expected: String) -> JSONError {
    JSONError(.limitExceeded, offset: position, found: found, expected: expected)
  }
}
