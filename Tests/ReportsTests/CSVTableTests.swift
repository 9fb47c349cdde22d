import Testing

@testable import Reports

/// Reading back what ``CSV`` writes, and refusing what it does not.
@Suite struct CSVTableTests {
  private func parse(
    _ text: String, limits: CSVTable.Limits = CSVTable.Limits()
  ) throws(ResultsError) -> CSVTable {
    try CSVTable(parsing: Array(text.utf8), path: "t.csv", limits: limits)
  }

  @Test func aTableComesBack() throws {
    var table = Table(
      "t", columns: [.text("model"), .integer("n"), .real("value"), .text("status")])
    let names = [
      "plain", "with, comma", "with \"quotes\"", "two\nlines", "cr\r", "", " blank ", "é ∆",
    ]
    let values: [Double?] = [0.1, -1e-300, 1.7976931348623157e308, 5e-324, nil, 3, -0.0, 1e22]
    for (row, name) in names.enumerated() {
      table.append([.text(name), .integer(row), Cell(values[row]), "ok"])
    }
    let back = try parse(table.csv)
    #expect(back.columns == ["model", "n", "value", "status"] && back.source == table.csv)
    #expect(try back.texts("model") == names)
    #expect(try back.numbers("value") == values)
    #expect(try back.numbers("n") == names.indices.map { Double($0) })
    #expect(back.has("status") && !back.has("stat"))
  }

  @Test func linesMayEndAsSpreadsheetsEndThem() throws {
    let table = try parse("a,b\r\n1,\"x\r\ny\"\r\n2,z")
    #expect(table.rows == [["1", "x\r\ny"], ["2", "z"]])
    #expect(try parse("a\n\"\"\n").rows == [[""]])
    #expect(try parse("a,b\n").rows.isEmpty)
  }

  @Test(arguments: [
    ("", "is empty"), ("a,a\n", "two of one name"), ("a,\n1,2\n", "without a name"),
    ("a,b\n1,2\n1\n", "line 3, found 1 fields; expected 2"),
    ("a,b\n\"1\n2\",3\n4\n", "line 4, found 1 fields"),
    ("a\n\"x", "line 2: found the end of the file within quotes"),
    ("a\n\"x\"y\n", "line 2: found text after a closing quote"),
    ("a\nx\"y\n", "line 2: found a quote inside a field"),
    ("a\nx\ry\n", "line 2: found text after"),
  ])
  func whatIsNoTableIsRefusedWithItsLine(text: String, says: String) {
    #expect { try parse(text) } throws: { error in
      let error = error as? ResultsError
      return error?.kind == .damaged && error?.description.hasPrefix("t.csv: ") == true
        && error?.message.contains(says) == true
    }
  }

  @Test func bytesThatAreNoTextAreRefused() {
    #expect(throws: ResultsError.self) {
      try CSVTable(parsing: [UInt8(ascii: "a"), 0x0A, 0xFF, 0x0A], path: "t.csv")
    }
  }

  @Test func lengthsAreBounded() {
    var limits = CSVTable.Limits()
    limits.field = 4
    #expect(throws: ResultsError.self) { try parse("a\n12345\n", limits: limits) }
    #expect(throws: ResultsError.self) { try parse("a\n\"12345\"\n", limits: limits) }
    limits = CSVTable.Limits()
    limits.fields = 3
    #expect(throws: ResultsError.self) { try parse("a,b\n1,2\n", limits: limits) }
    limits = CSVTable.Limits()
    limits.bytes = 3
    #expect(throws: ResultsError.self) { try parse("a\n12\n", limits: limits) }
  }

  @Test(arguments: ["x", "nan", "inf", "1e999", "1,5", "0x", "--1", "1 2"])
  func whatIsNoNumberIsNamed(field: String) throws {
    let table = try parse("model,value\na,1\n\"b\",\"\(field)\"\n")
    #expect {
      _ = try table.numbers("value")
    } throws: { error in
      let message = (error as? ResultsError)?.message ?? ""
      return message.contains("line 3, column value: found \"\(field)\"")
    }
    #expect {
      _ = try table.texts("depth")
    } throws: { error in
      "\(error)".contains("t.csv: has no column \"depth\" (found model, value)")
    }
  }
}
