import Tensors

/// Residual networks: He et al. 2016 with the stride on the 3x3 convolution (torchvision, timm, Hugging
/// Face) or the first; ResNeXt (Xie et al. 2017) and wide ones; stems and shortcuts of He et al. 2019; gates
/// of Hu et al. 2018; anti-aliased (Zhang 2019) and dilated ones; the CIFAR form, and the pre-activation form
/// (He et al. 2016b; xxxnell/how-do-vits-work).
public struct ResNetConfiguration: ModelConfiguration {
  /// What a block is made of.
  public enum Block: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Two 3x3 convolutions.
    case basic
    /// 1x1, 3x3, 1x1, the last four times as wide.
    case bottleneck

    /// Channels of the result for each channel inside.
    var expansion: Int { self == .basic ? 1 : 4 }
  }

  /// What stands before the blocks.
  public enum Stem: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// 7x7 with stride 2, then a 3x3 maximum with stride 2.
    case imagenet
    /// 3x3 with stride 1.
    case cifar
    /// Three 3x3, the first with stride 2, then a 3x3 maximum with stride 2.
    case deep
  }

  /// What halves the map after the stem's convolution.
  public enum StemPool: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// A 3x3 maximum with stride 2.
    case maximum = "max"
    /// A 3x3 convolution with stride 2 and its normalisation.
    case convolution = "conv"
    /// Nothing does.
    case none
  }

  /// What is done where a map is halved, instead of a stride in the 3x3 convolution.
  public enum Antialias: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Nothing: the convolution has the stride.
    case none
    /// A `[1 2 1]` filter with the stride (timm's resnetblur).
    case blur
    /// A mean of 2 x 2 (timm's resnetaa).
    case average
  }

  /// Which convolution of a bottleneck has the stride.
  public enum Downsample: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// The first 1x1: Caffe, MSRA.
    case first
    /// The 3x3: torchvision, timm.
    case second
  }

  /// What a block adds its branch to where the input does not fit.
  public enum Shortcut: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// A 1x1 convolution of the input.
    case projection
    /// Every second place, and as many channels of zeros before as behind.
    case padded
    /// Every second place, and channels of zeros behind.
    case paddedBehind = "padded-behind"
  }

  /// What a branch goes through before it is added, by timm's names.
  public enum Gate: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Gates of channels from their means (Hu et al. 2018).
    case squeeze = "se"
    /// A non-local block (Wang et al. 2018).
    case nonLocal = "nl"
    /// Gates of channels from a weighted mean of places (Cao et al. 2019).
    case context = "gc"
    /// The same, added instead of multiplied.
    case addedContext = "gca"
  }

  /// What makes weights of the scores of a non-local block.
  public enum NonLocalForm: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Their softmax: the embedded Gaussian.
    case softmax
    /// Each over their number: the dot product.
    case mean
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// Blocks of each stage.
  public var depths = [3, 4, 6, 3]
  /// What a block is made of.
  public var block = Block.bottleneck
  /// What stands before the blocks.
  public var stem = Stem.imagenet
  /// Whether normalisation and ReLU stand before the convolutions.
  public var preActivation = false
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Channels inside the blocks of the first stage.
  public var width = 64
  /// Channels inside the blocks of each stage.
  public var widths = [64, 128, 256, 512]
  /// Channels after the stem.
  public var stemWidth = 64
  /// Colour channels.
  public var channels = 3
  /// Channels after the first two convolutions of a deep stem.
  public var stemWidths = [32, 32]
  /// Channels after each stage.
  public var outs = [256, 512, 1024, 2048]
  /// Groups of the 3x3 convolution of a bottleneck.
  public var groups = 1
  /// Channels inside the gates of each stage; empty without gates.
  public var squeeze: [Int] = []
  /// What gates are.
  public var gate = Gate.squeeze
  /// Whether the products of squeezing gates have biases.
  public var squeezeBias = true
  /// Residual blocks, counted from 0 over all stages, behind which a non-local block stands in the same stage.
  public var nonLocal: [Int] = []
  /// Channels inside each of these.
  public var nonLocalWidths: [Int] = []
  /// Whether these have a batch normalisation.
  public var nonLocalNorm = true
  /// Whether keys and values of these are the maxima of 2 x 2 places.
  public var nonLocalPool = true
  /// What makes weights of their scores.
  public var nonLocalForm = NonLocalForm.softmax
  /// Whether a mean stands before the 1x1 convolution of a shortcut that halves the map.
  public var averageDown = false
  /// What halves the map after the stem.
  public var pool = StemPool.maximum
  /// The stride of the stem's (first) convolution.
  public var stemStride = 2
  /// The stride of the first stage.
  public var firstStride = 1
  /// How far apart the taps of a stage's 3x3 convolutions lie; it is not halved where they lie farther.
  public var dilation = [1, 1, 1, 1]
  /// Which convolution of a bottleneck has the stride.
  public var downsample = Downsample.second
  /// What is done where a map is halved.
  public var antialias = Antialias.none
  /// What a block adds its branch to where the input does not fit.
  public var shortcut = Shortcut.projection
  /// The non-linearity of stem and blocks.
  public var act = ActivationFunction.relu
  /// The non-linearity inside blocks.
  public var innerAct = ActivationFunction.relu

  /// ResNet-50 at 224.
  public init() {}

  /// `resnet`.
  public static let family = "resnet"
  /// What the family is.
  public static let summary = "residual networks: ResNet, CIFAR and pre-activation forms"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init("stem", \.stem, "what stands before the blocks", default: .imagenet, isAlwaysShown: true),
    .image(\.imageSize) { $0.stem == .cifar ? 32 : 224 },
    .depths(\.depths, default: [3, 4, 6, 3]),
    .init("block", \.block, "kind of block", default: .bottleneck, isAlwaysShown: true),
    .classes,
    .init("preact", \.preActivation, "normalisation before convolutions", default: false),
    .init(
      "width", \.width, "channels inside the first stage's blocks", default: 64, in: 1...65536),
    .widths(\.widths, first: \.width, asMany: \.depths),
    .init(
      "stem-width", \.stemWidth, "channels after the stem", in: 1...65536, derived: { $0.width }),
    .channels,
    .init(
      "stem-widths", \.stemWidths, "channels of a deep stem's first two convolutions",
      in: 0...65536,
      count: 2...2, derived: { [$0.stemWidth / 2, $0.stemWidth / 2] }),
    .init(
      "outs", \.outs, "channels after each stage", in: 1...65536, asMany: \.depths,
      derived: { c in
        c.widths.map { $0.multipliedReportingOverflow(by: c.block.expansion).partialValue }
      }),
    .init(
      "groups", \.groups, "groups of a bottleneck's 3x3 convolution", default: 1, in: 1...65536),
    .init(
      "squeeze", \.squeeze, "channels inside the gates of each stage", default: [], in: 1...65536),
    .init("gate", \.gate, "what gates are", default: .squeeze),
    .init("squeeze-bias", \.squeezeBias, "biases in squeezing gates", default: true),
    .init(
      "non-local", \.nonLocal, "residual blocks behind which a non-local block stands, from 0",
      default: [], in: 0...8191),
    .init(
      "non-local-widths", \.nonLocalWidths, "channels inside each non-local block",
      in: 1...65536,
      derived: { c in
        c.nonLocal.map { max(1, (c.outs.dropFirst(c.stage(of: $0)).first ?? 2) / 2) }
      }),
    .init("non-local-norm", \.nonLocalNorm, "normalisations in non-local blocks", default: true),
    .init(
      "non-local-pool", \.nonLocalPool, "keys of non-local blocks from maxima of 2 x 2 places",
      default: true),
    .init(
      "non-local-form", \.nonLocalForm, "what makes weights of their scores", default: .softmax,
      origin: .declaration),
    .init("avg-down", \.averageDown, "a mean before a shortcut's convolution", default: false),
    .init(
      "pool", \.pool, "what halves the map after the stem", origin: .declaration,
      derived: { $0.stem == .cifar ? .none : .maximum }),
    .init(
      "stem-stride", \.stemStride, "stride of the stem", in: 1...4, origin: .declaration,
      derived: { $0.stem == .cifar ? 1 : 2 }),
    .init(
      "first-stride", \.firstStride, "stride of the first stage", default: 1, in: 1...4,
      origin: .declaration),
    .init(
      "dilation", \.dilation, "distance of taps in each stage; 1-1-2-4 keeps the last maps large",
      in: 1...64, asMany: \.depths, origin: .declaration, derived: { $0.depths.map { _ in 1 } }),
    .init(
      "downsample", \.downsample, "the convolution of a bottleneck that has the stride",
      default: .second, origin: .declaration),
    .init(
      "antialias", \.antialias, "what is done where a map is halved", default: .none,
      origin: .declaration),
    .init(
      "shortcut", \.shortcut, "what a branch is added to where the input does not fit",
      default: .projection, origin: .declaration),
    .init("act", \.act, "non-linearity", default: .relu, origin: .declaration),
    .init(
      "inner-act", \.innerAct, "non-linearity inside blocks", origin: .declaration,
      derived: { $0.act }),
  ]

  /// The stride of a stage: none where its taps lie farther apart than those of the stage before.
  func stride(of stage: Int) -> Int {
    if stage == 0 { return firstStride }
    return dilation[stage] == dilation[stage - 1] ? 2 : 1
  }

  /// Convolutions and an average over all places: any extents.
  public static var takesRectangles: Bool { true }

  /// The stage of a residual block that is counted from 0 over all stages; their number for none.
  func stage(of block: Int) -> Int {
    var before = 0
    for (stage, depth) in depths.enumerated() {
      before = before.addingReportingOverflow(depth).partialValue
      if block < before { return stage }
    }
    return depths.count
  }

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.imageNet(imageSize.side, crop: 0.875, .bilinear))
  }

  /// The places after the stem by their channels; after the first blocks where these are wider.
  public var largestMap: (places: Int, channels: Int) {
    let (first, side) = ((imageSize.side + stemStride - 1) / stemStride, blockSide)
    let channels = max(outs[0], widths[0])
    return side * side * channels > first * first * stemWidth
      ? (side * side, channels) : (first * first, stemWidth)
  }

  /// The side of the map of the first blocks.
  private var blockSide: Int {
    let first = (imageSize.side + stemStride - 1) / stemStride
    return pool == .none ? first : (first + 1) / 2
  }

  /// Checks that the widths start with the width, and that the parts fit each other.
  public func checkRelations() throws(ModelError) {
    if !squeeze.isEmpty, squeeze.count != depths.count {
      throw refusal("squeeze", squeeze.argument, "none, or \(depths.count) numbers, one a stage")
    }
    if gate != .squeeze, squeeze.isEmpty || !squeezeBias {
      throw refusal("gate", gate.rawValue, "se, or squeeze=… with biases")
    }
    try checkNonLocal()
    try checkForm()
    guard width == widths[0] else {
      throw refusal("width", "\(width)", "\(widths[0]), the first of the widths given")
    }
  }

  /// Non-local blocks: one behind a residual block, of maps whose places by places are no more than a map may hold.
  private func checkNonLocal() throws(ModelError) {
    guard zip(nonLocal, nonLocal.dropFirst()).allSatisfy({ $0 < $1 }),
      nonLocal.last.map({ stage(of: $0) < depths.count }) ?? true
    else {
      throw refusal(
        "non-local", nonLocal.argument, "rising numbers below \(depths.reduce(0, +)), of blocks")
    }
    guard nonLocalWidths.count == nonLocal.count else {
      throw refusal("non-local-widths", nonLocalWidths.argument, "\(nonLocal.count) numbers")
    }
    if preActivation, !nonLocal.isEmpty {
      throw refusal("preact", "true", "false with non-local blocks")
    }
    let stages = nonLocal.map { stage(of: $0) }
    guard let first = gate == .nonLocal && !squeeze.isEmpty ? 0 : stages.first else { return }
    var side = blockSide
    for stage in 0...first {
      let stride = self.stride(of: stage)
      side = (side + stride - 1) / stride
    }
    let places = side.multipliedReportingOverflow(by: side).partialValue
    guard side < 1 << 15,
      places.multipliedReportingOverflow(by: places).partialValue <= Self.largestValue
    else {
      throw refusal(
        "image", "\(places) places of a non-local block",
        "at most \(Self.largestValue) scores in a map",
        "Give a smaller image size")
    }
  }

  /// What cannot be together.
  private func checkForm() throws(ModelError) {
    if stem == .deep, stemWidths.contains(where: { $0 < 1 }) {
      throw refusal("stem-widths", stemWidths.argument, "two numbers from 1")
    }
    if block == .basic, groups != 1 { throw refusal("groups", "\(groups)", "1 with basic blocks") }
    if block == .basic, downsample == .first {
      throw refusal("downsample", "first", "second: basic blocks have no 1x1 convolution")
    }
    if let odd = widths.first(where: { !$0.isMultiple(of: groups) }) {
      throw refusal("groups", "\(groups)", "a divisor of each of the widths, such as \(odd)")
    }
    for (stage, (before, after)) in zip(dilation, dilation.dropFirst()).enumerated()
    where after != before && after != 2 * before {
      throw refusal(
        "dilation", dilation.argument,
        "\(before) or \(2 * before) in stage \(stage + 2): that of the stage before, or twice that")
    }
    if dilation[0] != 1 { throw refusal("dilation", dilation.argument, "1 in the first stage") }
    if dilation.contains(where: { $0 > 1 }), averageDown || downsample == .first {
      throw refusal(
        "dilation", dilation.argument, "1 with averages in shortcuts or the stride on the 1x1")
    }
    if shortcut != .projection {
      let before = [stemWidth] + outs.dropLast()
      guard zip(before, outs).allSatisfy({ $0 <= $1 }) else {
        throw refusal(
          "outs", outs.argument, "no fewer than before: shortcuts are filled with zeros")
      }
    }
    let isPlain =
      stem != .deep && squeeze.isEmpty && antialias == .none && !averageDown
      && shortcut == .projection && pool != .convolution
    if preActivation, !isPlain {
      throw refusal("preact", "true", "false with a deep stem, gates, smoothing or other shortcuts")
    }
    if antialias != .none, downsample == .first || pool == .convolution {
      throw refusal("antialias", antialias.rawValue, "none with downsample=first or pool=conv")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try ResNet(self, weights)
  }
}

extension ConfigurationParameter where Configuration: ModelConfiguration {
  /// `widths` inside the blocks of each stage: doubled from stage to stage.
  static func widths(
    _ path: Path<[Int]>, first width: @escaping Source<Int>, asMany depths: @escaping Source<[Int]>
  ) -> Self {
    .init("widths", path, "channels inside the blocks of each stage", in: 1...65536, asMany: depths)
    { c in depths(c).indices.map { width(c).doubled($0) } }
  }
}

extension Int {
  /// The number doubled so many times; 0 for more than a configuration can have stages.
  func doubled(_ times: Int) -> Int {
    times < 16 ? multipliedReportingOverflow(by: 1 << times).partialValue : 0
  }
}

extension ResNetConfiguration.Stem {
  /// The stem whose convolution has the weights `name`.
  ///
  /// - Throws: ``ModelError`` for a kernel of another size.
  init(_ weights: WeightsView, _ name: String) throws(ModelError) {
    let shape = try weights.require(name, rank: 4)
    switch shape[2] {
    case 7: self = .imagenet
    case 3: self = .cifar
    default:
      throw ModelError(
        .unexpected, place: "tensor \"\(weights.foreignName(name))\"",
        found: "a stem of \(shape[2])x\(shape[3])", expected: "7x7 or 3x3")
    }
  }
}
