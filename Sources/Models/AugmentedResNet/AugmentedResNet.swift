import Tensors

/// The forward pass of ``AugmentedResNetConfiguration``. Weights by the names of leaderj1001/Attention-Augmented-Conv2d;
/// a convolution without attention is a tensor `weight` in the place of one with it.
struct AugmentedResNet: VisionModel {
  private let configuration: AugmentedResNetConfiguration
  private let stem: Convolution
  private let blocks: [Block]
  private let norm: BatchNorm
  private let classifier: Dense?

  /// A convolution, with attention beside it or alone.
  private enum Convolution: Sendable {
    case augmented(AugmentedConvolution)
    case plain(NormedConvolution)

    init(
      _ scope: Scope, _ c: AugmentedResNetConfiguration, _ inputs: Int, stage: Int, side: Int,
      stride: Int = 1, isAugmented: Bool, kernel: Int = 3
    ) throws(ParameterError) {
      let outputs = c.widths[stage]
      guard isAugmented else {
        self = .plain(
          try NormedConvolution(
            scope, norm: nil, inputs, outputs, kernel: kernel, stride: stride))
        return
      }
      let isPublished = c.form == .published
      self = .augmented(
        try AugmentedConvolution(
          scope,
          .init(
            inputs: inputs, outputs: outputs, keys: c.keys[stage], values: c.values[stage],
            heads: c.heads, side: side, stride: stride, kernel: isPublished ? 3 : 1,
            isTransposed: isPublished)))
    }

    func callAsFunction(_ x: Tensor, name: String, stage: Int?, _ context: Context) -> Tensor {
      func tap(_ suffix: String) -> (Connections) -> Tap {
        { Tap(name + suffix, .attentionMap, layout: .connections($0), stage: stage) }
      }
      if stage != nil { kernels.offer(x.shape, context, as: tap("_map")) }
      switch self {
      case .plain(let layer): return layer(x, context)
      case .augmented(let layer): return layer(x, context, map: tap(".attn_map"))
      }
    }

    /// The convolution, alone or beside attention.
    private var kernels: NormedConvolution {
      switch self {
      case .plain(let layer): layer
      case .augmented(let layer): layer.plain.convolution
      }
    }
  }

  /// A pre-activation block; the first convolution has the stride in the paper's form, the second in the published one.
  private struct Block: Sendable {
    let stage: Int
    let index: Int
    let norm1: BatchNorm
    let conv1: Convolution
    let norm2: BatchNorm
    let conv2: Convolution
    let shortcut: Convolution?

    init(
      _ scope: Scope, _ c: AugmentedResNetConfiguration, stage: Int, index: Int, inputs: Int
    ) throws(ParameterError) {
      (self.stage, self.index) = (stage, index)
      let (width, isPublished) = (c.widths[stage + 1], c.form == .published)
      let stride = index == 0 && stage > 0 ? 2 : 1
      let side = c.imageSize.side / 1.doubled(stage)
      norm1 = try BatchNorm(scope["bn1"], inputs)
      conv1 = try Convolution(
        scope["conv1"], c, inputs, stage: stage + 1, side: isPublished ? side * stride : side,
        stride: isPublished ? 1 : stride, isAugmented: true)
      norm2 = try BatchNorm(scope["bn2"], width)
      conv2 = try Convolution(
        scope["conv2"], c, width, stage: stage + 1, side: side, stride: isPublished ? stride : 1,
        isAugmented: isPublished)
      shortcut =
        stride > 1 || inputs != width
        ? try Convolution(
          scope["shortcut"][0], c, inputs, stage: stage + 1, side: side, stride: stride,
          isAugmented: isPublished, kernel: 1) : nil
    }

    func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
      let name = "layer\(stage + 1).\(index)"
      func tap(_ suffix: String) -> Tap {
        Tap("\(name).\(suffix)", .conv, layout: .featureMap, stage: stage)
      }
      let skip = context.tap(
        tap("skip"), shortcut?(x, name: "\(name).shortcut", stage: stage, context) ?? x)
      var y = norm1(x, activation: .relu, context)
      y = context.tap(tap("conv1"), conv1(y, name: "\(name).conv1", stage: stage, context))
      y = norm2(y, activation: .relu, context)
      y = conv2(y, name: "\(name).conv2", stage: stage, context)
      y = (context.branch(tap("branch"))?(y) ?? y) + skip
      return context.tap(
        Tap(
          name, stage > 0 && index == 0 ? .pool : .msa, layout: .featureMap, stage: stage,
          roles: [.sequence, .block]), y)
    }
  }

  init(_ c: AugmentedResNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    stem = try Convolution(
      weights["conv1"], c, c.channels, stage: 0, side: c.imageSize.side,
      isAugmented: c.form == .published)
    var blocks: [Block] = []
    var inputs = c.widths[0]
    for (stage, depth) in c.depths.enumerated() {
      for index in 0..<depth {
        blocks.append(
          try Block(
            weights["layer\(stage + 1)"][0][index], c, stage: stage, index: index, inputs: inputs))
        inputs = c.widths[stage + 1]
      }
    }
    self.blocks = blocks
    norm = try BatchNorm(weights["bn1"], inputs)
    classifier = c.classes > 0 ? try Dense(weights["linear"], inputs, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    context.tap(
      Tap("stem", .embed, layout: .featureMap, roles: .sequence),
      stem(images, name: "stem", stage: nil, context))
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor { blocks[index](x, context) }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let x = context.tap(
      Tap("norm", .norm, layout: .featureMap), norm(x, activation: .relu, context))
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}
