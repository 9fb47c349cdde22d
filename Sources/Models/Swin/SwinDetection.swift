import Checkpoints
import StrictJSON

extension SwinConfiguration {
  /// Reads a configuration off names and shapes. The size of the images cannot be read, but for files
  /// that hold absolute positions or the masks of shifted windows: it is taken from `base`, or such that
  /// the last stage is one window. In the form of how-do-vits-work, the width of a head cannot be read.
  public static func detect(
    _ weights: WeightsView, base: SwinConfiguration?
  ) throws(ModelError) -> SwinConfiguration {
    var c = base ?? SwinConfiguration()
    (c.dim, c.channels, c.patch) = try weights.patchProjection("patch_embed.proj.weight")
    c.form = weights.has("layers.0.blocks.0.attn.pos_embedding") ? .howDoViTsWork : .original
    if base?.form != c.form { c.headWidth = c.form == .original ? 0 : 32 }
    (c.depths, c.heads, c.windows, c.widths, c.mlp) = ([], [], [], [], [])
    while c.depths.count < 8, weights.has("layers.\(c.depths.count).blocks.0.norm1.weight") {
      let stage = "layers.\(c.depths.count).blocks"
      let (heads, window) = try c.readTable(weights, "\(stage).0.attn")
      c.heads.append(heads)
      c.windows.append(window)
      c.widths.append(try weights.require("\(stage).0.norm1.weight", rank: 1)[0])
      // The same matrix stands as a 1x1 convolution in how-do-vits-work's names.
      c.mlp.append(weights.shape("\(stage).0.mlp.fc1.weight")?.first ?? 0)
      c.depths.append(weights.count { "\(stage).\($0).norm1.weight" })
    }
    c.window = c.windows.max() ?? 0
    if base?.attendedWindows.count != c.windows.count || base?.windows != c.windows {
      c.attendedWindows = c.windows
    }
    c.mlpRatio = max(1, min((c.mlp.first ?? 0) / c.dim, 64))
    c.qkvBias = weights.has("layers.0.blocks.0.attn.qkv.bias")
    c.classes = weights.classes()
    switch weights.keyMapping.name {
    case "torchvision", "Hugging Face": c.padding = .beforeShift
    default: c.padding = .afterShift
    }
    c.epsilon = base?.epsilon ?? 1e-5
    try c.readImageSize(weights, base: base)
    return c
  }

  /// Heads and the side of windows of the table of positions of a block.
  private func readTable(
    _ weights: WeightsView, _ name: String
  ) throws(ModelError) -> (heads: Int, window: Int) {
    let table = form == .original ? "\(name).relative_position_bias_table" : "\(name).pos_embedding"
    let shape = try weights.require(table, rank: 2)
    let side = form == .original ? squareRoot(shape[0]) : shape[0] == shape[1] ? shape[0] : nil
    guard let side, side % 2 == 1 else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName(table))\"", found: "shape \(shape)",
        expected: form == .original
          ? "(2w - 1)² rows for windows of w x w tokens" : "two equal odd extents, 2 w - 1")
    }
    if form == .original { return (shape[1], (side + 1) / 2) }
    let inner = try weights.require("\(name).proj.weight", rank: 2)[1]
    return (max(1, inner / max(1, headWidth)), (side + 1) / 2)
  }

  private mutating func readImageSize(_ weights: WeightsView, base: Self?) throws(ModelError) {
    absolutePositions = weights.has("absolute_pos_embed")
    let whole = patch.multipliedReportingOverflow(by: window).partialValue.doubled(depths.count - 1)
    if absolutePositions {
      grid = try weights.squareGrid("absolute_pos_embed")
      imageSize = Extents(grid.multipliedReportingOverflow(by: patch).partialValue)
      return
    }
    if let known = base?.imageSize {
      imageSize = known
    } else if let mask = weights.shape("layers.0.blocks.1.attn_mask", rank: 3),
      let side = squareRoot(mask[0]), side <= 4096, let first = windows.first
    {
      // A mask for each window of the first stage.
      imageSize = Extents(side * first * min(patch, 4096))
    } else {
      imageSize = Extents(whole)
    }
    grid = imageSize.side / max(1, patch)
  }

  /// Hugging Face's `SwinConfig`, and the arguments of timm's `SwinTransformer`.
  public static let settings: [ConfigurationSetting<Self>]? = [
    .sets("image_size", "img_size", as: \.imageSize),
    ConfigurationSetting(keys: ["layer_norm_eps"], sets: [\Self.epsilon, \Self.patchEpsilon]) {
      c, json in
      guard let epsilon = json.doubleValue else {
        return .init(isConflict: false, expected: "a number")
      }
      (c.epsilon, c.patchEpsilon) = (epsilon, 1e-5)
      return nil
    },
    .sets("hidden_act", as: \.act, ActivationFunction.words),
    .sets("act_layer", as: \.act, ActivationFunction.words),
    .repeats("embed_dim", of: \.dim), .repeats("patch_size", of: \.patch),
    .repeats("depths", of: \.depths), .repeats("num_heads", of: \.heads),
    .repeats("num_channels", "in_chans", of: \.channels), .repeats("mlp_ratio", of: \.mlpRatio),
    .repeats("qkv_bias", of: \.qkvBias),
    .repeats("use_absolute_embeddings", "ape", of: \.absolutePositions),
    windowSetting,
    .only("model_type", "swin"),
    .only("norm_layer", "layernorm", "LayerNorm"), .only("patch_norm", true),
    .only("global_pool", "avg"), .only("always_partition", false), .only("head_dim"),
    .only("embed_layer"),
    .harmless(
      "encoder_stride", "num_layers", "hidden_size", "path_norm", "strict_img_size",
      "dynamic_img_size"),
  ]

  /// `window_size`: one number, or one a stage. timm shrinks it to the maps of small images.
  private static let windowSetting = ConfigurationSetting<Self>(keys: ["window_size"]) { c, json in
    var given = json.intValue.map { [$0] } ?? [Int](setting: json) ?? []
    if Set(given).count == 1 { given = [Int](repeating: given[0], count: c.windows.count) }
    let fits =
      given.count == c.windows.count
      && zip(given, c.windows).allSatisfy { $0 == $1 || $0 > $1 && c.padding == .afterShift }
    return fits
      ? nil
      : .init(
        isConflict: true, expected: "\(c.windows.argument), as the shapes of the tensors say")
  }

  /// Names of timm whose networks are related and not the same.
  public static func reasonAgainst(variant: String) -> String? {
    let relatives = [
      ("swinv2_cr", "a Swin V2 of timm's own (cosine attention, positions from a network)"),
      ("swinv2", "a Swin V2 (cosine attention, positions from a network)"),
      ("swin_v2", "a Swin V2 (cosine attention, positions from a network)"),
    ]
    return relatives.first { variant.hasPrefix($0.0) }.map {
      "\(variant) is \($0.1), which is not supported"
    }
  }

  /// Swin V2: its positions come from a network.
  public static func reasonAgainst(names: [String]) -> String? {
    let isV2 = names.contains {
      $0.contains(".cpb_mlp.") || $0.contains(".continuous_position_bias_mlp.")
        || $0.contains(".attn.meta_mlp.")
    }
    return isV2
      ? "weights of a Swin V2 (cosine attention, positions from a network), which is not supported"
      : nil
  }
}

extension SwinConfiguration {
  /// microsoft/Swin-Transformer (and timm before 0.9), timm, Hugging Face, torchvision,
  /// xxxnell/how-do-vits-work, and our own names of the latter.
  public static let keyMappings = [
    microsoft, timm, huggingFace, torchvision, transformers, howDoViTsWork,
    KeyMapping(
      "canonical", signature: ["patch_embed.proj.weight", "layers.0.blocks.0.attn.pos_embedding"]),
  ]

  /// Buffers that older files hold: they follow from the size of the window and the map.
  private static let buffers = ["*.relative_position_index", "*.attn_mask"]

  private static let microsoft = KeyMapping(
    "Microsoft",
    signature: [
      "layers.0.blocks.0.attn.relative_position_bias_table", "layers.0.downsample.norm.weight",
    ], ignored: buffers)

  /// Merging belongs to the stage after it.
  private static let timm = KeyMapping(
    "timm", signature: ["layers.0.blocks.0.attn.relative_position_bias_table"], ignored: buffers,
    rules: (0..<8).map { .rename("layers.\($0).downsample", "layers.\($0 + 1).downsample") } + [
      .rename("head", "head.fc"), .rename("head", "head"),
    ])

  private static let huggingFace = KeyMapping(
    "Hugging Face",
    signature: [
      "embeddings.patch_embeddings.projection.weight",
      "encoder.layers.0.blocks.0.attention.self.relative_position_bias_table",
    ], ignored: buffers + ["*embeddings.mask_token"],
    rules: [
      .rename("patch_embed.proj", "embeddings.patch_embeddings.projection"),
      .rename("patch_embed.norm", "embeddings.norm"),
      .rename("absolute_pos_embed", "embeddings.position_embeddings"),
      .rename("layers.*.blocks.*.norm1", "encoder.layers.*.blocks.*.layernorm_before"),
      .join(
        "layers.*.blocks.*.attn.qkv",
        ["query", "key", "value"].map { "encoder.layers.*.blocks.*.attention.self.\($0)" }),
      .rename(
        "layers.*.blocks.*.attn.relative_position_bias_table",
        "encoder.layers.*.blocks.*.attention.self.relative_position_bias_table"),
      .rename("layers.*.blocks.*.attn.proj", "encoder.layers.*.blocks.*.attention.output.dense"),
      .rename("layers.*.blocks.*.norm2", "encoder.layers.*.blocks.*.layernorm_after"),
      .rename("layers.*.blocks.*.mlp.fc1", "encoder.layers.*.blocks.*.intermediate.dense"),
      .rename("layers.*.blocks.*.mlp.fc2", "encoder.layers.*.blocks.*.output.dense"),
      .rename("layers.*.downsample", "encoder.layers.*.downsample"),
      .rename("norm", "layernorm"),
      .rename("head", "classifier"),
    ])

  private static let torchvision = KeyMapping(
    "torchvision", signature: ["features.1.0.attn.relative_position_bias_table"], ignored: buffers,
    rules: [
      .rename("patch_embed.proj", "features.0.0"), .rename("patch_embed.norm", "features.0.2"),
    ]
      + (0..<8).flatMap { stage in
        let (own, theirs) = ("layers.\(stage).blocks.*", "features.\(2 * stage + 1).*")
        return [
          KeyMapping.Rule.rename("layers.\(stage).downsample", "features.\(2 * stage + 2)"),
          .rename("\(own).mlp.fc1", "\(theirs).mlp.0"),
          .rename("\(own).mlp.fc2", "\(theirs).mlp.3"),
          .rename("\(own).norm1", "\(theirs).norm1"), .rename("\(own).norm2", "\(theirs).norm2"),
          .rename("\(own).attn", "\(theirs).attn"),
        ]
      })

  private static let howDoViTsWork = KeyMapping(
    "how-do-vits-work",
    signature: ["layer1.0.patch_merge.weight", "layer1.1.attn.pos_embedding"],
    rules: [
      .rename("patch_embed.proj", "layer1.0.patch_merge"),
      .rename("norm", "classifier.2"), .rename("head", "classifier.3"),
    ]
  ) { names in
    var rules: [KeyMapping.Rule] = []
    for stage in 0..<8 where names.contains("layer\(stage + 1).0.patch_merge.weight") {
      if stage > 0 {
        rules.append(
          .rename("layers.\(stage - 1).downsample", "layer\(stage + 1).0.patch_merge"))
      }
      var block = 0
      while names.contains("layer\(stage + 1).\(block + 1).attn.pos_embedding") {
        let (own, theirs) = ("layers.\(stage).blocks.\(block)", "layer\(stage + 1).\(block + 1)")
        rules += [
          .rename("\(own).norm1", "\(theirs).norm1.1"),
          .rename("\(own).norm2", "\(theirs).norm2.1"),
          .rename("\(own).attn.pos_embedding", "\(theirs).attn.pos_embedding"),
          .rename("\(own).attn.qkv", "\(theirs).attn.attn.to_qkv"),
          .rename("\(own).attn.proj", "\(theirs).attn.attn.to_out.0"),
          .reshape("\(own).mlp.fc1", "\(theirs).ff.net.0"),
          .reshape("\(own).mlp.fc2", "\(theirs).ff.net.3"),
        ]
        block += 1
      }
    }
    return rules
  }

  /// Names that transformers has in memory since version 5, as in files that other trainers save.
  private static let transformers = KeyMapping(
    "Hugging Face",
    signature: [
      "embeddings.patch_embeddings.projection.weight",
      "encoder.layers.0.blocks.0.attention.relative_position_bias.relative_position_bias_table",
    ],
    ignored: ["*.relative_position_index", "*.attn_mask", "*embeddings.mask_token"],
    rules: [
      .rename("patch_embed.proj", "embeddings.patch_embeddings.projection"),
      .rename("patch_embed.norm", "embeddings.norm"),
      .rename("layers.*.blocks.*.norm1", "encoder.layers.*.blocks.*.layernorm_before"),
      .join(
        "layers.*.blocks.*.attn.qkv",
        ["q", "k", "v"].map { "encoder.layers.*.blocks.*.attention.\($0)_proj" }),
      .rename(
        "layers.*.blocks.*.attn.relative_position_bias_table",
        "encoder.layers.*.blocks.*.attention.relative_position_bias.relative_position_bias_table"),
      .rename("layers.*.blocks.*.attn.proj", "encoder.layers.*.blocks.*.attention.o_proj"),
      .rename("layers.*.blocks.*.norm2", "encoder.layers.*.blocks.*.layernorm_after"),
      .rename("layers.*.blocks.*.mlp", "encoder.layers.*.blocks.*.mlp"),
      .rename("layers.*.downsample", "encoder.layers.*.downsample"),
      .rename("norm", "layernorm"),
      .rename("head", "classifier"),
    ])
}
