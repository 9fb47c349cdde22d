extension SwinConfiguration {
  /// Names that transformers has in memory since version 5, as in files that other trainers save.
  static let transformers = KeyMapping(
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
