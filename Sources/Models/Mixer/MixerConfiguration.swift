import Checkpoints
import StrictJSON
import Tensors

/// MLP-Mixer (Tolstikhin et al. 2021): perceptrons over tokens and over channels in turn.
public struct MixerConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 16
  /// Width of a token.
  public var dim = 768
  /// Number of blocks.
  public var depth = 12
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Width inside the perceptron over tokens.
  public var tokenMLP = 384
  /// Width inside the perceptron over channels.
  public var mlp = 3072
  /// Number of tokens.
  public var tokens = 196
  /// Colour channels.
  public var channels = 3
  /// Epsilon of normalisations.
  public var epsilon = 1e-6

  /// Mixer-B/16 at 224.
  public init() {}

  /// `mixer`.
  public static let family = "mixer"
  /// What the family is.
  public static let summary = "perceptrons over tokens and channels: MLP-Mixer"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch),
    .dim(\.dim, default: 768),
    .depth(\.depth, default: 12),
    .classes,
    .init(
      "token-mlp", \.tokenMLP, "width inside the perceptron over tokens", in: 1...1_048_576,
      derived: { max(1, $0.dim / 2) }),
    .mlp(\.mlp, dim: \.dim),
    .init(
      "tokens", \.tokens, "number of tokens that the weights are for", in: 1...268_435_456,
      derived: { $0.tokensOfImage }),
    .channels,
    .epsilon(\.epsilon),
  ]

  private var tokensOfImage: Int {
    let side = imageSize.side / max(1, patch)
    return side.multipliedReportingOverflow(by: side).partialValue
  }

  /// timm's names, and the further sizes of Park and Kim's code (xxxnell/how-do-vits-work).
  public static let variants: [ModelVariant<Self>] = [
    ("mixer_s32_224", 32, 512, 8), ("mixer_s16_224", 16, 512, 8), ("mixer_b32_224", 32, 768, 12),
    ("mixer_b16_224", 16, 768, 12), ("mixer_l32_224", 32, 1024, 24),
    ("mixer_l16_224", 16, 1024, 24), ("hdv_mixer_ti", 16, 256, 8), ("hdv_mixer_h", 16, 1280, 32),
  ].map { (name: String, patch: Int, dim: Int, depth: Int) in
    var c = Self()
    (c.patch, c.dim, c.depth) = (patch, dim, depth)
    (c.tokenMLP, c.mlp, c.tokens) = (dim / 2, 4 * dim, (224 / patch) * (224 / patch))
    let isOwn = name.hasPrefix("hdv")
    if isOwn { c.epsilon = 1e-5 }
    return ModelVariant(
      name, c, isOwn ? .imageNet(224, crop: 0.875) : .half(224, crop: 0.875))
  }

  /// Names of timm whose networks are related and not the same.
  public static func reasonAgainst(variant: String) -> String? {
    let isRelative = ["gmixer_", "gmlp_", "resmlp_"].contains { variant.hasPrefix($0) }
    return isRelative
      ? "\(variant) is a relative of MLP-Mixer with other blocks, which is not supported" : nil
  }

  /// The arguments of timm's `MlpMixer`.
  public static let settings: [ConfigurationSetting<Self>]? = [
    .sets("img_size", "image_size", as: \.imageSize), .repeats("patch_size", of: \.patch),
    .repeats("embed_dim", of: \.dim), .repeats("num_blocks", of: \.depth),
    .repeats("in_chans", of: \.channels), .only("act_layer", "gelu"),
    .only("norm_layer", "layernorm", "LayerNorm"), .only("stem_norm", false),
    .only("global_pool", "avg"), .only("block_layer", "MixerBlock"), .only("mlp_layer", "Mlp"),
    .harmless("mlp_ratio", "nlhb"),
  ]

  /// timm, and xxxnell/how-do-vits-work.
  public static let keyMappings = [
    KeyMapping("timm", signature: ["stem.proj.weight", "blocks.0.mlp_tokens.fc1.weight"]),
    KeyMapping(
      "how-do-vits-work",
      signature: ["embedding.0.patch_embedding.1.weight", "mlps.0.ff1.net.0.weight"],
      rules: [
        .channelsLastPatch("stem.proj.weight", "embedding.0.patch_embedding.1.weight"),
        .rename("stem.proj.bias", "embedding.0.patch_embedding.1.bias"),
        .rename("blocks.*.norm1", "mlps.*.norm1"), .rename("blocks.*.norm2", "mlps.*.norm2"),
        .reshape("blocks.*.mlp_tokens.fc1", "mlps.*.ff1.net.0"),
        .reshape("blocks.*.mlp_tokens.fc2", "mlps.*.ff1.net.3"),
        .rename("blocks.*.mlp_channels.fc1", "mlps.*.ff2.net.0"),
        .rename("blocks.*.mlp_channels.fc2", "mlps.*.ff2.net.3"),
        .rename("norm", "classifier.0"), .rename("head", "classifier.2"),
      ]),
    jax,
  ]

  /// google-research/vision_transformer.
  private static let jax: KeyMapping = {
    let block = "MixerBlock_*"
    var rules = KeyMapping.Rule.jaxDense("stem.proj", "stem", inputs: 3)
    rules += KeyMapping.Rule.jaxNorm("blocks.*.norm1", "\(block).LayerNorm_0")
    rules += KeyMapping.Rule.jaxNorm("blocks.*.norm2", "\(block).LayerNorm_1")
    for (own, theirs) in [("mlp_tokens", "token_mixing"), ("mlp_channels", "channel_mixing")] {
      for layer in 0...1 {
        rules += KeyMapping.Rule.jaxDense(
          "blocks.*.\(own).fc\(layer + 1)", "\(block).\(theirs).Dense_\(layer)")
      }
    }
    rules += KeyMapping.Rule.jaxNorm("norm", "pre_head_layer_norm")
    rules += KeyMapping.Rule.jaxDense("head", "head")
    return KeyMapping(
      "JAX", signature: ["stem/kernel", "MixerBlock_0/token_mixing/Dense_0/kernel"], rules: rules,
      separator: "/")
  }()

  /// Reads a configuration off names and shapes; all but the epsilon can be read.
  public static func detect(
    _ weights: WeightsView, base: MixerConfiguration?
  ) throws(ModelError) -> MixerConfiguration {
    var c = base ?? MixerConfiguration()
    (c.dim, c.channels, c.patch) = try weights.patchProjection("stem.proj.weight")
    c.depth = weights.count { "blocks.\($0).norm1.weight" }
    let hidden = weights.shape("blocks.0.mlp_tokens.fc1.weight") ?? []
    guard hidden.count >= 2, let grid = squareRoot(hidden[1]), grid > 0 else {
      throw ModelError(
        .unreadable,
        place: "tensor \"\(weights.foreignName("blocks.0.mlp_tokens.fc1.weight"))\"",
        found: "shape \(hidden)", expected: "[hidden, g²] for g x g patches")
    }
    (c.tokenMLP, c.tokens) = (hidden[0], hidden[1])
    c.mlp = try weights.require("blocks.0.mlp_channels.fc1.weight", rank: 2)[0]
    c.classes = weights.classes()
    c.imageSize =
      base?.imageSize ?? Extents(grid.multipliedReportingOverflow(by: c.patch).partialValue)
    c.epsilon = ["timm", "JAX"].contains(weights.keyMapping.name) ? base?.epsilon ?? 1e-6 : 1e-5
    return c
  }

  /// Mean and deviation 0.5; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.half(imageSize.side, crop: 0.875))
  }

  /// Tokens by their width.
  public var largestMap: (places: Int, channels: Int) { (tokensOfImage, dim) }

  /// Checks that the perceptrons over tokens are for the image.
  public func checkRelations() throws(ModelError) {
    guard tokens == tokensOfImage else {
      throw refusal(
        "image", "\(tokensOfImage) patches at \(imageSize.argument) pixels",
        "\(tokens), which the perceptrons over tokens are for",
        "Images of another size need other weights")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try Mixer(self, weights)
  }
}
