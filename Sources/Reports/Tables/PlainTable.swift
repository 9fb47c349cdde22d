extension Table {
  /// The table for a person at a terminal: aligned columns, numbers to the right with
  /// `digits` significant digits, and the middle left out of a table longer than `limit` rows.
  public func plainText(limit: Int = 40, digits: Int = 4) -> String {
    precondition(limit >= 2, "a first and a last row")
    var shown = Array(rows.indices)
    var elided = 0
    if rows.count > limit {
      let head = (limit + 1) / 2
      elided = rows.count - limit
      shown = Array(0..<head) + Array((head + elided)..<rows.count)
    }
    let texts = columns.indices.map { column in
      [columns[column].name] + shown.map { Self.plain(rows[$0][column], digits: digits) }
    }
    let widths = texts.map { $0.map(Self.displayWidth).max() ?? 0 }

    var lines: [String] = []
    for index in 0...shown.count {
      var line = ""
      for (column, width) in widths.enumerated() {
        let text = texts[column][index]
        let padding = String(repeating: " ", count: width - Self.displayWidth(text))
        if column > 0 { line += "  " }
        line += columns[column].kind == .text ? text + padding : padding + text
      }
      while line.hasSuffix(" ") { line.removeLast() }
      lines.append(line)
      if index == 0 {
        lines.append(widths.map { String(repeating: "─", count: $0) }.joined(separator: "  "))
      }
      if elided > 0 && index == (limit + 1) / 2 {
        lines.append("… \(elided) more row\(elided == 1 ? "" : "s") …")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func plain(_ cell: Cell, digits: Int) -> String {
    switch cell {
    case .empty: return "–"
    case .integer(let value): return String(value)
    case .real(let value):
      return value.isFinite ? NumberText.significant(value, digits: digits) : "–"
    case .text(let text):
      // A name from a file must not move the cursor or colour the terminal.
      return text.displayable
    }
  }

  /// Columns that a terminal gives to `text`: two for wide East Asian characters and emoji.
  private static func displayWidth(_ text: String) -> Int {
    text.reduce(0) { width, character in
      guard let scalar = character.unicodeScalars.first else { return width }
      switch scalar.value {
      case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
        return width + 2
      default: return width + 1
      }
    }
  }
}
