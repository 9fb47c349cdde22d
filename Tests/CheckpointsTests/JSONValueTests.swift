import Testing

@testable import Checkpoints

private func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws -> JSONValue {
  try Array(text.utf8).withUnsafeBytes { try JSONValue.parse($0, file: "test", limits: limits) }
}

@Suite struct JSONValueTests {
  @Test func parsesEveryKindOfValue() throws {
    let value = try parse(
      " {\"a\": [1, -2, 0.5, 1e2, true, false, null], \"b\": {\"c\": \"d\"}, \"e\": {}, \"f\": []}\n"
    )
    #expect(
      value["a"]
        == .array([
          .integer(1), .integer(-2), .double(0.5), .double(100), .bool(true),
          .bool(false), .null,
        ]))
    #expect(value["b"]?["c"]?.stringValue == "d")
    #expect(value.objectValue?.members.map(\.name) == ["a", "b", "e", "f"])
    #expect(value["none"] == nil && value["a"]?["b"] == nil)
  }

  @Test(
    arguments: [
      ("9223372036854775807", JSONValue.integer(.max)),
      ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .double(0x1p63)),
      ("4.0", .double(4)), ("4.0000000000000001", .double(4)), ("-0", .double(-0.0)),
      ("1e-12", .double(1e-12)), ("1E+2", .double(100)), ("0", .integer(0)),
    ])
  func keepsIntegersExactAndApartFromOtherNumbers(text: String, value: JSONValue) throws {
    #expect(try parse(text) == value)
  }

  @Test func decodesEscapes() throws {
    let text = "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00é\""
    #expect(try parse(text) == .string("\"\\/\u{8}\u{C}\n\r\té😀é"))
  }

  @Test(
    arguments: [
      "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "{\"a\"", "{\"a\":", "{\"a\":1",
      "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{'a':1}", "{1:1}", "{\"a\" 1}", "nul", "nulll", "True",
      "NaN", "Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10", "1_000", "1 2",
      "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\uDC00\"", "\"\\uD800\"",
      "\"\\uD800\\n\"", "\"\\uD800\\uD800\"", "\"\u{1}\"", "\"a\nb\"", "\u{FEFF}1", "1e999",
      "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "{\"\\u0061\":1,\"a\":2}", "// x\n1",
      "[1]]",
      "\u{A0}1",
    ])
  func refuses(text: String) throws {
    let error = try #require(failure { _ = try parse(text) })
    #expect(error.kind == .malformed || error.kind == .truncated)
    #expect(error.place.hasPrefix("byte "))
  }

  @Test func namesTheDuplicateAndItsPlace() throws {
    let error = try #require(failure { _ = try parse("{\"ab\":1,\"ab\":2}") })
    #expect(error.description.contains("\"ab\""))
    #expect(error.place == "byte 8 (JSON)")
  }

  @Test func keepsToItsLimits() throws {
    func deep(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(throws: Never.self) { try parse(deep(64)) }
    #expect(failure { _ = try parse(deep(65)) }?.kind == .limitExceeded)
    let many = "[" + (0..<100).map { _ in "1" }.joined(separator: ",") + "]"
    #expect(throws: Never.self) { try parse(many, limits: JSONLimits(values: 101)) }
    #expect(
      failure { _ = try parse(many, limits: JSONLimits(values: 100)) }?.kind == .limitExceeded)
    #expect(failure { _ = try parse(many, limits: JSONLimits(bytes: 10)) }?.kind == .limitExceeded)
  }
}
