import Models
import Tensors
import Testing

/// Sizes from strangers: a number, or a reason, and no memory that nobody needs.
@Suite struct SizeTests {
  static let huge = [
    "pit(image=16384,patch=1,stride=1)", "mixer(image=16384,patch=1,dim=65536,depth=24)",
    "vit(image=4096,patch=1,dim=1024,depth=24,heads=16)", "vit(image=16384,patch=1,dim=1,heads=1)",
    "refiner(dim=65536,heads=65536,expand=16)",
    "refiner(dim=65536,heads=65536,expand=64,kernel=127)",
    "refiner(image=4096,patch=2,dim=64,heads=64,expand=64,kernel=127,depth=1024)",
    "refiner_vit(dim=65536,heads=65536,expand=64)",
    "refiner_vit(image=2048,patch=1,dim=64,depth=1024,heads=64,refine=conv,kernel=127)",
    "resnet(depths=1024-1024-1024-1024,widths=65536-65536-65536-65536,width=65536)",
    "resnet(image=16384,depths=1024-1024,widths=64-65536)",
    "resnet(image=4096,depths=1-1024-1024-1024,widths=64-65536-65536-65536)",
    "swin(image=16384)", "swin(image=16384,patch=1,window=64,dim=1,heads=1-1-1-1)",
    "swin(window=64,image=4096)",
    "swin(image=16384,dim=8192,depths=1024-1024-1024-1024,heads=1-1-1-1)",
    "dwnet(image=16384,window=31,kernels=inhomogeneous)", "dwnet(dim=8192,depths=1-1-1-1-1-1-1-1)",
    "rednet(image=16384)", "rednet(width=8192,group-channels=1,depths=1024-1024)",
    "pvt(image=16384)", "pvt(image=2048,reductions=1-1-1-1)", "volo(image=16384)",
    "volo(image=4096,dims=65536-65536)", "alternet(image=16384)",
    "alternet(image=16384,stem=cifar,window=128,width=1,head-dim=4096)",
    "sasa(image=16384)", "sasa(width=8192,form=published,window=31)", "convit(image=16384)",
    "aa_wide_resnet(image=16384)", "aa_wide_resnet(image=64,widths=65536-65536-65536-65536)",
    "attention_cnn(image=16384)", "attention_cnn(dim=65536,heads=1024)",
    "attention_cnn(image=8192,patch=1,heads=1,reach=4096)",
    "convit(patch=1,dim=65536,heads=1024)", "resnet(image=2048,non-local=0)",
    "resnet(gate=nl,squeeze=65536-65536-65536-65536,image=4096)",
  ]

  @Test(arguments: huge)
  func hugeNetworksAreCountedOrRefused(_ text: String) {
    do throws(ModelError) {
      let summary = try ModelSummary(Architecture(text))
      #expect(summary.multiplyAdds > 0 && summary.multiplyAdds < .max)
      #expect(summary.parameterCount > 0 && summary.parameterCount < .max)
    } catch {
      #expect(error.kind == .badArgument)
      #expect(error.description.contains("expected"), "\(error)")
    }
  }

  /// The bound names the parameter and both numbers.
  @Test func oneBoundHoldsForTokensTimesWidth() {
    let error = #expect(throws: ModelError.self) {
      try Architecture("vit(image=4096,patch=1,dim=1024,depth=24,heads=16)")
    }
    #expect(
      error?.description
        == "vit(image=…): 16777216 places of 1024 channels at 4096 pixels; expected at most 268435456 "
        + "values in a map. Give a smaller image size")
    #expect(throws: Never.self) { try Architecture("vit(image=2048,patch=4,dim=1024,heads=16)") }
  }

  @Test(
    arguments: [
      "swin", "mixer", "pit", "refiner", "refiner_vit", "alternet", "dwnet", "rednet", "pvt",
      "volo", "sasa", "convit", "aa_wide_resnet", "attention_cnn",
    ])
  func squaresOnlyAreSaid(_ family: String) {
    let error = #expect(throws: ModelError.self) { try Architecture("\(family)(image=64x96)") }
    #expect(error?.description.contains("64x96; expected a square") == true)
  }

  /// The values of a ResNet on rectangles are those of torchvision: its narrow fixtures are 33 by 40.
  @Test func aResNetTakesRectangles() throws {
    let architecture = try Architecture("resnet(image=64x96,classes=7)")
    #expect(architecture.text.contains("image=64x96"))
    let summary = try ModelSummary(architecture)
    let last = try #require(summary.taps.last { $0.tap.layout == .featureMap })
    #expect(last.shape.dimensions == [1, 2, 3, 2048])
    #expect(
      architecture.configuration.preprocessing == .asIs(Extents(height: 64, width: 96), channels: 3)
    )
  }

  @Test func countsStayAtTheLargestInteger() {
    #expect(Shape([1 << 40, 1 << 40]).count == .max)
    #expect(Shape([3, 5, 7]).count == 105)
    let meter = Meter()
    let large = Tensor(abstract: [1 << 32, 1 << 32], meter: meter)
    #expect(meter.isSaturated)
    #expect(large.matmul(Tensor(abstract: [1 << 32, 1 << 32], meter: meter)).shape.count == .max)
    #expect(meter.multiplyAdds == .max)
    let small = Meter()
    _ = Tensor(abstract: [2, 3], meter: small).matmul(Tensor(abstract: [3, 4], meter: small))
    #expect(small.multiplyAdds == 24)
    #expect(!small.isSaturated)
  }
}
