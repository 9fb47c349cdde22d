extension ViTConfiguration {
  /// Names that transformers has in memory since version 5, as in files that other trainers save: those of
  /// `save_pretrained` are still the older ones. ViT and DeiT, and DINOv2.
  static let transformers = ["layers", "encoder.layer"].map { blocks in
    KeyMapping(
      "Hugging Face",
      signature: ["embeddings.cls_token", "\(blocks).0.attention.q_proj.weight"],
      ignored: ["*pooler.*", "*embeddings.mask_token"],
      rules: [
        .rename("cls_token", "embeddings.cls_token"),
        .rename("dist_token", "embeddings.distillation_token"),
        .rename("reg_token", "embeddings.register_tokens"),
        .rename("pos_embed", "embeddings.position_embeddings"),
        .rename("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        .rename("blocks.*.norm1", "\(blocks).*.layernorm_before"),
        .rename("blocks.*.norm1", "\(blocks).*.norm1"),
        .join(
          "blocks.*.attn.qkv", ["q", "k", "v"].map { "\(blocks).*.attention.\($0)_proj" }),
        .rename("blocks.*.attn.proj", "\(blocks).*.attention.o_proj"),
        .rename("blocks.*.ls1.gamma", "\(blocks).*.layer_scale1.lambda1"),
        .rename("blocks.*.norm2", "\(blocks).*.layernorm_after"),
        .rename("blocks.*.norm2", "\(blocks).*.norm2"),
        .rename("blocks.*.mlp.fc1", "\(blocks).*.mlp.fc1"),
        .join("blocks.*.mlp.fc1", ["gate_proj", "up_proj"].map { "\(blocks).*.mlp.\($0)" }),
        .rename("blocks.*.mlp.fc2", "\(blocks).*.mlp.fc2"),
        .rename("blocks.*.mlp.fc2", "\(blocks).*.mlp.down_proj"),
        .rename("blocks.*.ls2.gamma", "\(blocks).*.layer_scale2.lambda1"),
        .rename("norm", "layernorm"),
        .rename("head", "classifier"),
        .rename("head", "cls_classifier"),
        .rename("head_dist", "distillation_classifier"),
      ])
  }
}
