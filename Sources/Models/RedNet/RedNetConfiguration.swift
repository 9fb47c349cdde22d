import Checkpoints
import StrictJSON
import Tensors

/// Residual networks whose 3 x 3 convolutions are involutions (Li et al. 2021; d-li14/involution).
public struct RedNetConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// Blocks of each stage.
  public var depths = [3, 4, 6, 3]
  /// Channels of the involutions of the first stage; they double from stage to stage.
  public var width = 64
  /// Channels behind the stem.
  public var stemWidth = 64
  /// The side of a kernel.
  public var window = 7
  /// Channels that share a kernel.
  public var groupChannels = 16
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Colour channels.
  public var channels = 3

  /// RedNet-50 at 224.
  public init() {}

  /// `rednet`.
  public static let family = "rednet"
  /// What the family is.
  public static let summary = "residual networks of involutions: RedNet"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .depths(\.depths, default: [3, 4, 6, 3]),
    .init(
      "width", \.width, "channels of the involutions of the first stage", default: 64,
      in: 1...8192, isAlwaysShown: true),
    .init(
      "stem-width", \.stemWidth, "channels behind the stem", default: 64, in: 2...8192),
    .init("window", \.window, "side of a kernel, odd", default: 7, in: 1...31),
    .init(
      "group-channels", \.groupChannels, "channels that share a kernel", default: 16,
      in: 1...8192),
    .classes,
    .channels,
  ]

  /// The published sizes.
  public static let variants: [ModelVariant<Self>] = [
    (26, [1, 2, 4, 1]), (38, [2, 3, 5, 2]), (50, [3, 4, 6, 3]), (101, [3, 4, 23, 3]),
    (152, [3, 8, 36, 3]),
  ].map { (size: Int, depths: [Int]) in
    var c = Self()
    c.depths = depths
    return ModelVariant("rednet\(size)", c, .imageNet(224, crop: 0.875))
  }

  /// mmcls (d-li14/involution).
  public static let keyMappings = [
    KeyMapping(
      "mmcls",
      signature: ["backbone.stem.1.conv1.conv.weight", "backbone.layer1.0.conv2.conv2.conv.weight"])
  ]

  /// Reads a configuration off names and shapes; the size of the images cannot be read.
  public static func detect(
    _ weights: WeightsView, base: RedNetConfiguration?
  ) throws(ModelError) -> RedNetConfiguration {
    var c = base ?? RedNetConfiguration()
    let first = try weights.require("backbone.stem.0.conv.weight", rank: 4)
    (c.channels, c.stemWidth) = (
      first[1], try weights.require("backbone.stem.4.conv.weight", rank: 4)[0]
    )
    c.width = try weights.require("backbone.layer1.0.conv1.weight", rank: 4)[0]
    c.depths = weights.depths { "backbone.layer\($0 + 1).\($1).conv1.weight" }
    // The stem's kernels are 3 x 3, which tells the groups; those of the blocks their side.
    let stem = try weights.require("backbone.stem.1.conv2.conv.weight", rank: 4)[0]
    let name = "backbone.layer1.0.conv2.conv2.conv.weight"
    let values = try weights.require(name, rank: 4)[0]
    let share = stem >= 9 ? first[0] / (stem / 9) : 0
    guard share > 0, stem == first[0] / share * 9, c.width >= share,
      let side = squareRoot(values / (c.width / share)), side % 2 == 1
    else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName(name))\"", found: "\(values) values",
        expected:
          "k² for each group of channels, k odd, in groups as those of the stem's \(stem) values")
    }
    (c.groupChannels, c.window) = (share, side)
    c.classes = weights.classes("head.fc.weight")
    return c
  }

  /// The map of the stem by its width.
  public var largestMap: (places: Int, channels: Int) {
    let side = (imageSize.side + 1) / 2
    let places = side.multipliedReportingOverflow(by: side).partialValue
    return (places, max(stemWidth, 9 * (stemWidth / 2)))
  }

  /// Checks that groups divide the widths, and that strides divide the maps.
  public func checkRelations() throws(ModelError) {
    guard window % 2 == 1 else { throw refusal("window", "\(window)", "an odd side") }
    guard stemWidth % 2 == 0 else { throw refusal("stem-width", "\(stemWidth)", "an even number") }
    for channels in [stemWidth / 2, width] where !channels.isMultiple(of: groupChannels) {
      throw refusal("group-channels", "\(groupChannels)", "a divisor of \(channels) channels")
    }
    // A kernel is made for each place of the halved map: the mean and the involution have to agree on how many.
    try requireHalvings(of: (imageSize.side + 3) / 4, depths.count - 1)
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try RedNet(self, weights)
  }
}
