import Checkpoints
import Models
import Tensors
import Testing

/// The bundled checkpoints on four bundled images, against PyTorch in Float64.
@Suite struct BundledLogitsTests {
  private static let checkpoints =
    String(#filePath.dropLast("Tests/ModelsTests/BundledLogitsTests.swift".count))
    + "notebooks-data/checkpoints/"

  @Test(arguments: ["vit", "refiner", "resnet", "alternet"])
  func logitsEqualTheReference(_ name: String) throws {
    let input = try #require(try Fixture("bundled-input").checkpoint["input"])
    let expected = try #require(try Fixture("bundled-\(name)").checkpoint["tap/logits"]).floats()
    let images = Tensor(try input.floats(), shape: Shape(input.shape)).permuted([0, 2, 3, 1])
    let loaded = try ModelLoader.load(
      Checkpoint.open(Self.checkpoints + "\(name)_fmnist.safetensors"))
    #expect(loaded.report.unmatched.isEmpty)
    let model = loaded.model
    let logits = model(images, Context()).values
    #expect(logits.count == expected.count)
    let largest = expected.map(abs).max() ?? 0
    #expect(zip(logits, expected).allSatisfy { abs($0 - $1) <= 1e-5 * largest })
  }
}
