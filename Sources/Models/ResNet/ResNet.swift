import Tensors

/// The forward pass of ``ResNetConfiguration``. Weights by torchvision's names; in pre-activation
/// networks each `bnN` stands before `convN`, and `norm` before the head.
struct ResNet: VisionModel {
  typealias State = Tensor

  private enum Block: Sendable {
    case residual(ResidualBlock)
    case nonLocal(NonLocalBlock)

    var stage: Int {
      switch self {
      case .residual(let block): block.stage
      case .nonLocal(let block): block.stage
      }
    }

    func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
      switch self {
      case .residual(let block): block(x, context)
      case .nonLocal(let block): block(x, context)
      }
    }
  }

  private let configuration: ResNetConfiguration
  private let stem: ResNetStem
  private let blocks: [Block]
  private let norm: BatchNorm?
  private let classifier: Dense?

  init(_ c: ResNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    stem = try ResNetStem(c, weights)
    var blocks: [Block] = []
    var (channels, number, nonLocal) = (c.stemWidth, 0, 0)
    for stage in c.depths.indices {
      let scope = weights["layer\(stage + 1)"]
      var member = 0
      for _ in 0..<c.depths[stage] {
        let block = try ResidualBlock(
          scope[member], c, stage: stage, index: member, inputs: channels)
        blocks.append(.residual(block))
        (channels, member) = (block.outputs, member + 1)
        if nonLocal < c.nonLocal.count, c.nonLocal[nonLocal] == number {
          let layer = try NonLocal(
            block: scope[member], channels, inner: c.nonLocalWidths[nonLocal],
            form: c.nonLocalForm, pools: c.nonLocalPool, hasNorm: c.nonLocalNorm)
          blocks.append(.nonLocal(NonLocalBlock(layer, stage: stage, index: member)))
          (member, nonLocal) = (member + 1, nonLocal + 1)
        }
        number += 1
      }
    }
    self.blocks = blocks
    norm = c.preActivation ? try BatchNorm(weights["norm"], channels) : nil
    classifier = c.classes > 0 ? try Dense(weights["fc"], channels, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor { stem(images, context) }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    let block = blocks[index]
    let y = block(x, context)
    let isLast = index + 1 == blocks.count || blocks[index + 1].stage != block.stage
    guard isLast else { return y }
    return context.tap(
      Tap("layer\(block.stage + 1)", .conv, layout: .featureMap, stage: block.stage), y)
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    var x = x
    if let norm {
      x = context.tap(
        Tap("norm", .norm, layout: .featureMap),
        norm(x, activation: configuration.act.function, context))
    }
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}

/// What stands before the blocks: one convolution or three, then a pooling. Keys `conv1`, `bn1`; for three
/// `conv1.0`, `conv1.1`, `conv1.3`, `conv1.4`, `conv1.6`, `bn1`; for a pooling by convolution `maxpool.0`,
/// `maxpool.1`.
private struct ResNetStem: Sendable {
  private let configuration: ResNetConfiguration
  private let first: [NormedConvolution]
  private let last: NormedConvolution
  private let pooling: NormedConvolution?

  init(_ c: ResNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let (scope, norm) = (weights["conv1"], c.preActivation ? nil : weights["bn1"])
    if c.stem == .deep {
      let widths = c.stemWidths
      first = [
        try NormedConvolution(
          scope[0], norm: scope[1], c.channels, widths[0], kernel: 3, stride: c.stemStride),
        try NormedConvolution(scope[3], norm: scope[4], widths[0], widths[1], kernel: 3),
      ]
      last = try NormedConvolution(scope[6], norm: norm, widths[1], c.stemWidth, kernel: 3)
    } else {
      first = []
      last = try NormedConvolution(
        scope, norm: norm, c.channels, c.stemWidth, kernel: c.stem == .imagenet ? 7 : 3,
        stride: c.stemStride)
    }
    pooling =
      c.pool == .convolution
      ? try NormedConvolution(
        weights["maxpool"][0], norm: weights["maxpool"][1], c.stemWidth, c.stemWidth, kernel: 3,
        stride: 2) : nil
  }

  func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
    let c = configuration
    let act = c.preActivation ? Activation.none : c.act.function
    var x = images
    for convolution in first { x = convolution(x, activation: c.act.function, context) }
    x = last(
      x, activation: act, raw: context.inner(Tap("conv1", .conv, layout: .featureMap)),
      normed: c.preActivation ? nil : context.inner(Tap("bn1", .norm, layout: .featureMap)),
      context)
    switch c.pool {
    case .none: break
    case .convolution: x = pooling.map { $0(x, activation: act, context) } ?? x
    case .maximum:
      switch c.antialias {
      case .none: x = x.maxPooled(SlidingWindow(kernel: 3, stride: 2, padding: 1))
      case .blur:
        x = x.maxPooled(SlidingWindow(kernel: 3, stride: 1, padding: 1)).blurred(stride: 2)
      case .average: x = x.averagedByTwo(keepingLast: false)
      }
    }
    return context.tap(Tap("stem", .embed, layout: .featureMap, roles: .sequence), x)
  }
}
