import Checkpoints
import StrictJSON

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
