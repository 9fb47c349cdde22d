import StrictJSON
import Testing

@testable import Reports

@Suite struct TableTests {
  @Test(arguments: [
    ("plain", "plain"), ("", ""), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\""),
    ("two\nlines", "\"two\nlines\""), ("cr\rhere", "\"cr\rhere\""), ("crlf\r\n", "\"crlf\r\n\""),
    (" space ", " space "), ("=1+1", "=1+1"), ("µ, π", "\"µ, π\""),
    ("\"", "\"\"\"\""), ("\"\u{301}", "\"\"\"\u{301}\""),
  ])
  func quoting(text: String, field: String) {
    #expect(CSV().field(.text(text)) == field)
    let line = CSV().line([.text(text), .integer(1)])
    #expect(CSVReader.records(line) == [[text, "1"]])
  }

  @Test(arguments: [
    ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"),
    ("\r=1", "\"'\r=1\""), ("=a,b", "\"'=a,b\""), ("a=1", "a=1"),
  ])
  func formulas(text: String, field: String) {
    #expect(CSV(guardsFormulas: true).field(.text(text)) == field)
    #expect(CSV(guardsFormulas: true).field(.real(-1.5)) == "-1.5")
  }

  @Test func wholeTable() {
    var table = Table(
      "t", columns: [.text("name"), .integer("n"), .real("value"), .text("status")])
    table.append(["a,b", 3, .real(0.1), "ok"])
    table.append(["c", .empty, .real(.nan), "degenerate"])
    table.append([.empty, -2, .real(-.infinity), .empty])
    #expect(table.csv == "name,n,value,status\n\"a,b\",3,0.1,ok\nc,,,degenerate\n,-2,,\n")
    #expect(table.cells("n") == [3, .empty, -2])
    #expect(table.cells("absent") == nil)
    #expect(
      table.json.compact
        == #"[{"name":"a,b","n":3,"value":0.1,"status":"ok"},"#
        + #"{"name":"c","n":null,"value":null,"status":"degenerate"},"#
        + #"{"name":null,"n":-2,"value":null,"status":null}]"#)
    #expect(table.selecting(["value", "name"]).csv == "value,name\n0.1,\"a,b\"\n,c\n,\n")
  }

  @Test func aLoneEmptyFieldIsNotAnEmptyLine() {
    #expect(Table("t", columns: [.text("a")], rows: [[.empty], ["x"]]).csv == "a\n\"\"\nx\n")
  }

  /// Random bit patterns, subnormals and halfway cases among them.
  @Test func realsReadBackAsTheSameBits() {
    var state: UInt64 = 20_260_101
    var values: [Double] = [
      0, -0.0, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, .pi, 0.1,
      1e22, 1e23, 9_007_199_254_740_994, 1e16, 1e-5, 123_456_789.0,
    ]
    for _ in 0..<20_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      values.append(Double(bitPattern: state ^ state >> 29))
    }
    let lost = values.filter { value in
      value.isFinite && Double(CSV().field(.real(value)))?.bitPattern != value.bitPattern
    }
    #expect(lost.isEmpty)
    #expect(CSV().field(.real(.nan)) == "")
  }

  @Test func plainText() {
    var table = Table("t", columns: [.text("layer"), .real("cka"), .integer("n")])
    table.append(["blocks.0", .real(0.123456), 64])
    table.append(["漢字", .real(1234.5), 7])
    table.append(["\u{1B}[31mred", .empty, 10_000])
    #expect(
      table.plainText() == """
        layer        cka      n
        ────────  ──────  ─────
        blocks.0  0.1235     64
        漢字        1235      7
        \u{FFFD}[31mred       –  10000

        """)
  }

  @Test func wideColumnsOfTextAreBroken() {
    var table = Table("t", columns: [.text("what"), .integer("n"), .text("value")])
    table.append(["files", 3, "one.safetensors, two.safetensors, three.safetensors"])
    table.append(["words", 12345, "abcdefghijklmnopqrstuvwxyzabcdefgh"])
    #expect(
      table.plainText(width: 40) == """
        what       n  value
        ─────  ─────  ──────────────────────────
        files      3  one.safetensors,
                      two.safetensors,
                      three.safetensors
        words  12345  abcdefghijklmnopqrstuvwxyz
                      abcdefgh

        """)
    // Enough room changes nothing, too little is no reason for less than a word.
    #expect(table.plainText(width: 200) == table.plainText())
    #expect(table.plainText(width: 1) == table.plainText(width: 38))
    let lines = table.plainText(width: 1).split(separator: "\n")
    #expect(lines.map(\.count).max() == 38)
  }

  @Test func longTablesAreElided() {
    let table = Table("t", columns: [.integer("i")], rows: (0..<100).map { [.integer($0)] })
    let lines = table.plainText(limit: 5).split(separator: "\n")
    #expect(lines.count == 8)
    #expect(lines[5] == "… 95 more rows …")
    #expect(lines.last == "99")
  }

  @Test func rowsOfTheWrongShapeAreProgrammingErrors() async {
    await #expect(processExitsWith: .failure) {
      var table = Table("t", columns: [.integer("i")])
      table.append([1, 2])
    }
    await #expect(processExitsWith: .failure) {
      var table = Table("t", columns: [.integer("i")])
      table.append(["one"])
    }
    await #expect(processExitsWith: .failure) { _ = Column("Not Snake", .text) }
  }
}

/// RFC 4180 read back, by the grammar alone.
enum CSVReader {
  static func records(_ text: String) -> [[String]] {
    var records: [[String]] = []
    var record: [String] = []
    var field = String.UnicodeScalarView()
    var isQuoted = false
    var scalars = Array(text.unicodeScalars)[...]
    while let scalar = scalars.popFirst() {
      switch scalar {
      case "\"" where isQuoted && scalars.first == "\"":
        field.append("\"")
        scalars.removeFirst()
      case "\"": isQuoted.toggle()
      case "," where !isQuoted:
        record.append(String(field))
        field = .init()
      case "\n" where !isQuoted:
        records.append(record + [String(field)])
        record = []
        field = .init()
      default: field.append(scalar)
      }
    }
    return records
  }
}
