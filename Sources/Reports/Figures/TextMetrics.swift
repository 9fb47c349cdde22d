/// Widths of text set in Helvetica, Arial or one of their metric twins, so that margins fit their
/// labels before anything is drawn.
enum TextMetrics {
  /// Advance widths of U+0020...U+007E in 1/1000 em, from the Adobe font metrics of Helvetica.
  private static let widths: [Double] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
  ]

  /// The width of `text` in pixels at a font size in pixels.
  static func width(_ text: String, size: Double, bold: Bool = false) -> Double {
    var sum = 0.0
    for scalar in text.unicodeScalars { sum += width(scalar) }
    // Helvetica Bold is 4 to 8 % wider over running text.
    return sum * size / 1000 * (bold ? 1.07 : 1)
  }

  private static func width(_ scalar: Unicode.Scalar) -> Double {
    switch scalar.value {
    case 0x20...0x7E: widths[Int(scalar.value) - 0x20]
    case 0x300...0x36F, 0x200B...0x200D, 0xFE00...0xFE0F: 0
    case 0xB7: 278
    case 0xB0: 400
    case 0x2013: 556
    case 0x2014, 0x2026: 1000
    case 0x2212, 0xD7, 0xB1: 584
    // Greek and Latin letters with marks are about as wide as their plain relatives.
    case 0xC0...0xDE, 0x391...0x3A9: 700
    case 0xA0...0x2AF, 0x3B1...0x3C9: 570
    case 0x1100...0x11FF, 0x2E80...0xD7FF, 0xF900...0xFAFF, 0xFF00...0xFF60, 0x1F300...0x3FFFF:
      1000
    default: 650
    }
  }

  /// `text` broken between words into lines at most `width` wide; a longer word is cut.
  static func wrap(_ text: String, size: Double, bold: Bool = false, width limit: Double)
    -> [String]
  {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      let longer = line.isEmpty ? String(word) : line + " " + word
      if width(longer, size: size, bold: bold) <= limit {
        line = longer
      } else {
        if !line.isEmpty { lines.append(line) }
        line = shorten(String(word), size: size, bold: bold, width: limit)
      }
    }
    if !line.isEmpty { lines.append(line) }
    return lines
  }

  /// `text`, or its beginning and end around an ellipsis if it is wider than `limit`.
  static func shorten(_ text: String, size: Double, bold: Bool = false, width limit: Double)
    -> String
  {
    guard width(text, size: size, bold: bold) > limit else { return text }
    let characters = Array(text)
    var kept = characters.count - 1
    while kept > 2 {
      let head = (kept + 1) / 2
      let candidate =
        String(characters[..<head]) + "…" + String(characters[(characters.count - kept + head)...])
      if width(candidate, size: size, bold: bold) <= limit { return candidate }
      kept -= 1
    }
    return String(characters.prefix(1)) + "…"
  }
}
