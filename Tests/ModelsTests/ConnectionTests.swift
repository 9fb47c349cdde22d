import Models
import Tensors
import Testing

/// The weights by which networks mix places, as taps.
@Suite struct ConnectionTests {
  /// Small networks; of each, a layer whose weights are tapped, the shape of these for two images, where they
  /// lie, and what they are made of.
  static let networks:
    [(text: String, tap: String, shape: Shape, support: Connections.Support, source: String)] = [
      (
        "vit(image=32,patch=8,dim=8,depth=1,heads=2,classes=3)", "blocks.0.attn_map",
        [2, 2, 17, 17],
        .tokens, "pair"
      ),
      (
        "swin(image=32,patch=2,window=4,dim=8,depths=2-2,heads=2-4,classes=3)",
        "layers.0.blocks.1.attn_map", [2, 16, 2, 16, 16],
        .windows(mapHeight: 16, mapWidth: 16, stride: 4), "pair"
      ),
      (
        "pvt(image=64,dims=8-16-16-24,depths=1-1-1-1,heads=1-2-2-3,mlp=32-64-32-48,reductions=8-4-2-1,classes=3)",
        "block2.0.attn_map", [2, 2, 64, 4], .cells(height: 2, width: 2), "pair"
      ),
      (
        "volo(image=32,patch=8,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=3)",
        "network.0.0.attn_map", [2, 4, 2, 9, 9],
        .windows(mapHeight: 4, mapWidth: 4, stride: 2, padding: 1), "place"
      ),
      (
        "dwnet(image=32,window=3,dim=8,depths=1-1,kernels=static,classes=3)",
        "layers.0.blocks.0.dw_map", [2, 8, 1, 9],
        .taps(SlidingWindow(kernel: 3, padding: 1)), "parameters"
      ),
      (
        "dwnet(image=32,window=3,dim=8,depths=1-1,kernels=dynamic,classes=3)",
        "layers.0.blocks.0.dw_map", [2, 8, 1, 9],
        .taps(SlidingWindow(kernel: 3, padding: 1)), "image"
      ),
      (
        "dwnet(image=32,window=3,dim=8,depths=1-1,kernels=inhomogeneous,group-channels=2-4,classes=3)",
        "layers.0.blocks.0.dw_map", [2, 4, 64, 9],
        .taps(SlidingWindow(kernel: 3, padding: 1)), "place"
      ),
      (
        "rednet(image=64,depths=1-1-1-1,width=16,stem-width=32,classes=3)",
        "layer2.0.involution_map", [2, 2, 64, 49],
        .taps(SlidingWindow(kernel: 7, stride: 2, padding: 3)), "place"
      ),
      (
        "sasa(stem=cifar,depths=1-1,width=8,heads=2,window=5,image=16,classes=3)",
        "layer2.0.attn_map", [2, 2, 256, 25], .taps(SlidingWindow(kernel: 5, padding: 2)), "pair"
      ),
      (
        "sasa(stem=cifar,depths=1-1,width=8,heads=2,window=3,form=published,image=16,classes=3)",
        "layer2.0.attn_map", [2, 16, 256, 9], .taps(SlidingWindow(kernel: 3, padding: 1)), "pair"
      ),
      (
        "sasa(stem=attention,depths=1,width=8,stem-width=6,window=3,form=published,image=16,classes=3)",
        "stem.attn_map", [2, 6, 256, 16],
        .taps(SlidingWindow(kernel: (4, 4), padding: (2, 2, 1, 1))), "pair"
      ),
      (
        "convit(image=32,patch=8,dim=8,depth=1,heads=2,kernel=3,classes=3)",
        "transformers.0.attn_map", [2, 2, 16, 9], .taps(SlidingWindow(kernel: 3, padding: 1)),
        "pair"
      ),
      (
        "aa_wide_resnet(image=8,depths=1-1,widths=4-4-8,keys=8-8-16,values=2-2-4,heads=2,classes=3)",
        "layer2.0.conv2.attn_map", [2, 2, 16, 16], .tokens, "pair"
      ),
      (
        "attention_cnn(image=16,dim=8,depth=1,heads=3,mlp=12,positions=learned,classes=3)",
        "encoder.layer.0.attn_map", [2, 3, 64, 64], .tokens, "parameters"
      ),
      (
        "resnet(stem=cifar,block=basic,width=8,depths=1-1,gate=nl,squeeze=2-4,image=16,classes=3)",
        "layer2.0.attn_map", [2, 1, 64, 64], .tokens, "pair"
      ),
      (
        "resnet(stem=cifar,block=basic,width=8,depths=1-1,non-local=1,image=16,classes=3)",
        "layer2.1.attn_map", [2, 1, 64, 16], .cells(height: 4, width: 4), "pair"
      ),
      (
        "volo(image=32,patch=8,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=3)",
        "post_network.1.attn_map", [2, 4, 1, 5], .pooling, "pair"
      ),
      (
        "vit(image=32,patch=8,dim=8,depth=1,heads=2,class-token=false,pool=attention,classes=3)",
        "pool.attn_map", [2, 2, 1, 16], .pooling, "key"
      ),
      (
        "vit(image=32,patch=8,dim=8,depth=1,heads=2,class-token=false,registers=3,pool=attention,"
          + "pool-prefix=true,classes=3)",
        "pool.attn_map", [2, 2, 1, 19], .pooling, "key"
      ),
      (
        "resnet(stem=cifar,block=basic,width=8,depths=1-1,gate=gc,squeeze=2-4,image=16,classes=3)",
        "layer2.0.context_map", [2, 1, 1, 64], .pooling, "key"
      ),
      (
        "resnet(stem=cifar,block=basic,width=8,depths=1-1,squeeze=2-4,image=16,classes=3)",
        "layer2.0.se_map", [2, 16, 1, 1], .taps(SlidingWindow(kernel: 1)), "image"
      ),
      (
        "aa_wide_resnet(image=8,depths=1-1,widths=4-4-8,keys=8-8-16,values=2-2-4,heads=2,classes=3)",
        "layer2.0.conv2_map", [2, 4, 1, 9],
        .taps(SlidingWindow(kernel: 3, stride: 2, padding: 1)), "parameters"
      ),
      (
        "resnet(stem=cifar,block=basic,width=8,depths=1-1,squeeze=2-4,image=16,classes=3)",
        "layer2.0.conv1_map", [2, 16, 1, 9],
        .taps(SlidingWindow(kernel: 3, stride: 2, padding: 1)), "parameters"
      ),
    ]

  private func network(_ text: String) throws -> (model: any VisionModel, images: Tensor) {
    let architecture = try Architecture(text)
    let model = try architecture.configuration.makeModel(Scope(FilledParameters()))
    let side = try ModelSummary(architecture).inputShape
    return (
      model,
      DeterministicFill.values("input", [2, side.height, side.width, 3], isInput: true)
    )
  }

  @Test(arguments: networks.indices)
  func weightsAreOfferedWithWhatTheyJoin(_ index: Int) throws {
    let case_ = Self.networks[index]
    let (model, images) = try network(case_.text)
    let recorder = Recorder { $0.kind == .attentionMap }
    let heard = model(images, Context(probe: recorder))
    let tap = try #require(recorder.taps.first { $0.name == case_.tap })
    let connections = try #require(tap.connections)
    let value = try #require(recorder.values[case_.tap])
    #expect(value.shape == case_.shape)
    #expect(connections.support == case_.support)
    #expect(connections.declared?.source.rawValue == case_.source)
    for tap in recorder.taps {
      let connections = try #require(tap.connections)
      #expect(connections.isValid, "\(tap.name)")
      let declared = try #require(connections.declared)
      #expect(declared.channels > 0 && declared.parameters > 0 && declared.multiplyAdds > 0)
    }
    // Who listens changes nothing, to the bit.
    #expect(heard.values == model(images, Context()).values)
    // Attention, outlook and cells sum to one.
    if case .taps = connections.support { return }
    let areOne = value.sum(axis: -1).values.allSatisfy { abs($0 - 1) < 1e-5 }
    #expect(areOne)
  }

  /// Another value in the place of the weights is what the layer goes on with, but of sums over channels.
  @Test(arguments: networks.indices.dropLast(2))
  func otherWeightsAreGoneOnWith(_ index: Int) throws {
    let case_ = Self.networks[index]
    let (model, images) = try network(case_.text)
    let zeros = ZeroProbe(case_.tap)
    let changed = model(images, Context(probe: zeros))
    #expect(changed.values != model(images, Context()).values)
    #expect(zeros.seen == 1)
  }

  /// Kernels as they are offered are those of the parameters: one kernel a channel, taps row by row.
  @Test func aStaticKernelIsTheParameter() throws {
    let (model, images) = try network(Self.networks[4].text)
    let recorder = Recorder { $0.name == "layers.1.blocks.0.dw_map" }
    _ = model(images, Context(probe: recorder))
    let value = try #require(recorder.values["layers.1.blocks.0.dw_map"])
    let stored = DeterministicFill.values(
      "layers.1.blocks.0.attn2conv.conv.weight", [16, 1, 3, 3])
    #expect(value.shape == [2, 16, 1, 9])
    #expect(value.values == stored.values + stored.values)
  }

  /// A convolution over all channels offers, of each channel of the result, the magnitudes over those it reads.
  @Test func aDenseConvolutionIsSummed() throws {
    let (model, images) = try network(Self.networks[Self.networks.count - 1].text)
    let recorder = Recorder { $0.name == "layer2.0.conv1_map" }
    _ = model(images, Context(probe: recorder))
    let tap = try #require(recorder.taps.first)
    let declared = try #require(tap.connections?.declared)
    #expect(declared.isDense)
    #expect(declared.parameters == 16 * 8 * 9)
    #expect(declared.multiplyAdds == 8 * 8 * 16 * 8 * 9)
    let stored = DeterministicFill.values("layer2.0.conv1.weight", [16, 8, 3, 3]).values
    let value = try #require(recorder.values[tap.name]).values
    for place in 0..<16 * 9 {
      let sum = (0..<8).reduce(Float(0)) { $0 + abs(stored[(place / 9 * 8 + $1) * 9 + place % 9]) }
      #expect(abs(value[place] - sum) < 1e-5)
    }
  }
}

/// Zeros in the place of one tap.
private final class ZeroProbe: Probe {
  private let name: String
  private(set) var seen = 0

  init(_ name: String) { self.name = name }

  func wants(_ tap: Tap) -> Bool { tap.name == name }
  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    seen += 1
    return 0 * value
  }
}
