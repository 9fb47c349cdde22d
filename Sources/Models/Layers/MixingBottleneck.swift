import Tensors

/// A residual bottleneck whose 3x3 convolution is another layer that mixes places: 1x1, that layer, 1x1, each with a
/// normalisation. Keys `conv1`, `bn1`, `conv2` (that layer), `bn2`, `conv3`, `bn3`, `downsample.0`, `downsample.1`.
struct MixingBottleneck: Sendable {
  /// The layer between the 1x1 convolutions.
  enum Mixer: Sendable {
    case involution(Involution)
    case attention(StandAloneAttention)

    func callAsFunction(
      _ x: Tensor, _ context: Context, map: (Connections) -> Tap
    ) -> Tensor {
      switch self {
      case .involution(let layer): layer(x, context, map: map)
      case .attention(let layer): layer(x, context, map: map)
      }
    }

    /// What its tap is called, and of what kind it is.
    var tap: (suffix: String, kind: Tap.Kind) {
      switch self {
      case .involution: ("involution", .conv)
      case .attention: ("attn", .msa)
      }
    }
  }

  /// What halves the map of a block with a stride.
  enum Halving: Sendable {
    /// The layer itself.
    case inside
    /// A mean of 2 x 2 right behind the layer.
    case behindMixer
    /// A mean of 2 x 2 at the end of the branch.
    case behindBranch
  }

  let stage: Int
  private let name: String
  private let isFirst: Bool
  private let first: NormedConvolution
  private let mixer: Mixer
  private let norm: BatchNorm
  private let last: NormedConvolution
  private let shortcut: NormedConvolution?
  private let halving: Halving?

  /// Blocks of the stages of a network, each but the first halving the map, four times as wide behind as inside.
  ///
  /// - Parameters:
  ///   - width: channels of the layer in the first stage; doubled from stage to stage.
  ///   - mixer: makes the layer for so many channels and a stride.
  static func stages(
    _ scope: Scope, depths: [Int], inputs: Int, width: Int, halving: Halving,
    mixer: (Scope, _ channels: Int, _ stride: Int) throws(ParameterError) -> Mixer
  ) throws(ParameterError) -> [MixingBottleneck] {
    var blocks: [MixingBottleneck] = []
    var inputs = inputs
    for (stage, depth) in depths.enumerated() {
      let width = width.doubled(stage)
      for index in 0..<depth {
        let (own, stride) = (
          scope["layer\(stage + 1)"][index], index == 0 && stage > 0 ? 2 : 1
        )
        blocks.append(
          try MixingBottleneck(
            own, stage: stage, index: index, inputs: inputs, width: width, stride: stride,
            halving: halving, mixer: try mixer(own["conv2"], width, stride)))
        inputs = 4 * width
      }
    }
    return blocks
  }

  private init(
    _ scope: Scope, stage: Int, index: Int, inputs: Int, width: Int, stride: Int,
    halving: Halving, mixer: Mixer
  ) throws(ParameterError) {
    (self.stage, name, isFirst) = (stage, "layer\(stage + 1).\(index)", index == 0)
    self.mixer = mixer
    self.halving = stride > 1 ? halving : nil
    first = try NormedConvolution(scope["conv1"], norm: scope["bn1"], inputs, width, kernel: 1)
    norm = try BatchNorm(scope["bn2"], width)
    last = try NormedConvolution(scope["conv3"], norm: scope["bn3"], width, 4 * width, kernel: 1)
    let down = scope["downsample"]
    shortcut =
      stride > 1 || inputs != 4 * width
      ? try NormedConvolution(
        down[0], norm: down[1], inputs, 4 * width, kernel: 1, stride: stride) : nil
  }

  /// One block over a map `[N, H, W, C]`.
  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    func tap(_ suffix: String, _ kind: Tap.Kind = .conv) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, stage: stage)
    }
    let skip = shortcut?(x, context) ?? x
    let reduced = first(x, activation: .relu, context)
    let attended = mixer(reduced, context) {
      Tap(
        "\(name).\(mixer.tap.suffix)_map", .attentionMap, layout: .connections($0), stage: stage)
    }
    var mixed = context.tap(tap(mixer.tap.suffix, mixer.tap.kind), attended)
    if halving == .behindMixer { mixed = mixed.averagedByTwo(keepingLast: false) }
    mixed = norm(mixed, activation: .relu, context)
    let look = context.branch(tap("branch"))
    let y: Tensor
    if halving == .behindBranch {
      let branch = last(mixed, context).averagedByTwo(keepingLast: false)
      y = ((look?(branch) ?? branch) + skip).relu()
    } else {
      y = last(mixed, activation: .relu, residual: skip, normed: look, context)
    }
    let kind = isFirst && stage > 0 ? Tap.Kind.pool : mixer.tap.kind
    return context.tap(
      Tap(name, kind, layout: .featureMap, stage: stage, roles: [.sequence, .block]), y)
  }
}

/// Kernels that each place makes of itself, one a group of channels (Li et al. 2021); with a stride, of the mean
/// under each step. Keys `conv1.conv`, `conv1.bn`, `conv2.conv`.
struct Involution: Sendable {
  private let kernels: LocalKernels
  private let window: SlidingWindow
  private let stride: Int

  /// - Parameters:
  ///   - share: channels that share a kernel.
  init(
    _ scope: Scope, channels: Int, side: Int, stride: Int, share: Int
  ) throws(ParameterError) {
    kernels = .ofEachPlace(
      try KernelGenerator(
        reduce: scope["conv1"]["conv"], norm: scope["conv1"]["bn"], expand: scope["conv2"]["conv"],
        channels: channels, side: side, groups: channels / share, hasReducedBias: false))
    window = SlidingWindow(kernel: side, stride: stride, padding: side / 2)
    self.stride = stride
  }

  /// A map `[N, H, W, C]` mixed.
  func callAsFunction(_ x: Tensor, _ context: Context, map: (Connections) -> Tap) -> Tensor {
    kernels.mix(
      x, of: stride == 1 ? nil : x.averagedByTwo(keepingLast: false), window: window, context,
      map: map)
  }
}
