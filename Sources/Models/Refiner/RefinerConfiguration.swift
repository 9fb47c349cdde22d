import Checkpoints
import Tensors

/// Refiner as its paper has it (Zhou et al. 2021, "Refiner: Refining Self-attention for Vision
/// Transformers"): in every block of a vision transformer the attention maps are expanded linearly over
/// heads, convolved with one small kernel a map, and reduced linearly, before they are applied to the values.
///
/// Each part can be left out or sized, as in the paper's ablations. Without reduction the values are cut
/// among the expanded maps instead of among the heads.
public struct RefinerConfiguration: RefinerParameters {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 16
  /// Width of a token.
  public var dim = 384
  /// Number of blocks.
  public var depth = 16
  /// Number of attention heads.
  public var heads = 12
  /// Maps that each head is expanded to.
  public var expand = 3
  /// Whether maps are convolved.
  public var local = true
  /// The side of the kernels.
  public var kernel = 3
  /// Whether maps are reduced to as many as there are heads.
  public var reduce = true
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Width inside the multilayer perceptron.
  public var mlp = 1152
  /// How images become tokens.
  public var embedding = RefinerEmbeddingKind.plain
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Colour channels.
  public var channels = 3
  /// Side of the grid of patches that position embeddings are stored for.
  public var grid = 14
  /// How position embeddings become those of another grid.
  public var resampling = PositionResampling.antialiased
  /// Epsilon of normalisations.
  public var epsilon = 1e-6

  /// The extents of Refiner-S.
  public init() {}

  /// `refiner`.
  public static let family = "refiner"
  /// What the family is.
  public static let summary =
    "Refiner in its paper's form: linear expansion, local kernels, reduction"

  /// The hyper-parameters by name.
  public static let parameters =
    leadingParameters + ownParameters + trailingParameters(.antialiased)

  private static let ownParameters: [ConfigurationParameter<Self>] = [
    .init("expand", \.expand, "maps for each head", default: 3, in: 1...64, isAlwaysShown: true),
    .init("local", \.local, "convolution of maps", default: true),
    .init("kernel", \.kernel, "side of the kernels", default: 3, in: 1...127, isAlwaysShown: true),
    .init("reduce", \.reduce, "reduction to the heads", default: true, isAlwaysShown: true),
    .classes,
    .mlp(\.mlp, dim: \.dim, ratio: 3),
    .init("embed", \.embedding, "how images become tokens", default: .plain),
  ]

  /// No architecture of the family has a name of its own.
  public static let variants: [ModelVariant<Self>] = []

  /// timm's names of a vision transformer, and `blocks.i.attn.expand`, `.local`, `.reduce`.
  public static let keyMappings = [
    KeyMapping(
      "vitprobe", signature: ["blocks.0.attn.expand.weight", "blocks.0.attn.qkv.weight"])
  ]

  /// Checks that heads and maps divide the width.
  public func checkRelations() throws(ModelError) {
    try checkTokens()
    if !reduce, !dim.isMultiple(of: heads * expand) {
      throw refusal(
        "expand", "\(heads * expand) maps without reduction",
        "a divisor of dim=\(dim), whose values are cut among them")
    }
  }

  /// Reads a configuration off names and shapes; all of it can be read but the size of the images.
  public static func detect(
    _ weights: WeightsView, base: RefinerConfiguration?
  ) throws(ModelError) -> RefinerConfiguration {
    var c = base ?? RefinerConfiguration()
    try c.readTokens(weights, base: base)
    let expansion = try weights.require("blocks.0.attn.expand.weight", rank: 2)
    (c.heads, c.expand) = (expansion[1], expansion[0] / expansion[1])
    c.local = weights.has("blocks.0.attn.local.weight")
    if c.local { c.kernel = try weights.require("blocks.0.attn.local.weight", rank: 4)[2] }
    c.reduce = weights.has("blocks.0.attn.reduce.weight")
    return c
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try Refiner(self, weights)
  }
}
