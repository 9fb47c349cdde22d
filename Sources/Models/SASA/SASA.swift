import Tensors

/// The forward pass of ``SASAConfiguration``. Weights by the names of torchvision's residual networks, attention in the
/// place of `conv2`.
struct SASA: VisionModel {
  private let configuration: SASAConfiguration
  private enum Stem: Sendable {
    case convolution(NormedConvolution)
    case attention(AttentionStem, BatchNorm)
  }

  private let stem: Stem
  private let blocks: [MixingBottleneck]
  private let classifier: Dense?

  init(_ c: SASAConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    switch c.stem {
    case .imagenet, .cifar:
      let isLarge = c.stem == .imagenet
      stem = .convolution(
        try NormedConvolution(
          weights["conv1"], norm: weights["bn1"], c.channels, c.stemWidth, kernel: isLarge ? 7 : 3,
          stride: isLarge ? 2 : 1))
    case .attention, .pooledAttention:
      stem = .attention(
        try AttentionStem(
          weights["conv1"], inputs: c.channels, channels: c.stemWidth, side: c.stemWindow,
          mixtures: c.stemMixtures), try BatchNorm(weights["bn1"], c.stemWidth))
    }
    let isPublished = c.form == .published
    blocks = try MixingBottleneck.stages(
      weights, depths: c.depths, inputs: c.stemWidth, width: c.width,
      halving: isPublished ? .behindBranch : .behindMixer
    ) { scope, channels, _ throws(ParameterError) in
      .attention(
        try StandAloneAttention(
          scope, channels: channels, side: c.window, heads: c.heads, isSeparate: isPublished))
    }
    let width = 4 * c.width.doubled(c.depths.count - 1)
    classifier = c.classes > 0 ? try Dense(weights["fc"], width, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    var x: Tensor
    switch stem {
    case .convolution(let layer): x = layer(images, activation: .relu, context)
    case .attention(let layer, let norm):
      let attended = layer(images, context) {
        Tap("stem.attn_map", .attentionMap, layout: .connections($0))
      }
      x = norm(
        context.tap(Tap("stem.attn", .msa, layout: .featureMap), attended), activation: .relu,
        context)
    }
    switch configuration.stem {
    case .imagenet: x = x.maxPooled(SlidingWindow(kernel: 3, stride: 2, padding: 1))
    case .pooledAttention: x = x.maxPooled(SlidingWindow(kernel: 4, stride: 4))
    case .cifar, .attention: break
    }
    return context.tap(Tap("stem", .embed, layout: .featureMap, roles: .sequence), x)
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor { blocks[index](x, context) }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}
