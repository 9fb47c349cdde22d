extension String {
  /// The text with U+FFFD for every scalar that has no place in a label.
  package var displayable: String {
    var safe = String.UnicodeScalarView()
    for scalar in unicodeScalars { safe.append(scalar.isUnsafeForDisplay ? "\u{FFFD}" : scalar) }
    return String(safe)
  }
}

extension Unicode.Scalar {
  /// Control characters, bidirectional overrides and non-characters: nothing that a label needs,
  /// and forbidden in XML or able to disguise what is shown.
  var isUnsafeForDisplay: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFDD0...0xFDEF,
      0xFEFF:
      true
    default: value & 0xFFFE == 0xFFFE
    }
  }
}
