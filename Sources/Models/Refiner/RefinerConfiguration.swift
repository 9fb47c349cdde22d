import Checkpoints
import Tensors

/// Refiner as its paper has it (Zhou et al. 2021, "Refiner: Refining Self-attention for Vision
/// Transformers"): in every block of a vision transformer the attention maps are expanded linearly over
/// heads, convolved with one small kernel a map, and reduced linearly, before they are applied to the values.
///
/// Each part can be left out or sized, as in the paper's ablations. Without reduction the values are cut
/// among the expanded maps instead of among the heads.
public struct RefinerConfiguration: ModelConfiguration {
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
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(),
    .patch(\.patch),
    .dim(\.dim, default: 384),
    .depth(\.depth, default: 16),
    .init(
      "heads", \.heads, "attention heads", default: 12, in: 1...65536, atMost: \.dim,
      isAlwaysShown: true),
    .init("expand", \.expand, "maps for each head", default: 3, in: 1...64, isAlwaysShown: true),
    .init("local", \.local, "convolution of maps", default: true),
    .init("kernel", \.kernel, "side of the kernels", default: 3, in: 1...127, isAlwaysShown: true),
    .init("reduce", \.reduce, "reduction to the heads", default: true, isAlwaysShown: true),
    .classes,
    .mlp(\.mlp, dim: \.dim, ratio: 3),
    .init("embed", \.embedding, "how images become tokens", default: .plain),
    .qkvBias(\.qkvBias),
    .channels,
    .init(
      "grid", \.grid, "side of the grid that positions are stored for", in: 1...4096,
      origin: .adaptable, derived: { $0.imageSize.side / max(1, $0.patch) }),
    .init(
      "resampling", \.resampling, "how positions fit another grid", default: .antialiased,
      origin: .declaration),
    .epsilon(\.epsilon),
  ]

  /// No architecture of the family has a name of its own.
  public static let variants: [ModelVariant<Self>] = []

  /// timm's names of a vision transformer, and `blocks.i.attn.expand`, `.local`, `.reduce`.
  public static let keyMappings = [
    KeyMapping(
      "vitprobe", signature: ["blocks.0.attn.expand.weight", "blocks.0.attn.qkv.weight"])
  ]

  /// Mean and deviation 0.5; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.half(imageSize.side, crop: 0.9))
  }

  /// Tokens by their width.
  public var largestMap: (places: Int, channels: Int) {
    ((imageSize.side / patch) * (imageSize.side / patch), dim)
  }

  /// Checks that heads and maps divide the width.
  public func checkRelations() throws(ModelError) {
    if !dim.isMultiple(of: heads) {
      throw refusal("heads", "\(heads) heads", "a divisor of dim=\(dim)")
    }
    if !reduce, !dim.isMultiple(of: heads * expand) {
      throw refusal(
        "expand", "\(heads * expand) maps without reduction",
        "a divisor of dim=\(dim), whose values are cut among them")
    }
    if embedding == .cnn, patch % 2 != 0 {
      throw refusal("patch", "\(patch)", "an even number with embed=cnn")
    }
  }

  /// Reads a configuration off names and shapes; all of it can be read but the size of the images.
  public static func detect(
    _ weights: WeightsView, base: RefinerConfiguration?
  ) throws(ModelError) -> RefinerConfiguration {
    var c = base ?? RefinerConfiguration()
    (c.embedding, c.channels, c.patch, c.dim, c.grid) = try weights.refinerEmbedding()
    c.depth = weights.count { "blocks.\($0).norm1.weight" }
    c.mlp = try weights.require("blocks.0.mlp.fc1.weight", rank: 2)[0]
    c.qkvBias = weights.has("blocks.0.attn.qkv.bias")
    c.classes = weights.classes()
    c.imageSize =
      base?.imageSize ?? Extents(c.grid.multipliedReportingOverflow(by: c.patch).partialValue)
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
