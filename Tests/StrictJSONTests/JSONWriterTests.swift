import StrictJSON
import Testing

@Suite struct JSONWriterTests {
  @Test func textIsAFunctionOfTheValue() {
    let value: JSONValue = [
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
    #expect(JSONValue.sorted(["b": 1, "a": 2, "B": 3]).compact == #"{"B":3,"a":2,"b":1}"#)
    #expect(JSONValue.real(.nan).compact == "null")
    #expect(value["b"] == 1 && value["z"] == nil)
  }

  @Test func readsWhatItWrites() throws {
    let value: JSONValue = [
      "x": [1, -2, 0.5, 1e300, "π\u{1F600}\u{7F}", true, false, nil], "y": .object([]),
      "max": .integer(.max), "min": .integer(.min),
    ]
    #expect(try JSONValue(parsing: Array(value.compact.utf8)) == value)
    #expect(try JSONValue(parsing: Array(value.pretty.utf8)) == value)
    #expect(
      try JSONValue(parsing: Array(#""\ud83d\ude00\u00e9\/\b\f""#.utf8))
        == "\u{1F600}é/\u{8}\u{C}")
  }
}
