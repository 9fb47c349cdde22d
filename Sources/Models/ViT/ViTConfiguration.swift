import Checkpoints
import StrictJSON
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

extension ViTConfiguration {
  /// Reads a configuration off names and shapes. Heads cannot be read: they are taken from `base`,
  /// `config.json`, or 64 channels a head.
  public static func detect(
    _ weights: WeightsView, base: ViTConfiguration?
  ) throws(ModelError) -> ViTConfiguration {
    var c = base ?? ViTConfiguration()
    (c.dim, c.channels, c.patch) = try weights.patchProjection("patch_embed.proj.weight")
    c.depth = weights.count { "blocks.\($0).norm1.weight" }
    c.classToken = weights.has("cls_token")
    c.distillationToken = weights.has("dist_token")
    c.registers = weights.shape("reg_token", rank: 3)?[1] ?? 0
    try c.readPositions(weights)
    try c.readPerceptron(weights)
    c.keyBias = !weights.has("blocks.0.attn.q_bias")
    c.qkvBias = weights.has("blocks.0.attn.qkv.bias") || !c.keyBias
    c.inner = try weights.require("blocks.0.attn.qkv.weight", rank: 2)[0] / 3
    c.patchBias = weights.has("patch_embed.proj.bias")
    c.patchInputNorm = weights.has("patch_embed.input_norm.weight")
    c.patchNorm = weights.has("patch_embed.norm.weight")
    c.preNorm = weights.has("norm_pre.weight")
    c.layerScale = weights.has("blocks.0.ls1.gamma")
    let head = weights.shape("head.weight", rank: 2)
    c.classes = weights.classes()
    c.projection = head == nil ? weights.shape("projection.weight", rank: 2)?[0] ?? 0 : 0
    c.distillationHead = weights.has("head_dist.weight")
    c.pool = c.readPool(weights, features: head?[1], base: base)
    try c.readSettings(weights, base: base)
    return c
  }

  private mutating func readPositions(_ weights: WeightsView) throws(ModelError) {
    let shape = weights.shape("pos_embed") ?? []
    let rows = try shape.count == 2 ? shape[0] : weights.require("pos_embed", rank: 3)[1]
    for candidate in [positions, .classes, .all, .patches] {
      positions = candidate
      if let side = squareRoot(rows - positionedPrefix), side > 0 {
        grid = side
        return
      }
    }
    throw ModelError(
      .unreadable, place: "tensor \"\(weights.foreignName("pos_embed"))\"", found: "\(rows) rows",
      expected: "a square grid of patches behind at most \(prefixTokens) other tokens")
  }

  private mutating func readPerceptron(_ weights: WeightsView) throws(ModelError) {
    let rows = try weights.require("blocks.0.mlp.fc1.weight", rank: 2)[0]
    mlp = try weights.require("blocks.0.mlp.fc2.weight", rank: 2)[1]
    perceptron = rows == mlp ? .gelu : .swiglu
    guard perceptron == .gelu || rows == mlp.multipliedReportingOverflow(by: 2).partialValue else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName("blocks.0.mlp.fc1.weight"))\"",
        found: "\(rows) rows", expected: "\(mlp), or \(mlp) twice for a gated perceptron")
    }
  }

  private func readPool(_ weights: WeightsView, features: Int?, base: Self?) -> Pool {
    if weights.has("attn_pool.latent") { return .attention }
    if weights.has("fc_norm.weight") { return .average }
    if features == dim.multipliedReportingOverflow(by: 2).partialValue { return .tokenAndAverage }
    if !classToken { return .normalisedAverage }
    // Both forms of pooling after the last normalisation have the same weights.
    if base?.pool == .normalisedAverage { return .normalisedAverage }
    return weights.setting("global_pool")?.stringValue == "avg" ? .normalisedAverage : .token
  }

  private mutating func readSettings(_ weights: WeightsView, base: Self?) throws(ModelError) {
    imageSize =
      (weights.setting("image_size") ?? weights.setting("img_size")).flatMap {
        Extents(setting: $0)
      }
      ?? (base?.grid == grid && base?.patch == patch ? base?.imageSize : nil)
      ?? Extents(grid.multipliedReportingOverflow(by: patch).partialValue)
    switch weights.keyMapping.name {
    case "Hugging Face":
      epsilon = layerScale ? 1e-6 : 1e-12
      resampling = registers > 0 ? .antialiased : .bicubic
    case "how-do-vits-work", "vit-pytorch", "vit-pytorch of 2021", "open_clip": epsilon = 1e-5
    case "Hugging Face CLIP":
      (epsilon, resampling) = (1e-5, .bicubic)
      // What CLIP's class in transformers does without settings.
      if base == nil { act = .quickGELU }
    default: epsilon = base?.epsilon ?? 1e-6
    }
    // timm's first vit_small: its scores were scaled by the width of the model.
    let isLegacySmall = base == nil && dim == 768 && depth == 8 && !qkvBias
    if isLegacySmall { (heads, scale, epsilon) = (8, .model, 1e-5) }
    if let declared = weights.setting("num_attention_heads") ?? weights.setting("num_heads"),
      let number = declared.intValue
    {
      heads = number
    } else if let query = weights.rawShape("blocks.0.attn.qkv.weight"), query.count == 3 {
      // JAX stores each head on its own.
      heads = query[1]
    } else if base == nil, !isLegacySmall {
      guard dim.isMultiple(of: 64) else {
        throw ModelError(
          .undetermined,
          found: "the number of attention heads cannot be read from weights of "
            + "width \(dim)", expected: "a multiple of 64, or an architecture",
          advice: "Name the architecture before the file: \(Self.family)(…,heads=N)@FILE")
      }
      heads = dim / 64
    }
  }
}

extension ViTConfiguration {
  /// Hugging Face's `config.json` of ViT, DeiT, DINOv2, MAE, MSN and of CLIP's image tower; timm's
  /// `model_args`.
  public static let settings: [ConfigurationSetting<Self>]? = [
    .only(
      "model_type", "vit", "deit", "dinov2", "dinov2_with_registers", "vit_mae", "vit_msn", "clip",
      "clip_vision_model", "timm_wrapper"),
    .only("auto_map"), .only("quantization_config"), .only("pruned_heads", [:]),
    // Sizes.
    .repeats("hidden_size", "embed_dim", of: \.dim),
    .repeats("num_hidden_layers", "depth", of: \.depth),
    .repeats("patch_size", of: \.patch),
    .repeats("num_channels", "in_chans", of: \.channels),
    .repeats("num_register_tokens", "reg_tokens", of: \.registers),
    .repeats("qkv_bias", of: \.qkvBias),
    .repeats("class_token", of: \.classToken),
    .repeats("pre_norm", of: \.preNorm),
    .sets("image_size", "img_size", as: \.imageSize),
    .sets("num_attention_heads", "num_heads", as: \.heads),
    .checks("intermediate_size") { c, json in
      c.perceptron == .swiglu || json.intValue == c.mlp ? nil : "\(c.mlp)"
    },
    .checks("mlp_ratio") { c, json in
      guard c.perceptron == .gelu, let ratio = json.doubleValue else { return nil }
      return Int(exactly: (ratio * Double(c.dim)).rounded(.down)) == c.mlp
        ? nil : "\(Double(c.mlp) / Double(c.dim))"
    },
    .checks("use_swiglu_ffn") { c, json in
      json.boolValue == (c.perceptron == .swiglu) ? nil : "\(c.perceptron == .swiglu)"
    },
    // What neither names nor shapes tell.
    .sets("hidden_act", as: \.act, ActivationFunction.words),
    .sets("act_layer", as: \.act, ActivationFunction.words),
    .sets("layer_norm_eps", as: \.epsilon),
    .sets("pool_include_prefix", as: \.poolsPrefix),
    ConfigurationSetting(keys: ["global_pool"], sets: [\Self.pool]) { c, json in
      switch json.stringValue {
      case "token" where c.pool == .token: return nil
      case "map" where c.pool == .attention: return nil
      case "avg" where c.pool == .average || c.pool == .normalisedAverage: return nil
      case "avg" where c.pool == .token:
        // Both have the same weights.
        c.pool = .normalisedAverage
        return nil
      default:
        return .init(isConflict: false, expected: "token, avg or map, as the weights have it")
      }
    },
    .only("norm_layer", "layernorm", "LayerNorm"), .only("block_fn", "Block"),
    .only("pos_embed", "learn"), .only("final_norm", true), .only("qk_norm", false),
    .only("scale_attn_norm", false), .only("scale_mlp_norm", false), .only("proj_bias", true),
    .only("dynamic_img_pad", false), .only("apply_layernorm", true),
    ConfigurationSetting(keys: ["architectures"]) { _, json in
      // Its head takes the mean of tokens that were not normalised.
      json.arrayValue?.contains("CLIPForImageClassification") == true
        ? .init(isConflict: false, expected: "another class") : nil
    },
    // Training, the start of training, and what shapes tell.
    .harmless(
      "attention_dropout", "decoder_hidden_size", "decoder_intermediate_size",
      "decoder_num_attention_heads", "decoder_num_hidden_layers", "dropout", "dynamic_img_size",
      "encoder_stride", "fc_norm", "fix_init", "init_values", "layerscale_value", "mask_ratio",
      "no_embed_class", "norm_pix_loss", "pooler_act", "pooler_output_size", "projection_dim",
      "strict_img_size", "use_mask_token", "logit_scale_init_value", "do_pooling"),
  ]

  /// Names of timm whose networks share names and shapes and nothing else.
  public static func reasonAgainst(variant: String) -> String? {
    let known = ["vit_", "deit", "eva", "beit", "flexivit", "aimv2", "dinov2", "test_vit"]
    guard known.contains(where: variant.hasPrefix) else { return nil }
    return
      "\(variant) is another network than a vision transformer of the forms known here, and is "
      + "not supported"
  }
}
