import Checkpoints
import StrictJSON
import Tensors

/// Wide residual networks whose convolutions have attention beside them (Bello et al. 2019, "Attention Augmented
/// Convolutional Networks"), in the form of the paper or in that of leaderj1001/Attention-Augmented-Conv2d.
public struct AugmentedResNetConfiguration: ModelConfiguration {
  /// Where attention is, and what of.
  public enum Form: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Beside the first convolution of every block; queries, keys and values of single places.
    case paper
    /// Beside every convolution, stem and shortcuts too; queries, keys and values of 3 x 3 places, and what heads gather with
    /// channels and places exchanged.
    case published
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 32
  /// Where attention is.
  public var form = Form.published
  /// Blocks of each stage.
  public var depths = [4, 4, 4]
  /// Channels of the stem, and of each stage.
  public var widths = [20, 200, 400, 600]
  /// Attention heads of every convolution.
  public var heads = 4
  /// Channels of queries and of keys in the stem and in each stage.
  public var keys = [40, 400, 800, 1200]
  /// Channels that attention makes in the stem and in each stage.
  public var values = [4, 40, 80, 120]
  /// Number of classes; 0 without a head.
  public var classes = 100
  /// Colour channels.
  public var channels = 3

  /// The published 28-10 for CIFAR-100.
  public init() {}

  /// `aa_wide_resnet`.
  public static let family = "aa_wide_resnet"
  /// What the family is.
  public static let summary = "wide residual networks with attention beside convolutions"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init("form", \.form, "where attention is", default: .published, isAlwaysShown: true),
    .image(\.imageSize) { _ in 32 },
    .depths(\.depths, default: [4, 4, 4]),
    .init(
      "widths", \.widths, "channels of the stem and of each stage", in: 1...65536, count: 2...9,
      isAlwaysShown: true,
      derived: { c in
        let isPublished = c.form == .published
        return [isPublished ? 20 : 16]
          + c.depths.indices.map {
            (isPublished ? 200 : 160) * (isPublished ? $0 + 1 : 1.doubled($0))
          }
      }),
    .init(
      "heads", \.heads, "attention heads", in: 1...1024, origin: .declaration, isAlwaysShown: true,
      derived: { $0.form == .published ? 4 : 8 }),
    .init(
      "keys", \.keys, "channels of keys in the stem and in each stage", in: 1...1_048_576,
      asMany: \.widths,
      derived: { c in
        c.widths.map {
          c.form == .published
            ? $0.multipliedReportingOverflow(by: 2).partialValue : max(160, $0 / 5)
        }
      }),
    .init(
      "values", \.values, "channels that attention makes in the stem and in each stage",
      in: 1...65536, asMany: \.widths,
      derived: { c in c.widths.map { max(1, $0 / (c.form == .published ? 5 : 10)) } }),
    .classes,
    .channels,
  ]

  /// The published 28-10, and the paper's.
  public static let variants: [ModelVariant<Self>] = {
    var paper = Self()
    (paper.form, paper.heads, paper.widths) = (.paper, 8, [16, 160, 320, 640])
    (paper.keys, paper.values) = ([160, 160, 160, 160], [1, 16, 32, 64])
    return [
      ModelVariant("aa_wide_resnet28_10_cifar100", paper, .cifar100),
      ModelVariant("leaderj1001_aa_wide_resnet28_10_cifar100", Self(), .cifar100),
    ]
  }()

  /// leaderj1001/Attention-Augmented-Conv2d.
  public static let keyMappings = [
    KeyMapping(
      "Attention-Augmented-Conv2d",
      signature: ["layer1.0.0.bn1.weight", "layer1.0.0.conv1.qkv_conv.weight"])
  ]

  /// Reads a configuration off names and shapes. Keys and heads are told by the vectors of offsets.
  public static func detect(
    _ weights: WeightsView, base: AugmentedResNetConfiguration?
  ) throws(ModelError) -> AugmentedResNetConfiguration {
    var c = base ?? AugmentedResNetConfiguration()
    let isPublished = weights.has("conv1.qkv_conv.weight")
    c.form = isPublished ? .published : .paper
    c.depths = weights.depths { "layer\($0 + 1).0.\($1).bn1.weight" }
    let stem = try weights.require(
      isPublished ? "conv1.conv_out.weight" : "conv1.weight", rank: 4)
    c.channels = stem[1]
    (c.widths, c.keys, c.values) = ([], [], [])
    if !isPublished {
      c.widths = [stem[0]]
      c.keys = [max(160, stem[0] / 5)]
      c.values = [max(1, stem[0] / 10)]
    }
    let layers =
      (isPublished ? ["conv1"] : [])
      + c.depths.indices.map { "layer\($0 + 1).0.0.conv1" }
    for layer in layers {
      let values = try weights.require("\(layer).attn_out.weight", rank: 4)[0]
      let all = try weights.require("\(layer).qkv_conv.weight", rank: 4)[0]
      let width = try weights.require("\(layer).conv_out.weight", rank: 4)[0]
      c.values.append(values)
      c.keys.append(max(0, all - values) / 2)
      c.widths.append(width.addingReportingOverflow(values).partialValue)
    }
    let vectors = try weights.require("layer1.0.0.conv1.key_rel_h", rank: 2)
    c.heads = max(1, (c.keys.dropFirst().first ?? 0) / vectors[1])
    c.imageSize = Extents((vectors[0] + 1) / 2)
    c.classes = weights.classes("linear.weight")
    return c
  }

  /// The places of the first map by its widest part.
  public var largestMap: (places: Int, channels: Int) {
    let widest = zip(keys, values).map { $0 * 2 + $1 }.max() ?? 0
    let side = imageSize.side
    return (
      side.multipliedReportingOverflow(by: side).partialValue, max(widest, widths.max() ?? 0)
    )
  }

  /// Checks that heads divide keys and values, that attention leaves channels to the convolutions, and that maps can be halved.
  public func checkRelations() throws(ModelError) {
    guard widths.count == depths.count + 1 else {
      throw refusal(
        "widths", widths.argument, "\(depths.count + 1) numbers, of the stem and of each stage")
    }
    for index in widths.indices where form == .published || index > 0 {
      guard keys[index].isMultiple(of: heads), values[index].isMultiple(of: heads) else {
        throw refusal(
          "heads", "\(heads)", "a divisor of \(keys[index]) keys and \(values[index]) values")
      }
      guard values[index] < widths[index] else {
        throw refusal("values", "\(values[index])", "fewer than the \(widths[index]) channels")
      }
    }
    try requireHalvings(of: imageSize.side, depths.count - 1)
    let tokens = imageSize.side * imageSize.side
    guard tokens <= 1 << 14, tokens * tokens <= Self.largestValue / heads else {
      throw refusal(
        "image", "\(tokens) tokens of attention", "at most \(Self.largestValue) scores in a map",
        "Give a smaller image size")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try AugmentedResNet(self, weights)
  }
}
