/// Rows under named columns: a table as it was just made, or as it was read back from its file.
public protocol TableRows: Sendable {
  /// How many there are.
  var rowCount: Int { get }

  /// Whether there is a column of that name.
  func has(_ column: String) -> Bool

  /// The fields of a column; empty where there is no value.
  ///
  /// - Throws: ``ResultsError`` `.damaged` if there is no such column.
  func texts(_ column: String) throws(ResultsError) -> [String]

  /// The numbers of a column; nil where a field is empty.
  ///
  /// - Throws: ``ResultsError`` `.damaged` if there is no such column, or a field is no finite number.
  func numbers(_ column: String) throws(ResultsError) -> [Double?]

  /// The failure that something in a row is.
  func damage(_ row: Int, _ message: String) -> ResultsError
}

extension CSVTable: TableRows {
  /// How many rows there are.
  public var rowCount: Int { rows.count }
}

extension Table: TableRows {
  /// How many rows there are.
  public var rowCount: Int { rows.count }

  /// Whether there is a column of that name.
  public func has(_ column: String) -> Bool { columns.contains { $0.name == column } }

  /// The fields of a column, as a file has them.
  public func texts(_ column: String) throws(ResultsError) -> [String] {
    try known(column).map { cell in
      switch cell {
      case .text(let text): text
      case .integer(let value): String(value)
      case .real(let value): value.isFinite ? value.description : ""
      case .empty: ""
      }
    }
  }

  /// The numbers of a column.
  public func numbers(_ column: String) throws(ResultsError) -> [Double?] {
    let cells = try known(column)
    var values: [Double?] = []
    for (row, cell) in cells.enumerated() {
      switch cell {
      case .integer(let value): values.append(Double(value))
      case .real(let value): values.append(value.isFinite ? value : nil)
      case .empty, .text(""): values.append(nil)
      case .text: throw damage(row, "column \(column) holds text")
      }
    }
    return values
  }

  /// The failure that something in a row is.
  public func damage(_ row: Int, _ message: String) -> ResultsError {
    ResultsError(.damaged, path: name + ".csv", message: "line \(row + 2), \(message)")
  }

  private func known(_ column: String) throws(ResultsError) -> [Cell] {
    guard let cells = cells(column) else {
      throw ResultsError(
        .damaged, path: name + ".csv", message: "has no column \"\(column.displayable)\"")
    }
    return cells
  }
}

extension TableRows {
  /// The model of each row. Of a table about several data sets, each is a model of its own.
  public func models(_ column: String = "model") throws(ResultsError) -> [String] {
    let models = try texts(column)
    guard has("data") else { return models }
    let data = try texts("data")
    return Set(data).count > 1 ? zip(models, data).map { "\($0), \($1)" } : models
  }

  /// The rows of each model, in the order in which they come.
  public func rowsByModel() throws(ResultsError) -> [RowGroup] {
    RowGroup.of(Array(0..<rowCount), by: try models())
  }

  /// The values of a column that says the same in every row, else all of them.
  public func constant(_ column: String) throws(ResultsError) -> String {
    Set(try texts(column)).sorted().joined(separator: "/")
  }

  /// "n = 512 images" from the column of counts; with `data`, "n = 512 images of val" where the images have a name.
  public func imageCount(
    in column: String = "n_images", of data: String? = nil
  ) throws(ResultsError) -> String {
    let n = try numbers(column).compactMap(\.self).max() ?? 0
    let count = Int(exactly: n).map { "\($0)" } ?? "\(n)"
    let name = try data.map { column throws(ResultsError) in
      has(column) ? " of \(try constant(column).displayable)" : ""
    }
    return "n = \(count) image\(n == 1 ? "" : "s")\(name ?? "")"
  }

  /// The column that names layers; curves of CKA call it `block_name` in version 0.1.0.
  public var layerColumn: String { has("block_name") ? "block_name" : "layer_name" }

  /// The column that numbers heads; tables of attention call it `head` in version 0.1.0.
  public var headColumn: String { has("head") ? "head" : "head_index" }
}

/// The places of rows that have a field in common.
public struct RowGroup: Sendable, Equatable {
  /// The field.
  public let value: String
  /// In the order of the table.
  public private(set) var rows: [Int]

  /// `rows` by equal values, in the order in which those come.
  ///
  /// - Parameter values: of every row of the table.
  public static func of(_ rows: [Int], by values: [String]) -> [RowGroup] {
    var places: [String: Int] = [:]
    var groups: [RowGroup] = []
    for row in rows {
      if let place = places[values[row]] {
        groups[place].rows.append(row)
      } else {
        places[values[row]] = groups.count
        groups.append(RowGroup(value: values[row], rows: [row]))
      }
    }
    return groups
  }
}
