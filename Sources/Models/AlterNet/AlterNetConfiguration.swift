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

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
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
    .image(\.imageSize) { $0.stem == .cifar ? 32 : 224 },
    .depths(\.depths, default: [3, 4, 6, 4]),
    .init(
      "msa", \.attentions, "attention blocks of each stage", in: 0...512, asMany: \.depths,
      isAlwaysShown: true, derived: { $0.usualAttentions }),
    .init("block", \.block, "kind of convolution block", default: .bottleneck, isAlwaysShown: true),
    .init(
      "window", \.window, "side of a window of attention", in: 1...128, isAlwaysShown: true,
      derived: { $0.stem == .cifar ? 4 : 7 }),
    .classes,
    .init(
      "heads", \.heads, "attention heads of each stage", in: 1...1024, asMany: \.depths,
      derived: { $0.usualHeads }),
    .init(
      "head-dim", \.headWidth, "width of an attention head", default: 64, in: 1...4096,
      origin: .declaration),
    .init(
      "width", \.width, "channels inside the first stage's blocks", default: 64, in: 1...65536),
    .widths(\.widths, first: \.width, asMany: \.depths),
    .init(
      "stem-width", \.stemWidth, "channels after the stem", in: 1...65536, derived: { $0.width }),
    .channels,
  ]

  /// The published placement as far as the depths have room for it.
  var usualAttentions: [Int] {
    zip(depths, [0, 1, 3, 2] + [Int](repeating: 0, count: depths.count)).map { min($0 / 2, $1) }
  }

  /// 3 heads in the first stage, twice as many in each further one.
  var usualHeads: [Int] { depths.indices.map { 3.doubled($0) } }

  /// Whether each block of a stage is one of attention.
  func pattern(stage: Int) -> [Bool] {
    let convolutions = depths[stage] - 2 * attentions[stage]
    return (0..<depths[stage]).map { $0 >= convolutions && ($0 - convolutions) % 2 == 1 }
  }

  /// The side of each stage's map.
  var mapSides: [Int] {
    func halved(_ side: Int) -> Int { side / 2 + side % 2 }
    var side = stem == .imagenet ? halved(halved(imageSize.side)) : imageSize.side
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
    preprocessing(.imageNet(imageSize.side, crop: 0.875, .bilinear))
  }

  /// The size of the images alone: no public code writes settings of this family.
  public static let settings: [ConfigurationSetting<Self>]? = [
    .sets("image_size", "img_size", as: \.imageSize)
  ]

  /// The places after the stem by their channels; after the first blocks where these are wider.
  public var largestMap: (places: Int, channels: Int) {
    let side = stem == .imagenet ? (imageSize.side + 1) / 2 : imageSize.side
    return (side * side, max(stemWidth, widths[0] * block.expansion / (stem == .imagenet ? 4 : 1)))
  }

  /// Checks that windows fit the maps, and that stages have room for their attention.
  public func checkRelations() throws(ModelError) {
    guard stem != .deep else { throw refusal("stem", "deep", "imagenet or cifar") }
    guard width == widths[0] else {
      throw refusal("width", "\(width)", "\(widths[0]), the first of the widths given")
    }
    for (stage, side) in mapSides.enumerated() where attentions[stage] > 0 {
      guard 2 * attentions[stage] <= depths[stage] else {
        throw refusal(
          "msa", "\(attentions[stage]) attention blocks in stage \(stage + 1)",
          "at most \(depths[stage] / 2): each follows a convolution block, and the stage "
            + "has \(depths[stage]) blocks")
      }
      guard side.isMultiple(of: window) else {
        let fitting = (1...min(side, 16)).filter { side.isMultiple(of: $0) }
        throw refusal(
          "window",
          "windows of \(window)x\(window) do not fit stage \(stage + 1), whose map is "
            + "\(side)x\(side) at image=\(imageSize.argument)",
          "a divisor of \(side): \(fitting.map(String.init).joined(separator: ", "))",
          "Choose another window or another size of the images")
      }
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try AlterNet(self, weights)
  }
}
