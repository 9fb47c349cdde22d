import Checkpoints

extension ViTConfiguration {
  /// timm (and facebookresearch/deit, facebookresearch/dinov2), Hugging Face, torchvision,
  /// xxxnell/how-do-vits-work, lucidrains/vit-pytorch in two forms, google-research/vision_transformer, and
  /// the image towers of open_clip (and OpenAI) and of Hugging Face's CLIP.
  public static let keyMappings =
    [
      timm, huggingFace, torchvision, hdv, lucidrains, lucidrainsOld, jax, openCLIP,
      huggingFaceCLIP,
    ] + transformers

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
    rules: huggingFaceRules(
      blocks: "encoder.layer",
      [
        .join(
          "blocks.*.attn.qkv",
          ["query", "key", "value"].map { "encoder.layer.*.attention.attention.\($0)" }),
        .rename("blocks.*.attn.proj", "encoder.layer.*.attention.output.dense"),
        .rename("blocks.*.mlp.fc1", "encoder.layer.*.intermediate.dense"),
        .rename("blocks.*.mlp.fc1", "encoder.layer.*.mlp.weights_in"),
        .rename("blocks.*.mlp.fc2", "encoder.layer.*.output.dense"),
        .rename("blocks.*.mlp.fc2", "encoder.layer.*.mlp.weights_out"),
      ]))

  /// Names that transformers has in memory since version 5, as in files that other trainers save: those of
  /// `save_pretrained` are still the older ones. ViT and DeiT, and DINOv2.
  private static let transformers = ["layers", "encoder.layer"].map { blocks in
    KeyMapping(
      "Hugging Face",
      signature: ["embeddings.cls_token", "\(blocks).0.attention.q_proj.weight"],
      ignored: ["*pooler.*", "*embeddings.mask_token"],
      rules: huggingFaceRules(
        blocks: blocks,
        [
          .join("blocks.*.attn.qkv", ["q", "k", "v"].map { "\(blocks).*.attention.\($0)_proj" }),
          .rename("blocks.*.attn.proj", "\(blocks).*.attention.o_proj"),
        ]))
  }

  /// What the names of transformers have in common.
  ///
  /// - Parameter own: the rules of one form: of attention, and of older perceptrons.
  private static func huggingFaceRules(
    blocks: String, _ own: [KeyMapping.Rule]
  ) -> [KeyMapping.Rule] {
    own + [
      .rename("cls_token", "embeddings.cls_token"),
      .rename("dist_token", "embeddings.distillation_token"),
      .rename("reg_token", "embeddings.register_tokens"),
      .rename("pos_embed", "embeddings.position_embeddings"),
      .rename("patch_embed.proj", "embeddings.patch_embeddings.projection"),
      .rename("blocks.*.norm1", "\(blocks).*.layernorm_before"),
      .rename("blocks.*.norm1", "\(blocks).*.norm1"),
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
    ]
  }

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

  // MARK: vit-pytorch

  /// Attention and perceptron are modules with their norms inside.
  private static let lucidrains = lucidrains(
    "vit-pytorch", qkv: "0.to_qkv", out: "0.to_out.0", norm2: "1.net.0", fc1: "1.net.1",
    fc2: "1.net.4")

  /// Each stands in a module that normalises first: `fn`.
  private static let lucidrainsOld = lucidrains(
    "vit-pytorch of 2021", qkv: "0.fn.to_qkv", out: "0.fn.to_out.0", norm2: "1.norm",
    fc1: "1.fn.net.0", fc2: "1.fn.net.3")

  private static func lucidrains(
    _ name: String, qkv: String, out: String, norm2: String, fc1: String, fc2: String
  ) -> KeyMapping {
    KeyMapping(
      name, signature: ["pos_embedding", "transformer.layers.0.\(qkv).weight"],
      rules: [
        .reshape("cls_token", "cls_token"), .reshape("pos_embed", "pos_embedding"),
        .rename("blocks.*.norm1", "transformer.layers.*.0.norm"),
        .rename("blocks.*.attn.qkv", "transformer.layers.*.\(qkv)"),
        .rename("blocks.*.attn.proj", "transformer.layers.*.\(out)"),
        .rename("blocks.*.norm2", "transformer.layers.*.\(norm2)"),
        .rename("blocks.*.mlp.fc1", "transformer.layers.*.\(fc1)"),
        .rename("blocks.*.mlp.fc2", "transformer.layers.*.\(fc2)"),
        .rename("norm", "transformer.norm"), .rename("norm", "mlp_head.0"),
        .rename("head", "mlp_head"), .rename("head", "mlp_head.1"),
      ],
      derivedRules: { names in
        // Norms before and after the projection came later.
        let hasNorms = names.contains("to_patch_embedding.3.weight")
        let projection = "to_patch_embedding.\(hasNorms ? 2 : 1)"
        let norms: [KeyMapping.Rule] =
          hasNorms
          ? [
            .rename("patch_embed.input_norm", "to_patch_embedding.1"),
            .rename("patch_embed.norm", "to_patch_embedding.3"),
          ] : []
        return norms + [
          .channelsLastPatch("patch_embed.proj.weight", "\(projection).weight"),
          .rename("patch_embed.proj.bias", "\(projection).bias"),
        ]
      })
  }

  // MARK: JAX

  private static let jax: KeyMapping = {
    let block = "Transformer.encoderblock_*"
    // The numbers are those of the first release, and of big_vision.
    let attention = [1, 0].flatMap { number -> [KeyMapping.Rule] in
      let theirs = "\(block).MultiHeadDotProductAttention_\(number)"
      let parts = ["query", "key", "value"].map { "\(theirs).\($0)" }
      return [
        .outputsLast("blocks.*.attn.qkv.weight", parts.map { "\($0).kernel" }),
        .outputsLast("blocks.*.attn.qkv.bias", parts.map { "\($0).bias" }, inputs: 0),
        .outputsLast("blocks.*.attn.proj.weight", ["\(theirs).out.kernel"], inputs: 2),
        .rename("blocks.*.attn.proj.bias", "\(theirs).out.bias"),
      ]
    }
    let mlp = [3, 0].flatMap { number in
      [0, 1].flatMap {
        KeyMapping.Rule.jaxDense(
          "blocks.*.mlp.fc\($0 + 1)", "\(block).MlpBlock_\(number).Dense_\($0)")
      }
    }
    return KeyMapping(
      "JAX", signature: ["embedding/kernel", "Transformer/encoderblock_0/LayerNorm_0/scale"],
      ignored: ["pre_logits/*", "opt/state/*"],
      rules: [
        .rename("cls_token", "cls"),
        .rename("pos_embed", "Transformer.posembed_input.pos_embedding"),
      ] + KeyMapping.Rule.jaxDense("patch_embed.proj", "embedding", inputs: 3)
        + KeyMapping.Rule.jaxNorm("blocks.*.norm1", "\(block).LayerNorm_0") + attention
        + KeyMapping.Rule.jaxNorm("blocks.*.norm2", "\(block).LayerNorm_2")
        + KeyMapping.Rule.jaxNorm("blocks.*.norm2", "\(block).LayerNorm_1") + mlp
        + KeyMapping.Rule.jaxNorm("norm", "Transformer.encoder_norm")
        + KeyMapping.Rule.jaxDense("head", "head"),
      separator: "/")
  }()

  // MARK: CLIP

  private static let openCLIP = KeyMapping(
    "open_clip",
    signature: [
      "class_embedding", "conv1.weight", "transformer.resblocks.0.attn.in_proj_weight",
      "ln_post.weight",
    ],
    ignored: [
      "transformer.*", "token_embedding.*", "positional_embedding", "ln_final.*",
      "text_projection*",
      "logit_scale", "logit_bias", "attn_mask", "text.*", "input_resolution", "context_length",
      "vocab_size",
    ],
    rules: [
      .reshape("cls_token", "class_embedding"),
      .reshape("pos_embed", "positional_embedding"),
      .rename("patch_embed.proj", "conv1"),
      .rename("norm_pre", "ln_pre"),
      .rename("blocks.*.norm1", "transformer.resblocks.*.ln_1"),
      .rename("blocks.*.attn.qkv.weight", "transformer.resblocks.*.attn.in_proj_weight"),
      .rename("blocks.*.attn.qkv.bias", "transformer.resblocks.*.attn.in_proj_bias"),
      .rename("blocks.*.attn.proj", "transformer.resblocks.*.attn.out_proj"),
      .rename("blocks.*.ls1.gamma", "transformer.resblocks.*.ls_1.gamma"),
      .rename("blocks.*.norm2", "transformer.resblocks.*.ln_2"),
      .rename("blocks.*.mlp.fc1", "transformer.resblocks.*.mlp.c_fc"),
      .rename("blocks.*.mlp.fc2", "transformer.resblocks.*.mlp.c_proj"),
      .rename("blocks.*.ls2.gamma", "transformer.resblocks.*.ls_2.gamma"),
      .rename("norm", "ln_post"),
      .outputsLast("projection.weight", ["proj"]),
    ])

  private static let huggingFaceCLIP = KeyMapping(
    "Hugging Face CLIP",
    signature: [
      "vision_model.embeddings.class_embedding",
      "vision_model.encoder.layers.0.self_attn.q_proj.weight",
    ],
    ignored: ["text_model.*", "text_projection.*", "logit_scale", "*position_ids"],
    rules: [
      .reshape("cls_token", "vision_model.embeddings.class_embedding"),
      .reshape("pos_embed", "vision_model.embeddings.position_embedding.weight"),
      .rename("patch_embed.proj", "vision_model.embeddings.patch_embedding"),
      .rename("norm_pre", "vision_model.pre_layrnorm"),
      .rename("blocks.*.norm1", "vision_model.encoder.layers.*.layer_norm1"),
      .join(
        "blocks.*.attn.qkv",
        ["q", "k", "v"].map { "vision_model.encoder.layers.*.self_attn.\($0)_proj" }),
      .rename("blocks.*.attn.proj", "vision_model.encoder.layers.*.self_attn.out_proj"),
      .rename("blocks.*.norm2", "vision_model.encoder.layers.*.layer_norm2"),
      .rename("blocks.*.mlp", "vision_model.encoder.layers.*.mlp"),
      .rename("norm", "vision_model.post_layernorm"),
      .rename("projection", "visual_projection"),
    ])
}
