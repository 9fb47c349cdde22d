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

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
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
    .image(),
    .patch(\.patch, default: 4),
    .init(
      "window", \.window, "side of a window in tokens", default: 7, in: 1...64,
      isAlwaysShown: true),
    .init(
      "dim", \.dim, "width of a token in the first stage", default: 96, in: 1...8192,
      isAlwaysShown: true),
    .depths(\.depths, default: [2, 2, 6, 2]),
    .init(
      "heads", \.heads, "attention heads of each stage", in: 1...1024, asMany: \.depths,
      isAlwaysShown: true,
      derived: { c in
        c.depths.indices.map { max(1, c.width(ofStage: $0) / 32) }
      }),
    .classes,
    .init(
      "padding", \.padding, "where zeros go when windows do not fill the map",
      default: .afterShift, origin: .declaration),
    .init(
      "windows", \.windows, "side of the windows of each stage", in: 1...64, asMany: \.depths,
      derived: { c in
        c.sides.map { c.padding == .afterShift ? min(c.window, max(1, $0)) : c.window }
      }),
    .init(
      "mlp-ratio", \.mlpRatio, "width inside the perceptron for each channel", default: 4,
      in: 1...64),
    .qkvBias(\.qkvBias),
    .channels,
    .epsilon(\.epsilon) { _ in 1e-5 },
  ]

  /// Channels of a token in a stage.
  func width(ofStage stage: Int) -> Int {
    dim.doubled(stage)
  }

  /// The sides of the maps of the stages, in tokens.
  var sides: [Int] {
    var side = imageSize.side / max(1, patch)
    return depths.indices.map { stage in
      if stage > 0 { side = side / 2 + side % 2 }
      return side
    }
  }

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.imageNet(imageSize.side, crop: imageSize.side >= 384 ? 1 : 0.9))
  }

  /// Tokens of the first stage by their width.
  public var largestMap: (places: Int, channels: Int) { (sides[0] * sides[0], dim) }

  /// Checks that heads divide the widths, and that windows fit the maps.
  public func checkRelations() throws(ModelError) {
    for (stage, heads) in heads.enumerated() where !width(ofStage: stage).isMultiple(of: heads) {
      throw refusal(
        "heads", "\(heads) heads in stage \(stage + 1)",
        "a divisor of its width \(width(ofStage: stage))")
    }
    guard padding == .afterShift else { return }
    for (stage, (window, side)) in zip(windows, sides).enumerated() where window > side {
      throw refusal(
        "image",
        "windows of \(window)x\(window) tokens in stage \(stage + 1), whose map has "
          + "\(side)x\(side) at \(imageSize.argument) pixels",
        "windows that fit", "Give a larger image size, or smaller windows")
    }
  }

  /// What the network is built of.
  var plan: SwinPlan {
    SwinPlan(
      imageSize: imageSize.side, channels: channels, classes: classes,
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
