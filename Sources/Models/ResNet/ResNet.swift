import Tensors

/// The forward pass of ``ResNetConfiguration``. Weights by torchvision's names; in pre-activation
/// networks each `bnN` stands before `convN`, and `norm` before the head.
struct ResNet: VisionModel {
  typealias State = Tensor

  private let configuration: ResNetConfiguration
  private let stem: NormedConvolution
  private let blocks: [ResidualBlock]
  private let norm: BatchNorm?
  private let classifier: Dense?

  init(_ c: ResNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let large = c.stem == .imagenet
    stem = try NormedConvolution(
      weights["conv1"], norm: c.preActivation ? nil : weights["bn1"], c.channels, c.stemWidth,
      kernel: large ? 7 : 3, stride: large ? 2 : 1)
    var blocks: [ResidualBlock] = []
    var channels = c.stemWidth
    for (stage, (depth, width)) in zip(c.depths, c.widths).enumerated() {
      for index in 0..<depth {
        let block = try ResidualBlock(
          weights["layer\(stage + 1)"][index], c, stage: stage, index: index, inputs: channels,
          width: width)
        blocks.append(block)
        channels = block.outputs
      }
    }
    self.blocks = blocks
    norm = c.preActivation ? try BatchNorm(weights["norm"], channels) : nil
    classifier = c.classes > 0 ? try Dense(weights["fc"], channels, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    var x = stem(
      images, activation: activation,
      raw: context.inner(Tap("conv1", .conv, layout: .featureMap)),
      normed: configuration.preActivation
        ? nil : context.inner(Tap("bn1", .norm, layout: .featureMap)), context)
    if configuration.stem == .imagenet {
      x = x.maxPooled(SlidingWindow(kernel: 3, stride: 2, padding: 1))
    }
    return context.tap(Tap("stem", .embed, layout: .featureMap, roles: .sequence), x)
  }

  private var activation: Activation { configuration.preActivation ? .none : .relu }

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
      x = context.tap(Tap("norm", .norm, layout: .featureMap), norm(x, activation: .relu, context))
    }
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}

/// One residual block, basic or bottleneck, with its normalisations after or before the convolutions.
struct ResidualBlock: Sendable {
  let stage: Int
  let index: Int
  let outputs: Int
  /// In a pre-activation block, each is followed by the next one's normalisation.
  let convolutions: [NormedConvolution]
  let projection: NormedConvolution?
  let first: BatchNorm?

  init(
    _ scope: Scope, _ c: ResNetConfiguration, stage: Int, index: Int, inputs: Int, width: Int
  ) throws(ParameterError) {
    self.stage = stage
    self.index = index
    outputs = width * c.block.expansion
    let stride = stage > 0 && index == 0 ? 2 : 1
    // Kernel, channels, stride of each convolution: the stride sits on the first 3x3.
    let plan: [(kernel: Int, channels: Int, stride: Int)] =
      c.block == .basic
      ? [(3, width, stride), (3, width, 1)]
      : [(1, width, 1), (3, width, stride), (1, outputs, 1)]
    first = c.preActivation ? try BatchNorm(scope["bn1"], inputs) : nil
    var convolutions: [NormedConvolution] = []
    var channels = inputs
    for (place, step) in plan.enumerated() {
      let isLast = place + 1 == plan.count
      let norm = c.preActivation ? (isLast ? nil : place + 2) : place + 1
      convolutions.append(
        try NormedConvolution(
          scope["conv\(place + 1)"], norm: norm.map { scope["bn\($0)"] }, channels, step.channels,
          kernel: step.kernel, stride: step.stride))
      channels = step.channels
    }
    self.convolutions = convolutions
    projection =
      stride != 1 || inputs != outputs
      ? try NormedConvolution(
        scope["downsample"][0], norm: c.preActivation ? nil : scope["downsample"][1], inputs,
        outputs, kernel: 1, stride: stride, padding: 0)
      : nil
  }

  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    let name = "layer\(stage + 1).\(index)"
    func tap(_ suffix: String, _ kind: Tap.Kind = .conv) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, stage: stage)
    }
    let isPreActivation = first != nil
    var y = x
    if let first {
      y = context.tap(tap("bn1", .norm), first(x, activation: .relu, context))
    }
    let skip = context.tap(tap("skip"), projection.map { $0(y, context) } ?? x)
    for (place, convolution) in convolutions.enumerated() {
      let isLast = place + 1 == convolutions.count
      let norm =
        convolution.norm == nil
        ? nil : context.inner(tap("bn\(place + (isPreActivation ? 2 : 1))", .norm))
      y = convolution(
        y, activation: isLast && isPreActivation ? .none : .relu, residual: isLast ? skip : nil,
        raw: context.inner(tap("conv\(place + 1)")),
        normed: isLast ? context.branch(tap("branch"), after: norm) : norm, context)
    }
    let kind: Tap.Kind = stage > 0 && index == 0 ? .pool : .conv
    return context.tap(
      Tap(name, kind, layout: .featureMap, stage: stage, roles: [.sequence, .block]), y)
  }
}
