import Testing

@testable import Reports

@Suite struct JSONTextTests {
  @Test func textIsAFunctionOfTheValue() {
    let value: JSONText = [
      "b": 1, "a": [true, nil, 0.1, "q\"\\\n\u{1}\u{2028}é"], "empty": [], "none": .object([]),
    ]
    #expect(
      value.compact
        == #"{"b":1,"a":[true,null,0.1,"q\"\\\n\u0001\u2028é"],"empty":[],"none":{}}"#)
    #expect(
      value.pretty == """
        {
          "b": 1,
          "a": [
            true,
            null,
            0.1,
            "q\\"\\\\\\n\\u0001\\u2028é"
          ],
          "empty": [],
          "none": {}
        }

        """)
    #expect(JSONText.sorted(["b": 1, "a": 2, "B": 3]).compact == #"{"B":3,"a":2,"b":1}"#)
    #expect(JSONText.real(.nan).compact == "null")
    #expect(value["b"] == 1 && value["z"] == nil)
  }

  @Test func readsWhatItWrites() throws {
    let value: JSONText = [
      "x": [1, -2, 0.5, 1e300, "π\u{1F600}\u{7F}", true, false, nil], "y": .object([]),
      "max": .integer(.max), "min": .integer(.min),
    ]
    #expect(try JSONText(parsing: Array(value.compact.utf8)) == value)
    #expect(try JSONText(parsing: Array(value.pretty.utf8)) == value)
    #expect(
      try JSONText(parsing: Array(#""\ud83d\ude00\u00e9\/\b\f""#.utf8))
        == "\u{1F600}é/\u{8}\u{C}")
  }

  @Test(arguments: [
    "", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "[1 2]", "01", "1.", ".5", "+1", "1e",
    "-", "nul", "tru", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
    "\"\\udc00\"", "\"\n\"", "1 2", "{\"a\":1,\"a\":2}", "1e999", "NaN", "//", "[1]]", "'a'",
    String(repeating: "[", count: 100_000),
  ])
  func malformedDocumentsAreErrors(text: String) {
    #expect(throws: JSONError.self) { try JSONText(parsing: Array(text.utf8)) }
  }

  @Test func bytesThatAreNotUTF8AreErrors() {
    #expect(throws: JSONError.self) { try JSONText(parsing: [0x22, 0xFF, 0x22]) }
    #expect(throws: JSONError.self) { try JSONText(parsing: [0x22, 0xC0, 0x80, 0x22]) }
  }
}
