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

  /// ResNet-50 at 224.
  public init() {}

  /// `resnet`.
  public static let family = "resnet"
  /// What the family is.
  public static let summary = "residual networks: ResNet, CIFAR and pre-activation forms"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init("stem", \.stem, "what stands before the blocks", default: .imagenet, isAlwaysShown: true),
    .image { $0.stem == .cifar ? 32 : 224 },
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
  ]

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.imageNet(imageSize.side, crop: 0.875, .bilinear))
  }

  /// The places after the stem by their channels; after the first blocks where these are wider.
  public var largestMap: (places: Int, channels: Int) {
    let side = stem == .imagenet ? (imageSize.side + 1) / 2 : imageSize.side
    return (side * side, max(stemWidth, widths[0] * block.expansion / (stem == .imagenet ? 4 : 1)))
  }

  /// Checks that the widths start with the width.
  public func checkRelations() throws(ModelError) {
    guard width == widths[0] else {
      throw refusal("width", "\(width)", "\(widths[0]), the first of the widths given")
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
