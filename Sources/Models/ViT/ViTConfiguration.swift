import Checkpoints
import Tensors

/// Vision transformers with global attention: ViT (Dosovitskiy et al. 2021), DeiT (Touvron et al.
/// 2021), DeiT-III (Touvron et al. 2022), DINOv2 (Oquab et al. 2023; registers: Darcet et al. 2024).
public struct ViTConfiguration: ModelConfiguration {
  /// How tokens become the features of an image.
  public enum Pool: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// The class token after the last normalisation.
    case token
    /// The mean over patches, then a normalisation of it.
    case average
    /// The last normalisation, then the mean over patches.
    case normalisedAverage = "normalised-average"
    /// The class token beside the mean over patches, after the last normalisation (DINOv2's head).
    case tokenAndAverage = "token-and-average"
    /// Attention with a learned query (Zhai et al. 2022).
    case attention
  }

  /// Which tokens position embeddings are added to.
  public enum Positions: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Class and distillation tokens and patches; registers have none.
    case classes
    /// Patches alone.
    case patches
    /// All tokens, registers too.
    case all
  }

  /// What attention scores are multiplied by.
  public enum Scale: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// The width of a head to the power -1/2.
    case head
    /// The width of the model to the power -1/2: timm's `vit_small_patch16_224` of 2020.
    case model
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 16
  /// Width of a token.
  public var dim = 768
  /// Number of blocks.
  public var depth = 12
  /// Number of attention heads.
  public var heads = 12
  /// Width inside the multilayer perceptron (of one half, where it is gated).
  public var mlp = 3072
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Colour channels.
  public var channels = 3
  /// Side of the grid of patches that position embeddings are stored for.
  public var grid = 14
  /// Whether there is a class token.
  public var classToken = true
  /// Whether there is a distillation token.
  public var distillationToken = false
  /// Whether the distillation token has a head, averaged with the first.
  public var distillationHead = false
  /// Number of register tokens.
  public var registers = 0
  /// Which tokens position embeddings are added to.
  public var positions = Positions.classes
  /// How position embeddings become those of another grid.
  public var resampling = PositionResampling.antialiased
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Whether branches have a gain for each channel.
  public var layerScale = false
  /// What stands inside the multilayer perceptron.
  public var perceptron = PerceptronKind.gelu
  /// How tokens become the features of an image.
  public var pool = Pool.token
  /// Epsilon of normalisations.
  public var epsilon = 1e-6
  /// What attention scores are multiplied by.
  public var scale = Scale.head
  /// Whether keys have a bias where queries and values do.
  public var keyBias = true
  /// Width of all heads together.
  public var inner = 768
  /// Whether the patch projection has a bias.
  public var patchBias = true
  /// Whether the values of a patch are normalised before the projection.
  public var patchInputNorm = false
  /// Whether patches are normalised after the projection.
  public var patchNorm = false
  /// Whether tokens are normalised before the first block.
  public var preNorm = false
  /// Where the normalisations of a block stand.
  public var norm = NormPlacement.pre
  /// The non-linearity of perceptrons.
  public var act = ActivationFunction.gelu
  /// Whether a mean, or attention with a learned query, takes in the tokens before the patches.
  public var poolsPrefix = false
  /// Width of a last projection without bias (CLIP's image embedding); 0 without one.
  public var projection = 0

  /// ViT-B/16 at 224.
  public init() {}

  /// `vit`.
  public static let family = "vit"
  /// What the family is.
  public static let summary = "vision transformers: ViT, DeiT, DeiT-III, DINOv2"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch),
    .dim(\.dim, default: 768),
    .depth(\.depth, default: 12),
    .init(
      "heads", \.heads, "attention heads", in: 1...65536, origin: .declaration,
      isAlwaysShown: true, derived: { max(1, $0.dim / 64) }),
    .classes,
    .mlp(\.mlp, dim: \.dim),
    .channels,
    .init(
      "grid", \.grid, "side of the grid that positions are stored for", in: 1...4096,
      origin: .adaptable, derived: { $0.imageSize.side / max(1, $0.patch) }),
    .init("class-token", \.classToken, "a class token", default: true),
    .init("distilled", \.distillationToken, "a distillation token", default: false),
    .init(
      "distillation-head", \.distillationHead, "a head on the distillation token",
      origin: .adaptable, derived: { $0.distillationToken && $0.classes > 0 }),
    .init("registers", \.registers, "register tokens", default: 0, in: 0...1024),
    .init("positions", \.positions, "tokens that have positions", default: .classes),
    .init(
      "resampling", \.resampling, "how positions fit another grid", default: .antialiased,
      origin: .declaration),
    .qkvBias(\.qkvBias),
    .init("layer-scale", \.layerScale, "a gain on branches", default: false),
    .init("perceptron", \.perceptron, "kind of perceptron", default: .gelu),
    .init(
      "pool", \.pool, "how tokens become features",
      derived: { $0.classToken ? .token : .average }),
    .epsilon(\.epsilon),
    .init("scale", \.scale, "scale of attention scores", default: .head, origin: .declaration),
    .init("key-bias", \.keyBias, "a bias on keys where queries have one", default: true),
    .init(
      "inner", \.inner, "width of all heads together", in: 1...1_048_576, derived: { $0.dim }),
    .init("patch-bias", \.patchBias, "a bias on the patch projection", default: true),
    .init(
      "patch-input-norm", \.patchInputNorm, "a norm before the patch projection", default: false),
    .init("patch-norm", \.patchNorm, "a norm after the patch projection", default: false),
    .init("pre-norm", \.preNorm, "a norm before the first block", default: false),
    .init(
      "norm", \.norm, "where the norms of a block stand", default: .pre, origin: .declaration),
    .init("act", \.act, "non-linearity of perceptrons", default: .gelu, origin: .declaration),
    .init(
      "pool-prefix", \.poolsPrefix, "pool the tokens before the patches too", default: false,
      origin: .declaration),
    .init(
      "projection", \.projection, "width of a last projection", default: 0, in: 0...1_048_576),
  ]

  /// Tokens before the patches: class, distillation, registers.
  public var prefixTokens: Int {
    (classToken ? 1 : 0) + (distillationToken ? 1 : 0) + registers
  }

  /// Prefix tokens that have a position embedding.
  var positionedPrefix: Int {
    switch positions {
    case .classes: prefixTokens - registers
    case .patches: 0
    case .all: prefixTokens
    }
  }

  /// Mean and deviation 0.5; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.half(imageSize.side, crop: imageSize.side >= 384 ? 1 : 0.9))
  }

  /// Tokens of an image by their width.
  public var largestMap: (places: Int, channels: Int) {
    ((imageSize.height / patch) * (imageSize.width / patch), max(dim, inner))
  }

  /// Checks that heads divide the width, and that what is pooled is there.
  public func checkRelations() throws(ModelError) {
    guard inner.isMultiple(of: heads) else {
      throw refusal(
        "heads", "\(heads) heads", "a divisor of \(inner == dim ? "dim" : "inner")=\(inner)")
    }
    if projection > 0, classes > 0 {
      throw refusal("projection", "\(projection) beside \(classes) classes", "classes=0")
    }
    if !classToken, pool == .token || pool == .tokenAndAverage {
      throw refusal(
        "pool", "\(pool.rawValue) without a class token",
        "average, normalised-average or attention")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try ViT(self, weights)
  }
}
