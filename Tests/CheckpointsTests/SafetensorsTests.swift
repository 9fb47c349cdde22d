import TestSupport
import Testing

@testable import Checkpoints

@Suite struct SafetensorsTests {
  @Test func tiedTensorsGoByBothNames() throws {
    let checkpoint = try Checkpoint.open(fixture("tied.safetensors"))
    #expect(
      Set(checkpoint.tensors.map(\.name)) == [
        "embed.weight", "embed.bias", "head.bias", "head.weight",
      ])
    #expect(try checkpoint["head.weight"]?.floats() == fixtureFloats)
    #expect(
      checkpoint.notes == ["tied tensors that the file holds once: head.weight = embed.weight"])
  }

  /// Metadata that happen to be names of tensors, or name none, are no aliases.
  @Test func metadataAreNotTakenForTiedTensors() throws {
    let folder = Scratch()
    let entry = #"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
    let header =
      #"{"__metadata__":{"label":"a.weight","b.weight":"c.weight","d.x":"e","a.weight":"a.weight"},"#
      + "\"a.weight\":\(entry)}"
    let bytes = little(UInt64(header.utf8.count)) + header.utf8
    let checkpoint = try Checkpoint.open(folder.write(bytes, as: "a.safetensors"))
    #expect(checkpoint.tensors.map(\.name) == ["a.weight"])
    #expect(checkpoint.notes.isEmpty)
  }

  @Test func readsEveryTypeThatTheReferenceImplementationWrites() throws {
    let checkpoint = try Checkpoint.open(fixture("dtypes.safetensors"))
    #expect(checkpoint.format == .safetensors)
    #expect(checkpoint.metadata == ["format": "pt", "note": "grüße \"quoted\"\n"])
    #expect(checkpoint.tensors.count == 18)
    for name in ["F64", "F32", "F16", "BF16"] {
      let tensor = try #require(checkpoint[name])
      #expect(tensor.dtype.rawValue == name)
      #expect(tensor.shape == [2, 3])
      #expect(try tensor.floats() == fixtureFloats, "\(name)")
    }
    for name in ["I64", "I32", "I16", "I8", "U8", "U16", "U32", "U64"] {
      #expect(try checkpoint[name]?.floats() == [0, 1, 2, 3, 4, 5], "\(name)")
    }
    #expect(try checkpoint["BOOL"]?.floats() == [0, 1, 1, 1, 1, 1])
    let scalar = try #require(checkpoint["scalar"])
    #expect(scalar.shape == [] && scalar.count == 1)
    #expect(try scalar.floats() == [2.5])
    let empty = try #require(checkpoint["empty"])
    #expect(empty.shape == [0, 3] && empty.count == 0)
    #expect(try empty.floats() == [])
  }

  @Test(arguments: ["F8_E4M3", "F8_E5M2", "C64"])
  func listsButDoesNotConvert(name: String) throws {
    let tensor = try #require(try Checkpoint.open(fixture("dtypes.safetensors"))[name])
    #expect(tensor.dtype.rawValue == name)
    #expect(try tensor.payload().bytes.count == tensor.byteCount)
    let error = try #require(failure { _ = try tensor.floats() })
    #expect(error.kind == .unsupported)
    #expect(error.description.contains(name))
  }

  @Test func aFileWithoutTensorsIsSound() throws {
    #expect(try Checkpoint.open(fixture("none.safetensors")).tensors.isEmpty)
  }

  @Test func singlesAreReadWithoutACopy() throws {
    let tensor = try #require(try Checkpoint.open(fixture("dtypes.safetensors"))["F32"])
    let payload = try tensor.payload()
    #expect(payload.isMapped)
    #expect(payload.isAligned(to: 4))
    #expect(payload.withBytes { Array($0.bindMemory(to: Float.self)) } == fixtureFloats)
  }

  @Test func whatIsWrittenIsRead() throws {
    let folder = Scratch()
    let path = folder.path + "/out.safetensors"
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: [
        .init(name: "a", shape: [2, 3]), .init(name: "b\"\\\u{1}é", dtype: .uint8, shape: [3]),
        .init(name: "none", shape: [0, 7]), .init(name: "scalar", shape: []),
      ], metadata: ["layout": "nhwc", "quote\"": "\n\t\u{2}"])
    // In pieces, side by side.
    try fixtureFloats[..<2].withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try [Float(7)].withUnsafeBufferPointer { try writer.append($0, to: 3) }
    try [UInt8]([1, 2, 3]).withUnsafeBytes { try writer.append($0, to: 1) }
    try fixtureFloats[2...].withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try writer.finish()
    #expect(folder.names() == ["out.safetensors"])

    let checkpoint = try Checkpoint.open(path)
    #expect(checkpoint.metadata == ["layout": "nhwc", "quote\"": "\n\t\u{2}"])
    #expect(checkpoint.tensors.map(\.name) == ["a", "b\"\\\u{1}é", "none", "scalar"])
    #expect(try checkpoint["a"]?.floats() == fixtureFloats)
    #expect(try checkpoint["a"]?.payload().isAligned(to: 64) == true)
    #expect(try checkpoint["b\"\\\u{1}é"]?.floats() == [1, 2, 3])
    #expect(try checkpoint["scalar"]?.floats() == [7])
  }

  @Test func aWriterRefusesWhatItWasNotToldOf() throws {
    let folder = Scratch()
    let path = folder.path + "/out.safetensors"
    let tooMuch = failure {
      var writer = try SafetensorsWriter(creating: path, tensors: [.init(name: "a", shape: [1])])
      try fixtureFloats.withUnsafeBufferPointer { try writer.append($0, to: 0) }
    }
    #expect(tooMuch?.kind == .cannotWrite)
    let tooLittle = failure {
      try SafetensorsWriter(creating: path, tensors: [.init(name: "a", shape: [1])]).finish()
    }
    #expect(tooLittle?.kind == .cannotWrite)
    for tensors in [
      [SafetensorsWriter.Declaration(name: "a", shape: [1]), .init(name: "a", shape: [1])],
      [.init(name: "", shape: [1])], [.init(name: "__metadata__", shape: [1])],
      [.init(name: "a", shape: [-1])], [.init(name: "a", shape: [.max, .max])],
      [.init(name: "a", shape: [.max / 8]), .init(name: "b", shape: [.max / 8])],
      [.init(name: "a", dtype: .float4, shape: [3])],
    ] {
      let error = failure { _ = try SafetensorsWriter(creating: path, tensors: tensors) }
      #expect(error?.kind == .cannotCreate)
    }
    #expect(folder.names().isEmpty)
  }
}
