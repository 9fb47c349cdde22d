/// Widths that text takes at most, whatever sans-serif font a viewer sets it in, so that margins fit
/// their labels before anything is drawn.
///
/// A drawing names fonts, and each viewer has others. Of those that viewers fall back to, Helvetica
/// and its metric twins (Arial, Liberation Sans, Nimbus Sans) are narrow, DejaVu Sans, with Bitstream
/// Vera and Verdana, the widest. Room is left for the wider of both, letter by letter. The attribute
/// `textLength` would force one width on all, but librsvg and Inkscape ignore it, and elsewhere it
/// distorts letters whose widths are known here only about.
enum TextMetrics {
  /// Advance widths of U+0020...U+007E in 1/1000 em: the greater of DejaVu Sans 2.37 and Liberation
  /// Sans 1.07, which has those of Helvetica.
  private static let regular: [Double] = [
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361, 318, 337,
    637, 637, 637, 637, 637, 637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 557,
    1016, 685, 687, 723, 771, 667, 611, 778, 752, 295, 500, 667, 558, 863, 749, 788,
    667, 788, 723, 667, 611, 732, 685, 989, 686, 667, 686, 391, 337, 391, 838, 557,
    500, 613, 635, 550, 635, 616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612,
    635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637, 337, 637, 838,
  ]

  /// The same of the bold fonts.
  private static let bold: [Double] = [
    349, 457, 521, 838, 696, 1002, 873, 307, 458, 458, 523, 838, 380, 416, 380, 366,
    696, 696, 696, 696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 611,
    1000, 774, 763, 734, 831, 684, 684, 821, 837, 373, 557, 775, 638, 996, 837, 851,
    733, 851, 771, 721, 683, 813, 774, 1104, 771, 725, 726, 458, 366, 458, 838, 557,
    500, 675, 716, 593, 716, 679, 436, 716, 712, 343, 343, 666, 343, 1042, 712, 688,
    716, 716, 494, 596, 479, 712, 652, 924, 646, 652, 583, 712, 366, 712, 838,
  ]

  /// The width of `text` in pixels at a font size in pixels.
  static func width(_ text: String, size: Double, bold isBold: Bool = false) -> Double {
    var sum = 0.0
    for scalar in text.unicodeScalars { sum += width(scalar, isBold) }
    return sum * size / 1000
  }

  private static func width(_ scalar: Unicode.Scalar, _ isBold: Bool) -> Double {
    let wider = isBold ? 1.13 : 1
    return switch scalar.value {
    case 0x20...0x7E: (isBold ? bold : regular)[Int(scalar.value) - 0x20]
    case 0x300...0x36F, 0x200B...0x200D, 0xFE00...0xFE0F: 0
    case 0xB7: 318 * wider
    case 0xB0: 500
    case 0xB2, 0xB3, 0xB9, 0x2070...0x2079, 0x2080...0x2089: 440
    case 0x207A...0x207E: 530
    case 0x2013: 560
    case 0x2014, 0x2026: 1000
    case 0x2212, 0xD7, 0xB1, 0x2264, 0x2265: 840
    case 0x3C0: 700 * wider
    // Latin, Greek and Cyrillic letters are about as wide as their plain relatives.
    case 0xC0...0xDE, 0x391...0x3A9: 760 * wider
    case 0xA0...0x2AF, 0x3B1...0x3C9: 640 * wider
    case 0x400...0x45F: 800 * wider
    case 0x1100...0x11FF, 0x2E80...0xD7FF, 0xF900...0xFAFF, 0xFF00...0xFF60, 0x1F300...0x3FFFF:
      1000
    default: 750 * wider
    }
  }

  /// `text` broken between words into lines at most `width` wide; a longer word is cut. A percent sign
  /// stays with its number.
  static func wrap(_ text: String, size: Double, bold: Bool = false, width limit: Double)
    -> [String]
  {
    var lines: [String] = []
    var line = ""
    var words: [Substring] = []
    for word in text.split(separator: " ") {
      if word.first == "%", let last = words.last, last.last?.isNumber == true {
        words[words.count - 1] = Substring(last + " " + word)
      } else {
        words.append(word)
      }
    }
    for word in words {
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
