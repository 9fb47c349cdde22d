import Checkpoints
import Models
import Tensors
import Testing

/// Files whose names, shapes or settings make another network than the plain one: logits of the
/// implementation that they belong to, within 1e-4 of the largest.
@Suite struct VariantFileTests {
  static let names = Fixture.names(of: ["variant"])

  @Test func thereAreFiles() { #expect(Self.names.count >= 36) }

  @Test(.serialized, arguments: names)
  func logitsEqualTheReference(_ name: String) throws {
    let fixture = try Fixture(name)
    let tensors = try fixture.keys().map { ($0.name, DeterministicFill.values($0.name, $0.shape)) }
    try withTemporaryFolder { folder in
      try writeSafetensors(tensors, to: folder + "/model.safetensors")
      let settings = fixture.checkpoint.metadata["settings"] ?? ""
      if !settings.isEmpty { try writeText(settings, to: folder + "/config.json") }
      let text = fixture.checkpoint.metadata["architecture"] ?? ""
      let loaded = try ModelLoader.load(
        Checkpoint.open(folder), as: text.isEmpty ? nil : Architecture(text))
      #expect(loaded.report.unmatched.isEmpty)
      let own = loaded.model(try fixture.input()).values
      let expected = try #require(fixture.checkpoint["tap/logits"]).floats()
      #expect(own.count == expected.count)
      let largest = expected.reduce(0) { max($0, abs(Double($1))) }
      let error = zip(own, expected).reduce(0) { max($0, abs(Double($1.0) - Double($1.1))) }
      #expect(largest > 0 && error / largest <= 1e-4, "\(name): \(error / largest)")
    }
  }
}
