import Checkpoints

extension ViTConfiguration {
  /// timm (and facebookresearch/deit, facebookresearch/dinov2), Hugging Face, torchvision, and
  /// xxxnell/how-do-vits-work.
  public static let keyMappings = [timm, huggingFace, torchvision, hdv] + transformers

  private static let timm = KeyMapping(
    "timm", signature: ["blocks.0.attn.qkv.weight", "patch_embed.proj.weight"],
    ignored: ["mask_token", "pre_logits.*"],
    rules: [
      .reshape("patch_embed.proj.weight", "patch_embed.proj.weight"),
      .rename("reg_token", "reg_token"),
      .rename("reg_token", "register_tokens"),
      .rename("blocks.*.ls1.gamma", "blocks.*.ls1.gamma"),
      .rename("blocks.*.ls1.gamma", "blocks.*.gamma_1"),
      .rename("blocks.*.ls2.gamma", "blocks.*.ls2.gamma"),
      .rename("blocks.*.ls2.gamma", "blocks.*.gamma_2"),
      .rename("blocks.*.mlp.fc1", "blocks.*.mlp.fc1"),
      .rename("blocks.*.mlp.fc1", "blocks.*.mlp.w12"),
      .rename("blocks.*.mlp.fc2", "blocks.*.mlp.fc2"),
      .rename("blocks.*.mlp.fc2", "blocks.*.mlp.w3"),
    ])

  private static let huggingFace = KeyMapping(
    "Hugging Face",
    signature: ["embeddings.cls_token", "encoder.layer.0.attention.attention.query.weight"],
    ignored: ["*pooler.*", "*embeddings.mask_token"],
    rules: [
      .rename("cls_token", "embeddings.cls_token"),
      .rename("dist_token", "embeddings.distillation_token"),
      .rename("reg_token", "embeddings.register_tokens"),
      .rename("pos_embed", "embeddings.position_embeddings"),
      .rename("patch_embed.proj", "embeddings.patch_embeddings.projection"),
      .rename("blocks.*.norm1", "encoder.layer.*.layernorm_before"),
      .rename("blocks.*.norm1", "encoder.layer.*.norm1"),
      .join(
        "blocks.*.attn.qkv",
        ["query", "key", "value"].map { "encoder.layer.*.attention.attention.\($0)" }),
      .rename("blocks.*.attn.proj", "encoder.layer.*.attention.output.dense"),
      .rename("blocks.*.ls1.gamma", "encoder.layer.*.layer_scale1.lambda1"),
      .rename("blocks.*.norm2", "encoder.layer.*.layernorm_after"),
      .rename("blocks.*.norm2", "encoder.layer.*.norm2"),
      .rename("blocks.*.mlp.fc1", "encoder.layer.*.intermediate.dense"),
      .rename("blocks.*.mlp.fc1", "encoder.layer.*.mlp.fc1"),
      .rename("blocks.*.mlp.fc1", "encoder.layer.*.mlp.weights_in"),
      .join(
        "blocks.*.mlp.fc1", ["gate_proj", "up_proj"].map { "encoder.layer.*.mlp.\($0)" }),
      .rename("blocks.*.mlp.fc2", "encoder.layer.*.output.dense"),
      .rename("blocks.*.mlp.fc2", "encoder.layer.*.mlp.fc2"),
      .rename("blocks.*.mlp.fc2", "encoder.layer.*.mlp.weights_out"),
      .rename("blocks.*.mlp.fc2", "encoder.layer.*.mlp.down_proj"),
      .rename("blocks.*.ls2.gamma", "encoder.layer.*.layer_scale2.lambda1"),
      .rename("norm", "layernorm"),
      .rename("head", "classifier"),
      .rename("head", "cls_classifier"),
      .rename("head_dist", "distillation_classifier"),
    ])

  private static let torchvision = KeyMapping(
    "torchvision", signature: ["class_token", "encoder.layers.encoder_layer_0.ln_1.weight"],
    rules: [
      .rename("cls_token", "class_token"),
      .rename("pos_embed", "encoder.pos_embedding"),
      .rename("patch_embed.proj", "conv_proj"),
      .rename("blocks.*.norm1", "encoder.layers.encoder_layer_*.ln_1"),
      .rename(
        "blocks.*.attn.qkv.weight", "encoder.layers.encoder_layer_*.self_attention.in_proj_weight"),
      .rename(
        "blocks.*.attn.qkv.bias", "encoder.layers.encoder_layer_*.self_attention.in_proj_bias"),
      .rename("blocks.*.attn.proj", "encoder.layers.encoder_layer_*.self_attention.out_proj"),
      .rename("blocks.*.norm2", "encoder.layers.encoder_layer_*.ln_2"),
      .rename("blocks.*.mlp.fc1", "encoder.layers.encoder_layer_*.mlp.0"),
      .rename("blocks.*.mlp.fc1", "encoder.layers.encoder_layer_*.mlp.linear_1"),
      .rename("blocks.*.mlp.fc2", "encoder.layers.encoder_layer_*.mlp.3"),
      .rename("blocks.*.mlp.fc2", "encoder.layers.encoder_layer_*.mlp.linear_2"),
      .rename("norm", "encoder.ln"),
      .rename("head", "heads.head"),
    ])

  private static let hdv = KeyMapping(
    "how-do-vits-work",
    signature: ["embedding.0.patch_embedding.1.weight", "transformers.0.attn.to_qkv.weight"],
    rules: [
      .rename("cls_token", "embedding.1.cls_token"),
      .rename("pos_embed", "embedding.2.pos_embedding"),
      .channelsLastPatch("patch_embed.proj.weight", "embedding.0.patch_embedding.1.weight"),
      .rename("patch_embed.proj.bias", "embedding.0.patch_embedding.1.bias"),
      .rename("blocks.*.norm1", "transformers.*.norm1"),
      .rename("blocks.*.attn.qkv", "transformers.*.attn.to_qkv"),
      .rename("blocks.*.attn.proj", "transformers.*.attn.to_out.0"),
      .rename("blocks.*.norm2", "transformers.*.norm2"),
      .rename("blocks.*.mlp.fc1", "transformers.*.ff.net.0"),
      .rename("blocks.*.mlp.fc2", "transformers.*.ff.net.3"),
      .rename("norm", "classifier.1"),
      .rename("head", "classifier.2"),
    ])
}
