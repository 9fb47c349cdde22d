import Tensors

/// AlterNet (Park and Kim 2022; xxxnell/how-do-vits-work): a pre-activation residual network whose stages
/// end with alternating convolution blocks and blocks of self-attention in windows.
///
/// A stage of `n` blocks with `m` of attention is `n - 2 m` convolution blocks, then `m` pairs of a
/// convolution block and an attention block.
public struct AlterNetConfiguration: ModelConfiguration {
  /// What a convolution block is made of.
  public typealias Block = ResNetConfiguration.Block
  /// What stands before the blocks.
  public typealias Stem = ResNetConfiguration.Stem

  /// The side of the input images in pixels.
  public var imageSize = 224
  /// Blocks of each stage, those of attention among them.
  public var depths = [3, 4, 6, 4]
  /// Attention blocks of each stage.
  public var attentions = [0, 1, 3, 2]
  /// Attention heads of each stage; of no meaning where a stage has no attention.
  public var heads = [3, 6, 12, 24]
  /// Width of an attention head.
  public var headWidth = 64
  /// The side of a window of attention, in places of the map.
  public var window = 7
  /// What a convolution block is made of.
  public var block = Block.bottleneck
  /// What stands before the blocks.
  public var stem = Stem.imagenet
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

  /// AlterNet-50 at 224.
  public init() {}

  /// `alternet`.
  public static let family = "alternet"
  /// What the family is.
  public static let summary = "AlterNet: residual networks whose stages end with windowed attention"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init("stem", \.stem, "what stands before the blocks", default: .imagenet, isAlwaysShown: true),
    .init(
      "image", \.imageSize, "side of the input images in pixels", origin: .declaration,
      isAlwaysShown: true, derived: { $0.stem == .cifar ? 32 : 224 }),
    .init(
      "depths", \.depths, "blocks of each stage", default: [3, 4, 6, 4], isAlwaysShown: true),
    .init(
      "msa", \.attentions, "attention blocks of each stage", isAlwaysShown: true,
      derived: { $0.usualAttentions }),
    .init("block", \.block, "kind of convolution block", default: .bottleneck, isAlwaysShown: true),
    .init(
      "window", \.window, "side of a window of attention", isAlwaysShown: true,
      derived: { $0.stem == .cifar ? 4 : 7 }),
    .init(
      "classes", \.classes, "number of classes, 0 without a head", default: 1000,
      origin: .adaptable, isAlwaysShown: true),
    .init("heads", \.heads, "attention heads of each stage", derived: { $0.usualHeads }),
    .init(
      "head-dim", \.headWidth, "width of an attention head", default: 64, origin: .declaration),
    .init("width", \.width, "channels inside the first stage's blocks", default: 64),
    .init(
      "widths", \.widths, "channels inside the blocks of each stage",
      derived: { c in c.depths.indices.map { doubled(c.width, times: $0) } }),
    .init("stem-width", \.stemWidth, "channels after the stem", derived: { $0.width }),
    .init("channels", \.channels, "colour channels", default: 3),
  ]

  /// The published placement as far as the depths have room for it.
  var usualAttentions: [Int] {
    zip(depths, [0, 1, 3, 2] + [Int](repeating: 0, count: depths.count)).map { min($0 / 2, $1) }
  }

  /// 3 heads in the first stage, twice as many in each further one.
  var usualHeads: [Int] { depths.indices.map { Self.doubled(3, times: $0) } }

  private static func doubled(_ value: Int, times: Int) -> Int {
    times < 16 ? value.multipliedReportingOverflow(by: 1 << times).partialValue : 0
  }

  /// Whether each block of a stage is one of attention.
  func pattern(stage: Int) -> [Bool] {
    let convolutions = depths[stage] - 2 * attentions[stage]
    return (0..<depths[stage]).map { $0 >= convolutions && ($0 - convolutions) % 2 == 1 }
  }

  /// The side of each stage's map.
  var mapSides: [Int] {
    func halved(_ side: Int) -> Int { side / 2 + side % 2 }
    var side = stem == .imagenet ? halved(halved(imageSize)) : imageSize
    return depths.indices.map { stage in
      if stage > 0 { side = halved(side) }
      return side
    }
  }

  /// The convolution blocks as a residual network's.
  var residual: ResNetConfiguration {
    var c = ResNetConfiguration()
    (c.block, c.preActivation, c.widths) = (block, true, widths)
    c.outs = widths.map { $0 * block.expansion }
    c.dilation = widths.map { _ in 1 }
    return c
  }

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    imageSize < 96 || channels != 3
      ? .asIs(imageSize, channels: channels)
      : .imageNet(imageSize, crop: 0.875, .bilinear)
  }

  /// Checks that the parameters make a network: windows have to fit the maps.
  public func validate() throws(ModelError) {
    try require("image", imageSize, in: 1...16384)
    try require("classes", classes, in: 0...1_000_000)
    try require("channels", channels, in: 1...64)
    try require("stem-width", stemWidth, in: 1...65536)
    try require("window", window, in: 1...128)
    try require("head-dim", headWidth, in: 1...4096)
    try requireStages("depths", depths, count: 1...8, in: 1...1024)
    let count = depths.count...depths.count
    try requireStages("widths", widths, count: count, in: 1...65536)
    try requireStages("heads", heads, count: count, in: 1...1024)
    try requireStages("msa", attentions, count: count, in: 0...512)
    guard width == widths[0] else {
      throw ModelError(
        .badArgument, place: "alternet(width=…)", found: "\(width)",
        expected: "\(widths[0]), the first of the widths given")
    }
    for (stage, side) in mapSides.enumerated() where attentions[stage] > 0 {
      guard 2 * attentions[stage] <= depths[stage] else {
        throw ModelError(
          .badArgument, place: "alternet(msa=…)",
          found: "\(attentions[stage]) attention blocks in stage \(stage + 1)",
          expected: "at most \(depths[stage] / 2): each follows a convolution block, and the stage "
            + "has \(depths[stage]) blocks")
      }
      guard side.isMultiple(of: window) else {
        let fitting = (1...min(side, 16)).filter { side.isMultiple(of: $0) }
        throw ModelError(
          .badArgument, place: "alternet(window=…)",
          found: "windows of \(window)x\(window) do not fit stage \(stage + 1), whose map is "
            + "\(side)x\(side) at image=\(imageSize)",
          expected: "a divisor of \(side): \(fitting.map(String.init).joined(separator: ", "))",
          advice: "Choose another window or another size of the images")
      }
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try AlterNet(self, weights)
  }
}
