import Models
import Tensors
import Testing

@Suite struct ModelSummaryTests {
  static let architectures = [
    "vit(image=16,patch=4,dim=24,depth=2,heads=3,classes=7,distilled=true)",
    "vit(image=16,patch=4,dim=24,depth=2,heads=3,classes=0,registers=4,positions=patches,"
      + "layer-scale=true,perceptron=swiglu,mlp=40)",
    "vit(image=16,patch=4,dim=24,depth=1,heads=3,class-token=false,pool=attention,grid=3)",
    "vit(image=16,patch=4,dim=24,depth=1,heads=3,pool=token-and-average)",
    "resnet(image=33,depths=1-2,block=basic,width=8,classes=7)",
    "resnet(image=16,stem=cifar,depths=2-1,width=4,classes=7)",
    "resnet(image=16,stem=cifar,depths=2-1,width=4,classes=0,preact=true)",
    "resnet(image=33,depths=1-1,block=basic,width=4,stem-width=6,channels=1,preact=true)",
  ]

  @Test(arguments: architectures)
  func shapesWithoutValuesAreThoseOfARun(_ text: String) throws {
    let architecture = try Architecture(text)
    let summary = try ModelSummary(architecture, batchSize: 2)
    let loaded = try ModelLoader.random(architecture, seed: 1)
    let recorder = Recorder()
    let (side, channels) = (
      architecture.configuration.imageSize, architecture.configuration.channels
    )
    _ = loaded.model(
      Tensor(repeating: 0.5, shape: [2, side, side, channels]), Context(probe: recorder))
    #expect(summary.taps.map(\.tap) == recorder.taps)
    for entry in summary.taps {
      let value = try #require(recorder.values[entry.tap.name])
      #expect(value.shape == entry.shape)
      let isFinite = value.values.allSatisfy(\.isFinite)
      #expect(isFinite, "\(entry.tap.name)")
    }
    #expect(Set(summary.taps.map(\.tap.name)).count == summary.taps.count)
    #expect(
      loaded.parameters.map(\.specification.name) == summary.parameters.map(\.name))
  }

  @Test func multiplyAddsOfATransformer() throws {
    let summary = try ModelSummary(
      Architecture("vit(image=16,patch=4,dim=24,depth=3,heads=3,classes=7,mlp=50)"), batchSize: 5)
    let (tokens, dim, hidden) = (17, 24, 50)
    let block = tokens * dim * (3 * dim + dim + 2 * hidden) + 2 * tokens * tokens * dim
    #expect(summary.multiplyAdds == 16 * 48 * dim + 3 * block + dim * 7)
  }

  @Test func multiplyAddsOfResNet50() throws {
    // torchvision documents 4.09 billion.
    let summary = try ModelSummary(Architecture("resnet50"), batchSize: 2)
    #expect(summary.multiplyAdds == 4_089_184_256)
  }

  @Test func memoryGrowsWithTheBatchAndNotWithTheWeights() throws {
    let architecture = try Architecture("vit_tiny_patch16_224")
    let one = try ModelSummary(architecture, batchSize: 1)
    let eight = try ModelSummary(architecture, batchSize: 8)
    #expect(eight.parameterBytes == one.parameterBytes)
    // Positions of the class token are held added to it.
    #expect(abs(eight.parameterBytes - 4 * one.parameterCount) <= 4 * 192 * 2)
    #expect(eight.peakActivationBytes > 7 * one.peakActivationBytes)
    #expect(eight.peakActivationBytes <= 8 * one.peakActivationBytes)
    // Tokens, their normalisation, and the hidden layer of the perceptron at the widest place.
    #expect(one.peakActivationBytes >= 4 * 197 * 192 * (1 + 4))
    // An attention map is made only for those who look.
    let looking = try ModelSummary(architecture, batchSize: 8) { $0.kind == .map }
    #expect(looking.peakActivationBytes > eight.peakActivationBytes)
  }
}
