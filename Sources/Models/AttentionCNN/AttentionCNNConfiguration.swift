import Checkpoints
import StrictJSON
import Tensors

/// Attention by offset in the place of convolutions (Cordonnier et al. 2020, "On the Relationship between Self-Attention and
/// Convolutional Layers"; epfml/attention-cnn).
public struct AttentionCNNConfiguration: ModelConfiguration {
  /// What scores are made of the offset of two places by.
  public enum Positions: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// A square distance from a centre, of one spread a head.
    case quadratic
    /// The same with a spread of two axes.
    case generalized
    /// A learned vector for each offset down and across.
    case learned
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 32
  /// The side of the pixels that make one place.
  public var patch = 2
  /// Width of a place.
  public var dim = 400
  /// The number of blocks.
  public var depth = 6
  /// Attention heads of every block, each as wide as a place.
  public var heads = 9
  /// Width inside the perceptron.
  public var mlp = 512
  /// What scores are made of offsets by.
  public var positions = Positions.quadratic
  /// Whether the contents of places add to the scores.
  public var content = false
  /// Places along a side that learned vectors are stored for.
  public var reach = 16
  /// Number of classes; 0 without a head.
  public var classes = 10
  /// Colour channels.
  public var channels = 3
  /// Epsilon of normalisations.
  public var epsilon = 1e-12

  /// The quadratic form for CIFAR-10.
  public init() {}

  /// `attention_cnn`.
  public static let family = "attention_cnn"
  /// What the family is.
  public static let summary = "attention by offset in the place of convolutions: attention-cnn"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize) { _ in 32 },
    .patch(\.patch, default: 2),
    .dim(\.dim, default: 400),
    .depth(\.depth, default: 6),
    .init("heads", \.heads, "attention heads", default: 9, in: 1...1024, isAlwaysShown: true),
    .init(
      "positions", \.positions, "what scores are made of offsets by", default: .quadratic,
      isAlwaysShown: true),
    .init("content", \.content, "scores of contents beside those of offsets", default: false),
    .classes,
    .init("mlp", \.mlp, "width inside the perceptron", default: 512, in: 1...1_048_576),
    .init(
      "reach", \.reach, "places along a side that vectors are stored for", in: 1...4096,
      derived: { $0.side }),
    .channels,
    .epsilon(\.epsilon) { _ in 1e-12 },
  ]

  /// Places along a side.
  var side: Int { imageSize.side / max(1, patch) }
  /// Where tokens lie.
  var grid: TokenGrid { TokenGrid(height: side, width: side, prefix: 0) }

  /// The networks of the paper for CIFAR-10.
  public static let variants: [ModelVariant<Self>] = [
    ("quadratic", Positions.quadratic, false), ("generalized", .generalized, false),
    ("learned", .learned, false), ("learned_content", .learned, true),
  ].map { name, positions, content in
    var c = Self()
    (c.positions, c.content) = (positions, content)
    return ModelVariant(
      "attention_cnn_\(name)", c,
      Preprocessing(
        size: 32, resize: .none, interpolation: .bicubic, mean: [0.4914, 0.4822, 0.4465],
        std: [0.2023, 0.1994, 0.2010]))
  }

  /// epfml/attention-cnn.
  public static let keyMappings = ["attention_centers", "row_embeddings.weight"].map {
    KeyMapping(
      "attention-cnn",
      signature: ["features_upscale.weight", "encoder.layer.0.attention.self.\($0)"],
      ignored: ["*attention.self.R", "*attention.self.relative_indices", "attention_mask"])
  }

  /// Forms of the repository that are others.
  public static func reasonAgainst(names: [String]) -> String? {
    names.contains { $0.hasSuffix("features_upscale.weight") }
      ? "weights of attention-cnn with attention that knows no offsets, or behind a ResNet, which is not supported"
      : nil
  }

  /// Reads a configuration off names and shapes; the size of the images is 16 places, or what learned vectors are stored for.
  public static func detect(
    _ weights: WeightsView, base: AttentionCNNConfiguration?
  ) throws(ModelError) -> AttentionCNNConfiguration {
    var c = base ?? AttentionCNNConfiguration()
    (c.dim, c.channels, c.patch) = try weights.patchProjection("features_upscale.weight")
    func layer(_ index: Int) -> String { "encoder.layer.\(index).attention.self" }
    c.depth = weights.count { "\(layer($0)).value.weight" }
    if weights.has("\(layer(0)).row_embeddings.weight") {
      c.positions = .learned
      c.heads = try weights.require("\(layer(0)).head_keys_row.weight", rank: 2)[0]
      c.reach = (try weights.require("\(layer(0)).row_embeddings.weight", rank: 2)[0] + 1) / 2
    } else {
      c.heads = try weights.require("\(layer(0)).attention_centers", rank: 2)[0]
      let spreads = weights.shape("\(layer(0)).attention_spreads") ?? []
      c.positions = spreads.count == 3 ? .generalized : .quadratic
      c.reach = c.side
    }
    c.content = weights.has("\(layer(0)).query.weight")
    c.mlp = try weights.require("encoder.layer.0.intermediate.dense.weight", rank: 2)[0]
    c.classes = weights.classes("classifier.weight")
    if base == nil {
      c.imageSize = Extents(
        (c.positions == .learned ? min(c.reach, 16384) : 16)
          .multipliedReportingOverflow(by: c.patch).partialValue)
    }
    if c.positions != .learned { c.reach = c.side }
    return c
  }

  /// The places by what all heads gather for them.
  public var largestMap: (places: Int, channels: Int) {
    (
      side.multipliedReportingOverflow(by: side).partialValue,
      max(mlp, heads.multipliedReportingOverflow(by: dim).partialValue)
    )
  }

  /// Checks that pixels fill the image, that vectors are stored for all offsets, and that the maps are not too large.
  public func checkRelations() throws(ModelError) {
    guard imageSize.side.isMultiple(of: patch) else {
      throw refusal("patch", "\(patch)", "a divisor of the image size \(imageSize.side)")
    }
    guard side <= reach else {
      throw refusal(
        "image", "\(side) places along a side at \(imageSize.argument) pixels",
        "at most \(reach), which vectors are stored for", "Give a smaller image size")
    }
    if content, positions != .learned {
      throw refusal("content", "true", "false with \(positions.rawValue) positions")
    }
    let tokens = side * side
    guard tokens <= 1 << 14, tokens * tokens <= Self.largestValue / max(5, heads) else {
      throw refusal(
        "image", "\(tokens) tokens of attention", "at most \(Self.largestValue) scores in a map",
        "Give a smaller image size")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try AttentionCNN(self, weights)
  }
}
