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
    "alternet(image=16,stem=cifar,depths=1-2-2,msa=0-1-1,block=basic,width=4,heads=1-1-2,"
      + "head-dim=6,window=2,classes=7)",
    "alternet(image=48,depths=1-2,msa=0-1,width=4,heads=1-2,head-dim=6,window=3,classes=7)",
    "refiner_vit(image=16,patch=4,dim=12,depth=4,heads=3,classes=5)",
    "refiner_vit(image=16,patch=4,dim=12,depth=3,heads=3,classes=5,share=0-0-1,transform=0-1-0,"
      + "embed=plain,dense=false,grid=3,kernel=5)",
    "refiner_vit(image=16,patch=4,dim=12,depth=2,heads=3,classes=0,refine=conv,embed=plain)",
    "refiner(image=16,patch=4,dim=12,depth=2,heads=3,classes=5)",
    "refiner(image=16,patch=4,dim=12,depth=2,heads=2,expand=3,kernel=2,reduce=false,classes=5)",
    "refiner(image=16,patch=4,dim=12,depth=2,heads=3,expand=2,local=false,embed=cnn,classes=5)",
  ]

  @Test(arguments: architectures)
  func shapesWithoutValuesAreThoseOfARun(_ text: String) throws {
    let architecture = try Architecture(text)
    let summary = try ModelSummary(architecture, batchSize: 2)
    let loaded = try ModelLoader.random(architecture, seed: 1)
    let recorder = Recorder()
    let (side, channels) = (
      architecture.configuration.imageSize.side, architecture.configuration.channels
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
    let eight = try ModelSummary(architecture, batchSize: 8)
    let many = try ModelSummary(architecture, batchSize: 64)
    #expect(many.parameterBytes == eight.parameterBytes)
    // Positions are held as they are added: those of patches apart, that of the class token added to it.
    #expect(abs(eight.parameterBytes - 4 * eight.parameterCount) <= 4 * 192 * (196 + 2))
    #expect(many.peakActivationBytes > 7 * eight.peakActivationBytes)
    #expect(many.peakActivationBytes <= 8 * eight.peakActivationBytes)
    // Images, and tokens before and after a step.
    #expect(eight.peakActivationBytes >= 8 * 4 * 197 * 192 * 2)
    // A recorded pass keeps what others fuse: the hidden layer of the perceptron of every block.
    #expect(eight.recordedBytes > 8 * 12 * 4 * 197 * 768 * 2)
    // An attention map is made only for those who look.
    let looking = try ModelSummary(architecture, batchSize: 8) { $0.kind == .attentionMap }
    #expect(looking.peakActivationBytes > eight.peakActivationBytes)
  }
}
