/// One value of a table.
///
/// A value that does not exist is `.empty`; say why in a `status` column.
public enum Cell: Sendable, Equatable {
  case text(String)
  case integer(Int)
  /// Rendered with as many digits as it takes to read the same value back; a NaN or an infinity
  /// is rendered as an empty field.
  case real(Double)
  case empty

  /// The text, or an empty cell.
  public init(_ text: String?) { self = text.map(Cell.text) ?? .empty }
  /// The integer, or an empty cell.
  public init(_ integer: Int?) { self = integer.map(Cell.integer) ?? .empty }
  /// The real number, or an empty cell if there is none or it is not finite.
  public init(_ real: Double?) {
    if let real, real.isFinite { self = .real(real) } else { self = .empty }
  }
}

extension Cell: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral
{
  /// From a literal.
  public init(stringLiteral value: String) { self = .text(value) }
  /// From a literal.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// From a literal.
  public init(floatLiteral value: Double) { self = Cell(value) }
}

/// A named, typed column.
public struct Column: Sendable, Equatable {
  /// What the cells of a column hold; empty cells may stand in any column.
  public enum Kind: Sendable { case text, integer, real }

  /// The header: lower-case letters, digits and `_`.
  public let name: String
  /// What the cells hold.
  public let kind: Kind
  /// What the values mean and their unit, for people.
  public let note: String

  /// Makes one from its parts; see the properties.
  public init(_ name: String, _ kind: Kind, note: String = "") {
    precondition(
      !name.isEmpty
        && name.utf8.allSatisfy {
          (97...122).contains($0) || (48...57).contains($0) || $0 == 95
        }, "a column name is snake_case: \(name)")
    self.name = name
    self.kind = kind
    self.note = note
  }

  /// A column of texts.
  public static func text(_ name: String, note: String = "") -> Column {
    Column(name, .text, note: note)
  }
  /// A column of whole numbers.
  public static func integer(_ name: String, note: String = "") -> Column {
    Column(name, .integer, note: note)
  }
  /// A column of real numbers.
  public static func real(_ name: String, note: String = "") -> Column {
    Column(name, .real, note: note)
  }

  func accepts(_ cell: Cell) -> Bool {
    switch (kind, cell) {
    case (_, .empty), (.text, .text), (.integer, .integer), (.real, .real), (.real, .integer):
      true
    default: false
    }
  }
}

/// A tidy table: one observation a row, rows in the order in which they were appended.
public struct Table: Sendable, Equatable {
  /// The stem of the file that holds it (`cka_curve`).
  public let name: String
  /// In the order of the cells of a row.
  public let columns: [Column]
  /// In the order in which they were appended.
  public private(set) var rows: [[Cell]] = []

  /// An empty table, or one with rows; column names are unique.
  public init(_ name: String, columns: [Column], rows: [[Cell]] = []) {
    precondition(
      Set(columns.map(\.name)).count == columns.count, "column names of \(name) are unique")
    self.name = name
    self.columns = columns
    for row in rows { append(row) }
  }

  /// Adds a row: one cell a column, each of its column's kind or empty.
  public mutating func append(_ row: [Cell]) {
    precondition(
      row.count == columns.count, "\(name): \(row.count) cells for \(columns.count) columns")
    for (column, cell) in zip(columns, row) {
      precondition(column.accepts(cell), "\(name).\(column.name) does not hold \(cell)")
    }
    rows.append(row)
  }

  /// The table with one more column, of one value.
  public func adding(_ column: Column, _ cell: Cell) -> Table {
    Table(name, columns: columns + [column], rows: rows.map { $0 + [cell] })
  }

  /// The cells of one column, or nil if there is no such column.
  public func cells(_ name: String) -> [Cell]? {
    guard let index = columns.firstIndex(where: { $0.name == name }) else { return nil }
    return rows.map { $0[index] }
  }

  /// The table with only the named columns, in the order given; unknown names are left out.
  public func selecting(_ names: [String]) -> Table {
    let indices = names.compactMap { name in columns.firstIndex { $0.name == name } }
    return Table(
      name, columns: indices.map { columns[$0] }, rows: rows.map { row in indices.map { row[$0] } })
  }
}
