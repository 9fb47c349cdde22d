import StrictJSON

/// Comma-separated text as RFC 4180 has it, but with LF line ends: UTF-8 without a mark, `.` as
/// the decimal point, shortest round-trip numbers, an empty field for what does not exist.
public struct CSV: Sendable {
  /// Whether a text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`,
  /// a tab or a carriage return) gets a leading apostrophe. Off by default: it changes the text.
  public var guardsFormulas: Bool

  /// See ``guardsFormulas``.
  public init(guardsFormulas: Bool = false) { self.guardsFormulas = guardsFormulas }

  /// The whole table, header line first.
  public func text(_ table: Table) -> String {
    var text = header(table.columns)
    for row in table.rows { text += line(row) }
    return text
  }

  /// The header line, with its line end.
  public func header(_ columns: [Column]) -> String {
    columns.map(\.name).joined(separator: ",") + "\n"
  }

  /// One row with its line end, for writing row by row.
  public func line(_ row: [Cell]) -> String {
    // A lone empty field would be an empty line, which readers skip.
    if row == [.empty] || row == [.text("")] { return "\"\"\n" }
    var text = ""
    for (index, cell) in row.enumerated() {
      if index > 0 { text += "," }
      text += field(cell)
    }
    return text + "\n"
  }

  func field(_ cell: Cell) -> String {
    switch cell {
    case .empty: return ""
    case .integer(let value): return String(value)
    case .real(let value): return value.isFinite ? value.description : ""
    case .text(let value):
      var text = value
      if guardsFormulas, let first = text.utf8.first, "=+-@\t\r".utf8.contains(first) {
        text = "'" + text
      }
      let special: (UInt8) -> Bool = { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
      guard text.utf8.contains(where: special) else { return text }
      var quoted = "\""
      for scalar in text.unicodeScalars {
        if scalar == "\"" { quoted += "\"" }
        quoted.unicodeScalars.append(scalar)
      }
      return quoted + "\""
    }
  }
}

extension Table {
  /// The table as comma-separated text.
  public var csv: String { CSV().text(self) }

  /// An array of objects, one a row, keys in column order; empty cells are null.
  public var json: JSONValue {
    .array(
      rows.map { row in
        .object(
          zip(columns, row).map { column, cell in
            switch cell {
            case .empty: JSONValue.Member(column.name, .null)
            case .text(let text): JSONValue.Member(column.name, .string(text))
            case .integer(let value): JSONValue.Member(column.name, .integer(value))
            case .real(let value): JSONValue.Member(column.name, .real(value))
            }
          })
      })
  }
}
