import Tensors

/// The forward pass of ``RedNetConfiguration``. Weights by the names of mmcls (d-li14/involution).
struct RedNet: VisionModel {
  private let configuration: RedNetConfiguration
  private let stemFirst: NormedConvolution
  private let stemInvolution: Involution
  private let stemNorm: BatchNorm
  private let stemLast: NormedConvolution
  private let blocks: [MixingBottleneck]
  private let classifier: Dense?

  init(_ c: RedNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let backbone = weights["backbone"]
    let (stem, half) = (backbone["stem"], c.stemWidth / 2)
    stemFirst = try NormedConvolution(
      stem[0]["conv"], norm: stem[0]["bn"], c.channels, half, kernel: 3, stride: 2)
    stemInvolution = try Involution(
      stem[1], channels: half, side: 3, stride: 1, share: c.groupChannels)
    stemNorm = try BatchNorm(stem[2], half)
    stemLast = try NormedConvolution(
      stem[4]["conv"], norm: stem[4]["bn"], half, c.stemWidth, kernel: 3)
    blocks = try MixingBottleneck.stages(
      backbone, depths: c.depths, inputs: c.stemWidth, width: c.width, halving: .inside
    ) { scope, channels, stride throws(ParameterError) in
      .involution(
        try Involution(
          scope, channels: channels, side: c.window, stride: stride, share: c.groupChannels))
    }
    let width = 4 * c.width.doubled(c.depths.count - 1)
    classifier = c.classes > 0 ? try Dense(weights["head"]["fc"], width, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    var x = stemFirst(images, activation: .relu, context)
    let stem = stemInvolution(x, context) {
      Tap("stem.involution_map", .attentionMap, layout: .connections($0))
    }
    x = stemNorm(stem, activation: .relu, context)
    x = stemLast(x, activation: .relu, context)
    x = x.maxPooled(SlidingWindow(kernel: 3, stride: 2, padding: 1))
    return context.tap(Tap("stem", .embed, layout: .featureMap, roles: .sequence), x)
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor { blocks[index](x, context) }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}
