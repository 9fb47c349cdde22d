import Checkpoints
import StrictJSON
import Tensors

/// Residual networks whose 3 x 3 convolutions are local attention (Ramachandran et al. 2019, "Stand-Alone Self-Attention in
/// Vision Models"), in the form of the paper or in that of leaderj1001/Stand-Alone-Self-Attention.
public struct SASAConfiguration: ModelConfiguration {
  /// What attention is.
  public enum Form: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Scores are summed over the channels of a head; a map is halved right behind attention.
    case paper
    /// Each channel has scores of its own, whatever the heads; a map is halved at the end of the branch.
    case published
  }

  /// What stands before the blocks.
  public enum Stem: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// A convolution of 7 x 7 with stride 2, then a maximum of 3 x 3 with stride 2.
    case imagenet
    /// A convolution of 3 x 3.
    case cifar
    /// Attention whose taps read mixtures of several sets of values.
    case attention
    /// The same, then a maximum of 4 x 4 with stride 4.
    case pooledAttention = "attention-pooled"

    /// Whether it is attention.
    var isAttention: Bool { self == .attention || self == .pooledAttention }
    /// How many pixels a place of the first blocks is apart from the next.
    var stride: Int { self == .cifar || self == .attention ? 1 : 4 }
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// What stands before the blocks.
  public var stem = Stem.imagenet
  /// Blocks of each stage.
  public var depths = [3, 4, 6, 3]
  /// Channels of attention in the first stage; they double from stage to stage.
  public var width = 64
  /// Channels behind the stem.
  public var stemWidth = 64
  /// The side of the window of a stem of attention.
  public var stemWindow = 4
  /// Sets of values of a stem of attention.
  public var stemMixtures = 4
  /// The side of the window that a place attends to.
  public var window = 7
  /// Attention heads of every block.
  public var heads = 8
  /// What attention is.
  public var form = Form.paper
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Colour channels.
  public var channels = 3

  /// SASA ResNet-50 at 224.
  public init() {}

  /// `sasa`.
  public static let family = "sasa"
  /// What the family is.
  public static let summary = "residual networks of local attention: stand-alone self-attention"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init("stem", \.stem, "what stands before the blocks", default: .imagenet, isAlwaysShown: true),
    .image(\.imageSize) { $0.stem.stride == 1 ? 32 : 224 },
    .depths(\.depths, default: [3, 4, 6, 3]),
    .init(
      "width", \.width, "channels of attention in the first stage", default: 64, in: 2...8192,
      isAlwaysShown: true),
    .init("stem-width", \.stemWidth, "channels behind the stem", default: 64, in: 1...8192),
    .init(
      "stem-window", \.stemWindow, "side of the window of a stem of attention", default: 4,
      in: 1...31),
    .init(
      "stem-mixtures", \.stemMixtures, "sets of values of a stem of attention", default: 4,
      in: 1...64),
    .init("window", \.window, "side of the window attended to, odd", default: 7, in: 1...31),
    .init(
      "heads", \.heads, "attention heads of every block", default: 8, in: 1...1024,
      origin: .declaration, isAlwaysShown: true),
    .init(
      "form", \.form, "what attention is", default: .paper, origin: .declaration,
      isAlwaysShown: true),
    .classes,
    .channels,
  ]

  /// The paper's sizes, and those of the published code for CIFAR-10.
  public static let variants: [ModelVariant<Self>] = [
    (26, [1, 2, 4, 1]), (38, [2, 3, 5, 2]), (50, [3, 4, 6, 3]),
  ].flatMap { (size: Int, depths: [Int]) in
    var (paper, published) = (Self(), Self())
    paper.depths = depths
    (published.depths, published.form, published.stem) = (depths, .published, .cifar)
    (published.imageSize, published.classes) = (32, 10)
    return [
      ModelVariant("sasa_resnet\(size)", paper, .imageNet(224, crop: 0.875, .bilinear)),
      ModelVariant(
        "sasa_resnet\(size)_cifar10", published,
        Preprocessing(
          size: 32, resize: .none, interpolation: .bicubic, mean: [0.4914, 0.4822, 0.4465],
          std: [0.2470, 0.2435, 0.2616])),
    ]
  }

  private static let published = "Stand-Alone-Self-Attention"

  /// Our own names, and those of leaderj1001/Stand-Alone-Self-Attention.
  public static let keyMappings = [
    KeyMapping("vitprobe", signature: ["bn1.weight", "layer1.0.conv2.rel_h"]),
    KeyMapping(
      published, signature: ["init.1.weight", "layer1.0.conv2.0.rel_h"],
      rules: [
        .rename("conv1", "init.0"), .rename("bn1", "init.1"), .rename("fc", "dense"),
        .rename("*.*.downsample", "*.*.shortcut"),
      ]
        + (1...3).flatMap { place -> [KeyMapping.Rule] in
          [
            .rename("*.*.conv\(place)", "*.*.conv\(place).0"),
            .rename("*.*.bn\(place)", "*.*.conv\(place).1"),
          ]
        }),
  ]

  /// Reads a configuration off names and shapes. Heads and the form of attention cannot be read: they are the variant's, or
  /// eight, and the published form where the names are those of the published code.
  public static func detect(
    _ weights: WeightsView, base: SASAConfiguration?
  ) throws(ModelError) -> SASAConfiguration {
    var c = base ?? SASAConfiguration()
    if weights.keyMapping.name == published { c.form = .published }
    try c.readStem(weights)
    c.width = try weights.require("layer1.0.conv1.weight", rank: 4)[0]
    if base?.width != c.width, c.form == .paper, !c.width.isMultiple(of: 16) {
      throw weights.undeterminedHeads(Self.family, width: c.width)
    }
    c.depths = weights.depths { "layer\($0 + 1).\($1).conv1.weight" }
    c.window = try weights.require("layer1.0.conv2.rel_h", rank: 5)[3]
    c.classes = weights.classes("fc.weight")
    if base?.stem != c.stem { c.imageSize = c.stem.stride == 1 ? 32 : 224 }
    return c
  }

  /// Reads the stem. Whether a maximum follows attention cannot be read: it is as it was, or none.
  private mutating func readStem(_ weights: WeightsView) throws(ModelError) {
    let isAttention = weights.has("conv1.emb_mix")
    let first = try weights.require(
      isAttention ? "conv1.key_conv.weight" : "conv1.weight", rank: 4)
    (stemWidth, channels) = (first[0], first[1])
    guard isAttention else {
      stem = try ResNetConfiguration.Stem(weights, "conv1.weight") == .cifar ? .cifar : .imagenet
      return
    }
    form = .published
    if !stem.isAttention { stem = .attention }
    stemMixtures = try weights.require("conv1.emb_mix", rank: 2)[0]
    stemWindow = try weights.require("conv1.emb_a", rank: 2)[1]
  }

  /// The weights of the windows of the first stage, or of a stem of attention.
  public var largestMap: (places: Int, channels: Int) {
    func square(_ side: Int) -> Int { side.multipliedReportingOverflow(by: side).partialValue }
    let groups = form == .published ? width : heads
    let blocks = (square(blockSide), max(4 * width, groups * window * window))
    guard stem.isAttention else { return blocks }
    let own = (square(imageSize.side), stemWidth * stemWindow * stemWindow * stemMixtures)
    return own.0 / max(1, blocks.0) * own.1 > blocks.1 ? own : blocks
  }

  /// The side of the map of the first blocks.
  private var blockSide: Int { (imageSize.side + stem.stride - 1) / stem.stride }

  /// Checks that heads divide the widths, that vectors have halves, and that maps can be halved.
  public func checkRelations() throws(ModelError) {
    guard form == .published || !stem.isAttention else {
      throw refusal("stem", stem.rawValue, "form=published: the paper's stem has no public code")
    }
    guard stem != .pooledAttention || imageSize.side.isMultiple(of: 4) else {
      throw refusal("image", "\(imageSize.side)", "a multiple of 4, by which the stem divides maps")
    }
    guard window % 2 == 1 else { throw refusal("window", "\(window)", "an odd side") }
    guard width.isMultiple(of: form == .paper ? 2 * heads : 2) else {
      throw refusal(
        form == .paper ? "heads" : "width", "\(form == .paper ? heads : width)",
        form == .paper
          ? "a divisor of half the width \(width): half of a head is for rows" : "an even number")
    }
    try requireHalvings(of: blockSide, depths.count - 1)
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try SASA(self, weights)
  }
}
