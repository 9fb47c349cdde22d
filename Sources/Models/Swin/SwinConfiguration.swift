import Checkpoints
import Tensors

/// Vision transformers with attention in shifted windows: Swin (Liu et al. 2021) and its S3 forms (Chen
/// et al. 2021).
public struct SwinConfiguration: ModelConfiguration {
  /// Where zeros go on a map that is no multiple of the window, when windows are shifted.
  public enum Padding: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// The map is shifted, then padded at the bottom and the right: timm.
    case afterShift = "after-shift"
    /// The map is padded, then shifted: torchvision, Hugging Face. A window may exceed its map.
    case beforeShift = "before-shift"
  }

  /// The side of the input images in pixels.
  public var imageSize = 224
  /// The side of a patch in pixels.
  public var patch = 4
  /// Width of a token in the first stage; it doubles from stage to stage.
  public var dim = 96
  /// Blocks of each stage.
  public var depths = [2, 2, 6, 2]
  /// Attention heads of each stage.
  public var heads = [3, 6, 12, 24]
  /// The side of the largest window in tokens.
  public var window = 7
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Where zeros go on a map that is no multiple of the window.
  public var padding = Padding.afterShift
  /// The side of the windows of each stage.
  public var windows = [7, 7, 7, 7]
  /// Width inside the perceptron for each channel of a token.
  public var mlpRatio = 4
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Colour channels.
  public var channels = 3
  /// Epsilon of normalisations.
  public var epsilon = 1e-5

  /// Swin-T at 224.
  public init() {}

  /// `swin`.
  public static let family = "swin"
  /// What the family is.
  public static let summary = "transformers with attention in shifted windows: Swin"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .init(
      "image", \.imageSize, "side of the input images in pixels", default: 224,
      origin: .declaration, isAlwaysShown: true),
    .init("patch", \.patch, "side of a patch in pixels", default: 4, isAlwaysShown: true),
    .init("window", \.window, "side of a window in tokens", default: 7, isAlwaysShown: true),
    .init("dim", \.dim, "width of a token in the first stage", default: 96, isAlwaysShown: true),
    .init(
      "depths", \.depths, "blocks of each stage", default: [2, 2, 6, 2], isAlwaysShown: true),
    .init(
      "heads", \.heads, "attention heads of each stage", isAlwaysShown: true,
      derived: { c in
        c.depths.indices.map { max(1, c.width(ofStage: $0) / 32) }
      }),
    .init(
      "classes", \.classes, "number of classes, 0 without a head", default: 1000,
      origin: .adaptable, isAlwaysShown: true),
    .init(
      "padding", \.padding, "where zeros go when windows do not fill the map",
      default: .afterShift, origin: .declaration),
    .init(
      "windows", \.windows, "side of the windows of each stage",
      derived: { c in
        c.sides.map { c.padding == .afterShift ? min(c.window, max(1, $0)) : c.window }
      }),
    .init("mlp-ratio", \.mlpRatio, "width inside the perceptron for each channel", default: 4),
    .init("qkv-bias", \.qkvBias, "a bias on queries, keys, values", default: true),
    .init("channels", \.channels, "colour channels", default: 3),
    .init(
      "eps", \.epsilon, "epsilon of normalisations", default: 1e-5, origin: .declaration),
  ]

  /// Channels of a token in a stage.
  func width(ofStage stage: Int) -> Int {
    stage < 8 ? dim.multipliedReportingOverflow(by: 1 << stage).partialValue : 0
  }

  /// The sides of the maps of the stages, in tokens.
  var sides: [Int] {
    var side = imageSize / max(1, patch)
    return depths.indices.map { stage in
      if stage > 0 { side = side / 2 + side % 2 }
      return side
    }
  }

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    imageSize < 96 || channels != 3
      ? .asIs(imageSize, channels: channels)
      : .imageNet(imageSize, crop: imageSize >= 384 ? 1 : 0.9)
  }

  /// Checks that the parameters make a network.
  public func validate() throws(ModelError) {
    try require("image", imageSize, in: 1...16384)
    try require("patch", patch, in: 1...imageSize)
    try require("dim", dim, in: 1...8192)
    try require("window", window, in: 1...64)
    try require("classes", classes, in: 0...1_000_000)
    try require("mlp-ratio", mlpRatio, in: 1...64)
    try require("channels", channels, in: 1...64)
    try requireStages("depths", depths, count: 1...8, in: 1...1024)
    try requireStages("heads", heads, count: depths.count...depths.count, in: 1...1024)
    try requireStages("windows", windows, count: depths.count...depths.count, in: 1...64)
    try require("eps", epsilon)
    for (stage, heads) in heads.enumerated() where !width(ofStage: stage).isMultiple(of: heads) {
      throw ModelError(
        .badArgument, place: "swin(heads=…)", found: "\(heads) heads in stage \(stage + 1)",
        expected: "a divisor of its width \(width(ofStage: stage))")
    }
    guard padding == .afterShift else { return }
    for (stage, (window, side)) in zip(windows, sides).enumerated() where window > side {
      throw ModelError(
        .badArgument, place: "swin(image=…)",
        found: "windows of \(window)x\(window) tokens in stage \(stage + 1), whose map has "
          + "\(side)x\(side) at \(imageSize) pixels",
        expected: "windows that fit", advice: "Give a larger image size, or smaller windows")
    }
  }

  /// What the network is built of.
  var plan: SwinPlan {
    SwinPlan(
      imageSize: imageSize, channels: channels, classes: classes,
      stages: depths.indices.map { stage in
        let width = width(ofStage: stage)
        return .init(
          width: width, depth: depths[stage], heads: heads[stage],
          headWidth: width / heads[stage], hidden: mlpRatio * width, window: windows[stage],
          pool: stage == 0 ? patch : 2)
      }, qkvBias: qkvBias, epsilon: epsilon,
      form: .original(shiftsPadding: padding == .beforeShift))
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try Swin(plan, weights)
  }
}
