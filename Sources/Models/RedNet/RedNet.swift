import Tensors

/// The forward pass of ``RedNetConfiguration``. Weights by the names of mmcls (d-li14/involution).
struct RedNet: VisionModel {
  private struct Block: Sendable {
    let stage: Int
    let name: String
    let first: NormedConvolution
    let involution: Involution
    let norm: BatchNorm
    let last: NormedConvolution
    let shortcut: NormedConvolution?

    init(
      _ scope: Scope, stage: Int, index: Int, inputs: Int, width: Int, outputs: Int,
      _ c: RedNetConfiguration
    ) throws(ParameterError) {
      (self.stage, name) = (stage, "layer\(stage + 1).\(index)")
      let stride = index == 0 && stage > 0 ? 2 : 1
      first = try NormedConvolution(scope["conv1"], norm: scope["bn1"], inputs, width, kernel: 1)
      involution = try Involution(
        scope["conv2"], channels: width, side: c.window, stride: stride, share: c.groupChannels)
      norm = try BatchNorm(scope["bn2"], width)
      last = try NormedConvolution(scope["conv3"], norm: scope["bn3"], width, outputs, kernel: 1)
      let down = scope["downsample"]
      shortcut =
        stride > 1 || inputs != outputs
        ? try NormedConvolution(
          down[0], norm: down[1], inputs, outputs, kernel: 1, stride: stride) : nil
    }
  }

  private let configuration: RedNetConfiguration
  private let stemFirst: NormedConvolution
  private let stemInvolution: Involution
  private let stemNorm: BatchNorm
  private let stemLast: NormedConvolution
  private let blocks: [Block]
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
    var blocks: [Block] = []
    var inputs = c.stemWidth
    for (stage, depth) in c.depths.enumerated() {
      let width = c.width.doubled(stage)
      for index in 0..<depth {
        blocks.append(
          try Block(
            backbone["layer\(stage + 1)"][index], stage: stage, index: index, inputs: inputs,
            width: width, outputs: 4 * width, c))
        inputs = 4 * width
      }
    }
    self.blocks = blocks
    classifier = c.classes > 0 ? try Dense(weights["head"]["fc"], inputs, c.classes) : nil
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

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    let block = blocks[index]
    func tap(_ suffix: String, _ kind: Tap.Kind = .conv) -> Tap {
      Tap("\(block.name).\(suffix)", kind, layout: .featureMap, stage: block.stage)
    }
    let skip = block.shortcut?(x, context) ?? x
    let reduced = block.first(x, activation: .relu, context)
    let involved = block.involution(reduced, context) {
      Tap(
        "\(block.name).involution_map", .attentionMap, layout: .connections($0), stage: block.stage)
    }
    let mixed = context.tap(tap("involution"), involved)
    let y = block.last(
      block.norm(mixed, activation: .relu, context), activation: .relu, residual: skip,
      normed: context.branch(tap("branch")), context)
    let isFirst = index == 0 || blocks[index - 1].stage != block.stage
    return context.tap(
      Tap(
        block.name, isFirst && block.stage > 0 ? .pool : .conv, layout: .featureMap,
        stage: block.stage, roles: [.sequence, .block]), y)
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}

/// Kernels that each place makes of itself, one a group of channels (Li et al. 2021); with a stride, of the mean
/// under each step. Keys `conv1.conv`, `conv1.bn`, `conv2.conv`.
private struct Involution: Sendable {
  let kernels: LocalKernels
  let window: SlidingWindow
  let stride: Int

  init(
    _ scope: Scope, channels: Int, side: Int, stride: Int, share: Int
  ) throws(ParameterError) {
    kernels = .ofPlace(
      try KernelGenerator(
        reduce: scope["conv1"]["conv"], norm: scope["conv1"]["bn"], expand: scope["conv2"]["conv"],
        channels: channels, side: side, groups: channels / share, hasReducedBias: false))
    window = SlidingWindow(kernel: side, stride: stride, padding: side / 2)
    self.stride = stride
  }

  func callAsFunction(
    _ x: Tensor, _ context: Context, map: (Connections) -> Tap
  ) -> Tensor {
    let source = stride == 1 ? x : x.averagedByTwo(keepingLast: false)
    let weights = context.kernels(
      map(kernels.connections(on: x.shape, window: window)), kernels(source, context),
      images: x.shape[0])
    return x.locallyMixed(weights, window: window)
  }
}
