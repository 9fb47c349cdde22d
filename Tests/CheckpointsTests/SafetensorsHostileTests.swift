import TestSupport
import Testing

@testable import Checkpoints

/// A file that must be refused, and how.
struct HostileFile: Sendable, CustomTestStringConvertible {
  var name: String
  var bytes: [UInt8]
  var kind: CheckpointError.Kind
  /// A part of the message.
  var says: String

  init(
    _ name: String, _ bytes: [UInt8], _ kind: CheckpointError.Kind = .malformed,
    says: String = ""
  ) {
    self.name = name
    self.bytes = bytes
    self.kind = kind
    self.says = says
  }

  var testDescription: String { name }

  func expectRefusal(extension suffix: String) {
    let folder = Scratch()
    let path = folder.write(bytes, as: "hostile." + suffix)
    let error = failure {
      for tensor in try Checkpoint.open(path).tensors { _ = try tensor.floats() }
    }
    #expect(error?.kind == kind, "\(name): \(error?.description ?? "accepted")")
    let message = error?.description ?? ""
    #expect(message.contains(says), "\(name): \(message)")
    #expect(error?.file == path)
  }
}

/// A safetensors file from the text of its header and its payload.
func safetensors(_ header: String, payload: Int = 0) -> [UInt8] {
  little(UInt64(header.utf8.count)) + header.utf8 + [UInt8](repeating: 0, count: payload)
}

private func tensor(
  _ shape: String = "[2]", _ offsets: String = "[0,8]", dtype: String = "\"F32\"",
  payload: Int = 8
) -> [UInt8] {
  safetensors(
    "{\"a\":{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)}}",
    payload: payload)
}

private func pair(_ first: String, _ second: String, payload: Int) -> [UInt8] {
  safetensors(
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":\(first)},"
      + "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":\(second)}}", payload: payload)
}

private let entry = "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"

private let hostile: [HostileFile] = [
  // Length and header
  .init("empty file", [], .truncated, says: "empty"),
  .init("length 0", little(UInt64(0)), .malformed, says: "empty header"),
  .init("length 1", little(UInt64(1)) + Array("{".utf8), .malformed),
  .init("length beyond the file", little(UInt64(100)) + Array("{}".utf8), .truncated),
  .init("length over the cap", little(UInt64(100_000_001)) + Array("{}".utf8), .limitExceeded),
  .init("length 2^63", little(UInt64(1) << 63) + Array("{}".utf8), .limitExceeded),
  .init("length 2^64-1", little(UInt64.max) + Array("{}".utf8), .limitExceeded),
  .init("extra bytes at the end", safetensors("{}", payload: 3)),
  .init(
    "not UTF-8",
    little(UInt64(8)) + [0x7B, 0x22, 0xFF, 0x22, 0x3A] + Array("{} ".utf8)
      + [0x7D], .malformed, says: "UTF-8"),
  .init(
    "overlong UTF-8",
    little(UInt64(10)) + [0x7B, 0x22, 0xC0, 0x80, 0x22] + Array(":null".utf8)
      + Array("}".utf8)),
  .init("byte order mark", safetensors("\u{FEFF}{}")),
  .init("NUL padding", safetensors("{}\0\0\0")),
  .init("leading space", safetensors(" {}")),
  .init("a list", safetensors("[]")),
  .init("truncated JSON", safetensors("{\"a\":{\"dtype\":\"F32\"")),
  .init("two documents", safetensors("{}{}")),
  .init(
    "deep nesting",
    safetensors(
      "{\"a\":" + String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        + "}"), .limitExceeded, says: "deep"),
  .init(
    "nested objects",
    safetensors(
      String(repeating: "{\"a\":", count: 5_000) + "1" + String(repeating: "}", count: 5_000)),
    .limitExceeded),
  .init("NUL in a name", safetensors("{\"a\\u0000b\":\(entry)}"), .malformed, says: "NUL"),
  .init("half a surrogate", safetensors("{\"\\ud800\":\(entry)}"), .malformed, says: "surrogate"),
  // Counted from the start of the file, whose header begins at byte 8.
  .init("comment", safetensors("{/**/}"), .malformed, says: "byte 9 (JSON)"),
  .init("trailing comma", safetensors("{\"a\":\(entry),}")),
  .init("not a tensor", safetensors("{\"a\":1}")),

  // Duplicates and fields
  .init("name twice", safetensors("{\"a\":\(entry),\"a\":\(entry)}"), .malformed, says: "\"a\""),
  .init("name twice by escape", safetensors("{\"a\":\(entry),\"\\u0061\":\(entry)}")),
  .init(
    "name twice among many",
    safetensors(
      "{" + (0..<40).map { "\"t\($0)\":\(entry)" }.joined(separator: ",") + ",\"t39\":\(entry)}"),
    .malformed, says: "t39"),
  .init(
    "field twice",
    safetensors(
      "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"),
    .malformed, says: "dtype"),
  .init("unknown dtype", tensor(dtype: "\"F128\""), .malformed, says: "F128"),
  .init("lower-case dtype", tensor(dtype: "\"f32\""), .malformed, says: "f32"),
  .init("dtype as a number", tensor(dtype: "32")),
  .init("missing field", safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}")),
  .init(
    "extra field",
    safetensors(
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}")),

  // Shapes
  .init("negative extent", tensor("[-2]")), .init("extent -0", tensor("[-0]", "[0,0]", payload: 0)),
  .init("fractional extent", tensor("[2.0]")), .init("exponent", tensor("[2e0]")),
  .init("nearly an integer", tensor("[2.0000000000000001]")),
  .init("extent 2^63", tensor("[9223372036854775808]")),
  .init("extent 2^64+2", tensor("[18446744073709551618]")),
  .init("product wraps to 0", tensor("[4294967296,4294967296]", "[0,0]", payload: 0)),
  .init("bytes wrap to 8", tensor("[4611686018427387906]")),
  .init("0 and 2^63", tensor("[0,9223372036854775808]", "[0,0]", payload: 0)),
  .init("0 times overflow", tensor("[0,4611686018427387904,4]", "[0,0]", payload: 0)),
  .init(
    "1000 axes",
    tensor(
      "[" + (0..<1000).map { _ in "1" }.joined(separator: ",") + "]", "[0,4]", payload: 4),
    .limitExceeded),
  .init("shape as text", tensor("\"2\"")), .init("shape null", tensor("null")),
  .init("smaller than the range", tensor("[1]")), .init("larger than the range", tensor("[3]")),
  .init("odd count of F4", tensor("[3]", "[0,2]", dtype: "\"F4\"", payload: 2)),
  .init("F6 that fills no byte", tensor("[3]", "[0,3]", dtype: "\"F6_E2M3\"", payload: 3)),

  // Ranges
  .init("reversed", tensor("[2]", "[8,0]")), .init("negative offsets", tensor("[2]", "[-8,0]")),
  .init("offsets as text", tensor("[2]", "[\"0\",\"8\"]")),
  .init("three offsets", tensor("[2]", "[0,8,8]")), .init("one offset", tensor("[2]", "[8]")),
  .init("fractional offsets", tensor("[2]", "[0.0,8.0]")),
  .init("huge offsets", tensor("[2]", "[9223372036854775799,9223372036854775807]")),
  .init("past the end", tensor(payload: 7), .truncated),
  .init("overlap", pair("[0,4]", "[2,6]", payload: 6), .malformed, says: "overlap"),
  .init("the same range", pair("[0,4]", "[0,4]", payload: 4)),
  .init("hole", pair("[0,4]", "[5,9]", payload: 9), .malformed, says: "hole"),
  .init("not from 0", pair("[1,5]", "[5,9]", payload: 9)),

  // Metadata and payload
  .init("metadata as a list", safetensors("{\"__metadata__\":[]}")),
  .init("metadata with a number", safetensors("{\"__metadata__\":{\"a\":1}}"), says: "integer"),
  .init("metadata as a tensor", safetensors("{\"__metadata__\":\(entry)}")),
  .init(
    "truth value 2",
    {
      var bytes = tensor("[2]", "[0,2]", dtype: "\"BOOL\"", payload: 2)
      bytes[bytes.count - 1] = 2
      return bytes
    }(), .malformed, says: "truth"),
]

@Suite struct SafetensorsHostileTests {
  @Test(arguments: hostile)
  func isRefused(_ file: HostileFile) {
    file.expectRefusal(extension: "safetensors")
  }

  @Test func whatTheFormatAllowsIsAccepted() throws {
    let folder = Scratch()
    for bytes in [
      safetensors("{}   "), tensor("[]", "[0,4]", payload: 4),
      tensor("[0,1000000]", "[0,0]", payload: 0),
      tensor("[4]", "[0,2]", dtype: "\"F4\"", payload: 2),
      // The header may list tensors in another order than the payload.
      pair("[4,8]", "[0,4]", payload: 8),
      safetensors("{\"__metadata__\":{},\"\":\(entry),\"b\":\(entry)}"),
    ] {
      let path = folder.write(bytes, as: "sound.safetensors")
      #expect(throws: Never.self) { try Checkpoint.check(path) }
    }
  }

  @Test func infinityAndNaNAreLegal() throws {
    let folder = Scratch()
    var bytes = tensor()
    bytes.replaceSubrange(
      (bytes.count - 8)..., with: little(Float.nan.bitPattern) + little(Float.infinity.bitPattern))
    let values = try Checkpoint.open(folder.write(bytes, as: "a.safetensors")).tensors[0].floats()
    #expect(values[0].isNaN && values[1] == .infinity)
  }

  @Test func aHundredThousandTensorsAreListed() throws {
    let folder = Scratch()
    let header = (0..<100_000).map { "\"\($0)\":\(entry)" }.joined(separator: ",")
    let path = folder.write(safetensors("{\(header)}"), as: "many.safetensors")
    #expect(try Checkpoint.open(path).tensors.count == 100_000)
  }

  @Test func everyTruncationIsRefused() throws {
    let folder = Scratch()
    let whole = try contents(fixture("dtypes.safetensors"))
    for length in 0..<whole.count {
      let path = folder.write(Array(whole[..<length]), as: "short.safetensors")
      let error = failure { try Checkpoint.check(path) }
      #expect(error != nil, "accepted \(length) of \(whole.count) bytes")
    }
  }
}
