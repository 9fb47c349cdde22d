extension JSONValue {
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
        Self.quote(member.name, into: &text)
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
