import Tensors

/// Residual networks: He et al. 2016 with the stride on the 3x3 convolution (torchvision, timm, Hugging
/// Face), the CIFAR form, and the pre-activation form (He et al. 2016b; xxxnell/how-do-vits-work).
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
  }

  /// The side of the input images in pixels.
  public var imageSize = 224
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

  /// ResNet-50 at 224.
  public init() {}

  /// `resnet`.
  public static let family = "resnet"
  /// What the family is.
  public static let summary = "residual networks: ResNet, CIFAR and pre-activation forms"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init("stem", \.stem, "what stands before the blocks", default: .imagenet, isAlwaysShown: true),
    .init(
      "image", \.imageSize, "side of the input images in pixels", origin: .declaration,
      isAlwaysShown: true, derived: { $0.stem == .cifar ? 32 : 224 }),
    .init(
      "depths", \.depths, "blocks of each stage", default: [3, 4, 6, 3], isAlwaysShown: true),
    .init("block", \.block, "kind of block", default: .bottleneck, isAlwaysShown: true),
    .init(
      "classes", \.classes, "number of classes, 0 without a head", default: 1000,
      origin: .adaptable, isAlwaysShown: true),
    .init("preact", \.preActivation, "normalisation before convolutions", default: false),
    .init("width", \.width, "channels inside the first stage's blocks", default: 64),
    .init(
      "widths", \.widths, "channels inside the blocks of each stage",
      derived: { c in
        c.depths.indices.map { stage in
          stage < 16 ? c.width.multipliedReportingOverflow(by: 1 << stage).partialValue : 0
        }
      }),
    .init("stem-width", \.stemWidth, "channels after the stem", derived: { $0.width }),
    .init("channels", \.channels, "colour channels", default: 3),
  ]

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    imageSize < 96 || channels != 3
      ? .asIs(imageSize, channels: channels)
      : .imageNet(imageSize, crop: 0.875, .bilinear)
  }

  /// Checks that the parameters make a network.
  public func validate() throws(ModelError) {
    try require("image", imageSize, in: 1...16384)
    try require("classes", classes, in: 0...1_000_000)
    try require("channels", channels, in: 1...64)
    try require("stem-width", stemWidth, in: 1...65536)
    try requireStages("depths", depths, count: 1...8, in: 1...1024)
    let count = depths.count...depths.count
    try requireStages("widths", widths, count: count, in: 1...65536)
    guard width == widths[0] else {
      throw ModelError(
        .badArgument, place: "resnet(width=…)", found: "\(width)",
        expected: "\(widths[0]), the first of the widths given")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try ResNet(self, weights)
  }
}
