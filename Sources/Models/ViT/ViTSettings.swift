import StrictJSON

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
