extension String {
  /// The text with U+FFFD for every scalar that has no place in a label.
  package var displayable: String {
    var safe = String.UnicodeScalarView()
    for scalar in unicodeScalars { safe.append(scalar.isUnsafeForDisplay ? "\u{FFFD}" : scalar) }
    return String(safe)
  }

  /// The text as content of an element or value of an attribute of XML and HTML. What XML forbids, or what
  /// would disguise the rest of a label, becomes U+FFFD; line breaks and tabs become spaces.
  package var markup: String {
    var escaped = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      switch scalar {
      case "&": escaped.append(contentsOf: "&amp;".unicodeScalars)
      case "<": escaped.append(contentsOf: "&lt;".unicodeScalars)
      case ">": escaped.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": escaped.append(contentsOf: "&quot;".unicodeScalars)
      case "'": escaped.append(contentsOf: "&#39;".unicodeScalars)
      case "\n", "\r", "\t": escaped.append(" ")
      default: escaped.append(scalar.isUnsafeForDisplay ? "\u{FFFD}" : scalar)
      }
    }
    return String(escaped)
  }
}

extension Unicode.Scalar {
  /// Control characters, bidirectional overrides and non-characters: nothing that a label needs,
  /// and forbidden in XML or able to disguise what is shown.
  package var isUnsafeForDisplay: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFDD0...0xFDEF,
      0xFEFF:
      true
    default: value & 0xFFFE == 0xFFFE
    }
  }
}
