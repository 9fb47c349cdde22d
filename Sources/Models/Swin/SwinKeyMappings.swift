extension SwinConfiguration {
  /// microsoft/Swin-Transformer (and timm before 0.9), timm, Hugging Face, and torchvision.
  public static let keyMappings = [
    microsoft, timm, huggingFace, torchvision, transformers,
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
}
