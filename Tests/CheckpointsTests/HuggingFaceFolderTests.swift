import Glibc
import StrictJSON
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct HuggingFaceFolderTests {
  @Test func readsShardsAndSettings() throws {
    let checkpoint = try Checkpoint.open(fixture("sharded"))
    #expect(checkpoint.format == .safetensors)
    #expect(checkpoint.tensors.map(\.name) == ["a.weight", "b.weight"])
    #expect(try checkpoint["a.weight"]?.floats() == fixtureFloats)
    #expect(try checkpoint["b.weight"]?.floats() == fixtureFloats)
    #expect(checkpoint["b.weight"]?.file.hasSuffix("model-00002-of-00002.safetensors") == true)
    #expect(checkpoint.config?["hidden_size"]?.intValue == 192)
    #expect(checkpoint.config?["layer_norm_eps"]?.doubleValue == 1e-12)
    #expect(checkpoint.preprocessorConfig?["image_mean"]?.arrayValue?.count == 3)
    #expect(checkpoint.files.count == 5)
  }

  @Test func readsAPickleIfThereIsNothingElse() throws {
    let checkpoint = try Checkpoint.open(fixture("pickled"))
    #expect(checkpoint.format == .torch)
    #expect(try checkpoint["floats"]?.floats() == fixtureFloats)
    #expect(checkpoint.config?["model_type"]?.stringValue == "vit")
  }

  private let one = "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}"

  private func write(index: String, shards: [String: [String]]) -> Scratch {
    let folder = Scratch()
    folder.write(Array(index.utf8), as: "model.safetensors.index.json")
    for (name, tensors) in shards {
      let header = tensors.enumerated().map { place, tensor in
        "\"\(tensor)\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\(place),\(place + 1)]}"
      }.joined(separator: ",")
      folder.write(safetensors("{\(header)}", payload: tensors.count), as: name)
    }
    return folder
  }

  @Test(
    arguments: [
      ("{}", CheckpointError.Kind.malformed), ("[]", .malformed),
      ("{\"weight_map\":[]}", .malformed), ("{\"weight_map\":{}}", .malformed),
      ("{\"weight_map\":{\"a\":1}}", .malformed),
      ("{\"weight_map\":{\"a\":\"../a.safetensors\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"/etc/a.safetensors\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"x/a.safetensors\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"..\\\\a.safetensors\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"a.safetensors\\u0000\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"..\"}}", .malformed),
      // The index as its own shard
      ("{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"absent.safetensors\"}}", .missing),
      // Listed where it is not; in two files; in none
      (
        "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\",\"b\":\"2.safetensors\"}}",
        .missing
      ),
      ("{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}}", .missing),
      ("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}}", .malformed),
      ("{\"weight_map\":{\"b\":\"3.safetensors\"}}", .malformed),
      ("{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}}", .malformed),
    ])
  func refuses(index: String, kind: CheckpointError.Kind) throws {
    let folder = write(
      index: index,
      shards: ["1.safetensors": ["a"], "2.safetensors": ["b"], "3.safetensors": ["a", "b"]])
    let error = try #require(failure { try Checkpoint.check(folder.path) })
    #expect(error.kind == kind, "\(error)")
  }

  @Test func saysWhichFilesItLookedFor() throws {
    let folder = Scratch()
    let error = try #require(failure { try Checkpoint.check(folder.path) })
    #expect(error.kind == .missing)
    #expect(error.description.contains("model.safetensors"))
    folder.write(Array("[1]".utf8), as: "config.json")
    #expect(failure { try Checkpoint.check(folder.path) }?.kind == .malformed)
  }
}
