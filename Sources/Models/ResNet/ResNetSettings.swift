import StrictJSON

extension ResNetConfiguration {
  /// Hugging Face's `config.json` of ResNet, timm's `model_args`.
  public static let settings: [ConfigurationSetting<Self>]? = [
    .only("model_type", "resnet", "timm_wrapper"), .only("auto_map"), .only("quantization_config"),
    // Sizes.
    .repeats("embedding_size", of: \.stemWidth),
    .repeats("hidden_sizes", of: \.outs),
    .repeats("depths", "layers", of: \.depths),
    .repeats("num_channels", "in_chans", of: \.channels),
    .repeats("cardinality", of: \.groups),
    .repeats("avg_down", of: \.averageDown),
    .checks("layer_type", "block") { c, json in
      let own = c.block == .basic ? ["basic", "BasicBlock"] : ["bottleneck", "Bottleneck"]
      return json.stringValue.map(own.contains) ?? false ? nil : own[0]
    },
    .checks("channels") { c, json in
      let planes = c.outs.map { $0 / c.block.expansion }
      return [Int](setting: json) == planes ? nil : planes.argument
    },
    .checks("replace_stem_pool") { c, json in
      json.boolValue == (c.pool == .convolution) ? nil : "\(c.pool == .convolution)"
    },
    .checks("block_args") { c, json in
      let names = Set((json.objectValue ?? []).map(\.name))
      let isGate =
        json["attn_layer"]?.stringValue == c.gate.rawValue
        && names.isSubset(of: ["attn_layer", "rd_ratio"])
      return c.squeeze.isEmpty
        ? (names.isEmpty ? nil : "none") : isGate ? nil : "attn_layer \(c.gate.rawValue)"
    },
    // What neither names nor shapes tell.
    ConfigurationSetting(keys: ["hidden_act"], sets: [\Self.act, \Self.innerAct]) { c, json in
      guard let act = json.stringValue.flatMap({ ActivationFunction.words[$0] }) else {
        return .init(isConflict: false, expected: ActivationFunction.expectedWords)
      }
      // transformers does not pass it on to the convolutions inside blocks.
      (c.act, c.innerAct) = (act, .relu)
      return nil
    },
    ConfigurationSetting(keys: ["act_layer"], sets: [\Self.act, \Self.innerAct]) { c, json in
      guard let act = json.stringValue.flatMap({ ActivationFunction.words[$0] }) else {
        return .init(isConflict: false, expected: ActivationFunction.expectedWords)
      }
      (c.act, c.innerAct) = (act, act)
      return nil
    },
    ConfigurationSetting(keys: ["downsample_in_bottleneck"], sets: [\Self.downsample]) { c, json in
      guard let inFirst = json.boolValue else {
        return .init(isConflict: false, expected: "true or false")
      }
      if c.block == .bottleneck { c.downsample = inFirst ? .first : .second }
      return nil
    },
    ConfigurationSetting(keys: ["downsample_in_first_stage"], sets: [\Self.firstStride]) {
      c, json in
      guard let halves = json.boolValue else {
        return .init(isConflict: false, expected: "true or false")
      }
      c.firstStride = halves ? 2 : 1
      return nil
    },
    ConfigurationSetting(keys: ["output_stride"], sets: [\Self.dilation]) { c, json in
      let known = [32: [1, 1, 1, 1], 16: [1, 1, 1, 2], 8: [1, 1, 2, 4]]
      guard c.depths.count == 4, let dilation = json.intValue.flatMap({ known[$0] }) else {
        return .init(isConflict: false, expected: "32, 16 or 8, with four stages")
      }
      c.dilation = dilation
      return nil
    },
    .sets(
      "aa_layer", as: \.antialias,
      [
        "blur": .blur, "blurpool": .blur, "BlurPool2d": .blur, "avg": .average,
        "avgpool": .average, "AvgPool2d": .average,
      ]),
    .only("norm_layer", "batchnorm2d", "batchnorm", "BatchNorm2d"),
    .only("global_pool", "avg"), .only("block_reduce_first", 1), .only("down_kernel_size", 1),
    // Training, and what shapes tell.
    .harmless("base_width", "do_pooling", "drop_path", "image_size", "stem_type", "stem_width"),
  ]

  /// Names of timm whose networks share the block structure and nothing else.
  public static func reasonAgainst(variant: String) -> String? {
    guard ["resnet", "resnext", "senet", "resnest"].contains(where: variant.contains) else {
      return nil
    }
    return "\(variant) is another network than a residual network of the forms known here, and is "
      + "not supported"
  }
}
