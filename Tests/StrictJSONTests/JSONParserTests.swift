import StrictJSON
import Testing

private func parse(
  _ text: String, limits: JSONLimits = JSONLimits()
) throws(JSONError) -> JSONValue {
  try JSONValue(parsing: Array(text.utf8), limits: limits)
}

/// What parsing fails with; nil if it does not.
private func failure(_ text: String, limits: JSONLimits = JSONLimits()) -> JSONError? {
  do throws(JSONError) {
    _ = try parse(text, limits: limits)
    return nil
  } catch {
    return error
  }
}

@Suite struct JSONParserTests {
  @Test func parsesEveryKindOfValue() throws {
    let value = try parse(
      " {\"a\": [1, -2, 0.5, 1e2, true, false, null], \"b\": {\"c\": \"d\"}, \"e\": {}, \"f\": []}\n"
    )
    #expect(
      value["a"]
        == .array([
          .integer(1), .integer(-2), .real(0.5), .real(100), .bool(true),
          .bool(false), .null,
        ]))
    #expect(value["b"]?["c"]?.stringValue == "d")
    #expect(value.objectValue?.map(\.name) == ["a", "b", "e", "f"])
    #expect(value["none"] == nil && value["a"]?["b"] == nil)
  }

  @Test(
    arguments: [
      ("9223372036854775807", JSONValue.integer(.max)),
      ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .real(0x1p63)),
      ("4.0", .real(4)), ("4.0000000000000001", .real(4)), ("-0", .real(-0.0)),
      ("1e-12", .real(1e-12)), ("1E+2", .real(100)), ("0", .integer(0)),
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
      "\u{A0}1", "tru", "[1 2]", "\"\\ud800\\u0041\"", "//", "'a'",
      String(repeating: "[", count: 60),
    ])
  func refuses(text: String) throws {
    let error = try #require(failure(text))
    #expect(error.kind == .malformed || error.kind == .truncated)
    #expect((0...text.utf8.count).contains(error.offset))
    #expect((error.kind == .truncated) == (error.offset == text.utf8.count))
  }

  @Test func namesTheDuplicateAndItsPlace() throws {
    let error = try #require(failure("{\"ab\":1,\"ab\":2}"))
    #expect(error.description.contains("\"ab\""))
    #expect(error.offset == 8)
    // Beyond sixteen members the names are looked up in another way.
    let names = (0..<40).map { "\"n\($0)\":0" }
    #expect(try parse("{" + names.joined(separator: ",") + "}").objectValue?.count == 40)
    let repeated = "{" + (names + ["\"n3\":1"]).joined(separator: ",") + "}"
    #expect(failure(repeated)?.offset == repeated.utf8.count - 7)
  }

  @Test func keepsToItsLimits() throws {
    func deep(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(throws: Never.self) { try parse(deep(64)) }
    #expect(failure(deep(65))?.kind == .limitExceeded)
    let many = "[" + (0..<100).map { _ in "1" }.joined(separator: ",") + "]"
    #expect(throws: Never.self) { try parse(many, limits: JSONLimits(values: 101)) }
    #expect(
      failure(many, limits: JSONLimits(values: 100))?.kind == .limitExceeded)
    #expect(failure(many, limits: JSONLimits(bytes: 10))?.kind == .limitExceeded)
  }

  @Test(arguments: [
    [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0x5C, 0x6E, 0xFF, 0x22],
  ])
  func refusesBytesThatAreNotUTF8(bytes: [UInt8]) {
    #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
  }

  @Test func refusesDepthsThatWouldExhaustTheStack() {
    #expect(failure(String(repeating: "[", count: 100_000))?.kind == .limitExceeded)
  }
}
