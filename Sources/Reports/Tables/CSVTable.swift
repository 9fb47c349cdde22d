/// A table as it stands in a file of comma-separated text: fields found by the names of their columns.
///
/// The reader takes what ``CSV`` writes, and what spreadsheets make of it: RFC 4180 with LF or CR LF. All
/// else is refused with its place; nothing is guessed from the order of columns.
public struct CSVTable: Sendable, Equatable {
  /// What a file may hold.
  public struct Limits: Sendable {
    /// Length of the text in bytes.
    public var bytes = 1 << 26
    /// Number of fields, those of the header included.
    public var fields = 1 << 23
    /// Length of a field in bytes.
    public var field = 1 << 16

    /// The bounds as the properties have them.
    public init() {}
  }

  /// Where it was read, for errors.
  public let path: String
  /// The header; names are unique.
  public let columns: [String]
  /// The text of the file, for handing it on.
  public let source: String
  /// Fields by row, as many as there are columns.
  public let rows: [[String]]
  /// The line that each row begins on, from 1.
  private let lines: [Int]

  /// Reads a whole text.
  ///
  /// - Throws: ``ResultsError`` `.damaged` with the line of what is not as it should be.
  public init(parsing bytes: [UInt8], path: String, limits: Limits = Limits()) throws(ResultsError)
  {
    var reader = CSVReader(bytes, path: path, limits: limits)
    try reader.read()
    guard let header = reader.records.first else {
      throw ResultsError(
        .damaged, path: path, message: "is empty; expected a line of column names")
    }
    guard Set(header).count == header.count, header.allSatisfy({ !$0.isEmpty }) else {
      throw ResultsError(
        .damaged, path: path,
        message: "line 1: found a column without a name or two of one name; expected unique names")
    }
    self.path = path
    source = String(decoding: bytes, as: UTF8.self)
    columns = header
    rows = Array(reader.records.dropFirst())
    lines = Array(reader.lines.dropFirst())
    for (index, row) in rows.enumerated() where row.count != header.count {
      throw damage(index, "found \(row.count) fields; expected \(header.count), one a column")
    }
  }

  /// Whether there is a column of that name.
  public func has(_ column: String) -> Bool { columns.contains(column) }

  /// The fields of a column.
  ///
  /// - Throws: ``ResultsError`` `.damaged` if there is no such column.
  public func texts(_ column: String) throws(ResultsError) -> [String] {
    let index = try index(column)
    return rows.map { $0[index] }
  }

  /// The numbers of a column; nil where a field is empty.
  ///
  /// - Throws: ``ResultsError`` `.damaged` if there is no such column, or a field is no finite number.
  public func numbers(_ column: String) throws(ResultsError) -> [Double?] {
    let place = try index(column)
    var values: [Double?] = []
    values.reserveCapacity(rows.count)
    for (index, row) in rows.enumerated() {
      let field = row[place]
      if field.isEmpty {
        values.append(nil)
      } else if let value = Double(field), value.isFinite {
        values.append(value)
      } else {
        throw damage(
          index, "column \(column): found \"\(Self.short(field))\"; expected a number or nothing")
      }
    }
    return values
  }

  /// The failure that something in a row is.
  public func damage(_ row: Int, _ message: String) -> ResultsError {
    ResultsError(.damaged, path: path, message: "line \(lines[row]), \(message)")
  }

  private func index(_ column: String) throws(ResultsError) -> Int {
    guard let index = columns.firstIndex(of: column) else {
      let found = columns.prefix(40).map { Self.short($0) }.joined(separator: ", ")
      throw ResultsError(
        .damaged, path: path,
        message: "has no column \"\(column)\" (found \(found)); it is of another version or was "
          + "changed: run the command again")
    }
    return index
  }

  private static func short(_ text: String) -> String {
    (text.count > 40 ? text.prefix(39) + "…" : text[...]).description.displayable
  }
}

/// Records of fields from bytes.
private struct CSVReader {
  private let bytes: [UInt8]
  private let path: String
  private let limits: CSVTable.Limits
  private var at = 0
  private var line = 1
  private var fields = 0
  private(set) var records: [[String]] = []
  private(set) var lines: [Int] = []

  private static let (quote, comma) = (UInt8(ascii: "\""), UInt8(ascii: ","))
  private static let (lineFeed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))

  init(_ bytes: [UInt8], path: String, limits: CSVTable.Limits) {
    (self.bytes, self.path, self.limits) = (bytes, path, limits)
  }

  mutating func read() throws(ResultsError) {
    guard bytes.count <= limits.bytes else {
      throw damage("is \(bytes.count) bytes long; at most \(limits.bytes) are read")
    }
    while at < bytes.count {
      lines.append(line)
      records.append(try record())
    }
  }

  private mutating func record() throws(ResultsError) -> [String] {
    var record: [String] = []
    while true {
      fields += 1
      guard fields <= limits.fields else { throw damage("more than \(limits.fields) fields") }
      record.append(try field())
      guard at < bytes.count else { return record }
      switch bytes[at] {
      case Self.comma:
        at += 1
      case Self.lineFeed:
        (at, line) = (at + 1, line + 1)
        return record
      case Self.carriageReturn where at + 1 < bytes.count && bytes[at + 1] == Self.lineFeed:
        (at, line) = (at + 2, line + 1)
        return record
      default:
        throw damage("found text after a closing quote or a lone carriage return; expected , or LF")
      }
    }
  }

  private mutating func field() throws(ResultsError) -> String {
    guard at < bytes.count, bytes[at] == Self.quote else {
      let start = at
      while at < bytes.count {
        let byte = bytes[at]
        if byte == Self.comma || byte == Self.lineFeed || byte == Self.carriageReturn { break }
        if byte == Self.quote {
          throw damage("found a quote inside a field that does not begin with one")
        }
        at += 1
      }
      return try text(bytes[start..<at])
    }
    at += 1
    var content: [UInt8] = []
    while true {
      guard at < bytes.count else { throw damage("found the end of the file within quotes") }
      let byte = bytes[at]
      at += 1
      if byte == Self.quote {
        guard at < bytes.count, bytes[at] == Self.quote else { break }
        at += 1
      } else if byte == Self.lineFeed {
        line += 1
      }
      content.append(byte)
    }
    return try text(content[...])
  }

  private func text(_ bytes: ArraySlice<UInt8>) throws(ResultsError) -> String {
    guard bytes.count <= limits.field else {
      throw damage("found a field of \(bytes.count) bytes; at most \(limits.field) are read")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw damage("found bytes that are not UTF-8")
    }
    return text
  }

  private func damage(_ message: String) -> ResultsError {
    ResultsError(.damaged, path: path, message: "line \(line): \(message)")
  }
}
