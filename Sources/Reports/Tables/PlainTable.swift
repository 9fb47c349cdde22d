extension Table {
  /// The table for a person at a terminal: aligned columns, numbers to the right with
  /// `digits` significant digits, and the middle left out of a table longer than `limit` rows.
  ///
  /// - Parameters:
  ///   - width: how many characters a line may have; the widest columns of text are broken into
  ///     several lines for it. With nil each row stays on one line.
  public func plainText(limit: Int = 40, digits: Int = 4, width: Int? = nil) -> String {
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
    var widths = texts.map { $0.map(Self.displayWidth).max() ?? 0 }
    if let width { fit(&widths, to: width) }

    var lines: [String] = []
    for index in 0...shown.count {
      let cells = columns.indices.map { Self.broken(texts[$0][index], to: widths[$0]) }
      for part in 0..<(cells.map(\.count).max() ?? 0) {
        var line = ""
        for (column, width) in widths.enumerated() {
          let text = part < cells[column].count ? cells[column][part] : ""
          let padding = String(repeating: " ", count: width - Self.displayWidth(text))
          if column > 0 { line += "  " }
          line += columns[column].kind == .text ? text + padding : padding + text
        }
        while line.hasSuffix(" ") { line.removeLast() }
        lines.append(line)
      }
      if index == 0 {
        lines.append(widths.map { String(repeating: "─", count: $0) }.joined(separator: "  "))
      }
      if elided > 0 && index == (limit + 1) / 2 {
        lines.append("… \(elided) more row\(elided == 1 ? "" : "s") …")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Narrows the widest columns of text until a line is at most `limit` long, or they cannot give
  /// more without becoming unreadable.
  private func fit(_ widths: inout [Int], to limit: Int) {
    let least = 24
    var excess = widths.reduce(0, +) + 2 * max(widths.count - 1, 0) - limit
    while excess > 0 {
      let candidates = columns.indices.filter { columns[$0].kind == .text && widths[$0] > least }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { return }
      widths[widest] -= 1
      excess -= 1
    }
  }

  /// `text` in pieces at most `width` wide, broken after blanks, commas and slashes where there are
  /// some.
  private static func broken(_ text: String, to width: Int) -> [String] {
    guard displayWidth(text) > width else { return [text] }
    var pieces: [String] = []
    var rest = text[...]
    while displayWidth(String(rest)) > width {
      var (used, end) = (0, rest.startIndex)
      var goodEnd: String.Index?
      while end < rest.endIndex {
        used += displayWidth(String(rest[end]))
        if used > width { break }
        let next = rest.index(after: end)
        if " ,/".contains(rest[end]) || next < rest.endIndex && rest[next] == " " { goodEnd = next }
        end = next
      }
      // A piece has at least one character, however narrow the column.
      let cut = goodEnd ?? (end > rest.startIndex ? end : rest.index(after: rest.startIndex))
      pieces.append(String(rest[..<cut].trimmingSuffix { $0 == " " }))
      rest = rest[cut...].drop { $0 == " " }
    }
    if !rest.isEmpty { pieces.append(String(rest)) }
    return pieces
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

extension Substring {
  /// Without the characters at its end that satisfy `predicate`.
  fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
    var trimmed = self
    while let last = trimmed.last, predicate(last) { trimmed.removeLast() }
    return trimmed
  }
}
