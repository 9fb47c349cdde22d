import Checkpoints
import StrictJSON

extension ResNetConfiguration {
  /// Reads a configuration off names and shapes. What they do not tell (the size of the images, where strides
  /// stand, what halves maps, the non-linearity) is taken from `base`, or is the usual.
  public static func detect(
    _ weights: WeightsView, base: ResNetConfiguration?
  ) throws(ModelError) -> ResNetConfiguration {
    var c = base ?? ResNetConfiguration()
    try c.readStem(weights)
    c.preActivation = !weights.has("bn1.weight")
    c.block = weights.has("layer1.0.conv3.weight") ? .bottleneck : .basic
    try c.readStages(weights)
    c.width = c.widths.first ?? 0
    c.classes = weights.classes("fc.weight")
    try c.readShortcuts(weights)
    // What was asked for is said again by the caller where it was given.
    if base?.stem != c.stem {
      (c.pool, c.stemStride) = c.stem == .cifar ? (.none, 1) : (.maximum, 2)
    }
    if weights.has("maxpool.0.weight") {
      c.pool = .convolution
    } else if c.pool == .convolution {
      c.pool = .maximum
    }
    if c.dilation.count != c.depths.count { c.dilation = c.depths.map { _ in 1 } }
    c.imageSize =
      base?.imageSize ?? weights.config?["image_size"].flatMap { Extents(setting: $0) }
      ?? (c.stem == .cifar ? 32 : 224)
    if !weights.has("layer1.0.bn1.running_mean") {
      throw ModelError(
        .unexpected, found: "a residual network without running statistics (gn, fixup, nf)",
        expected: "batch normalisation",
        advice: "That is another network, which is not supported")
    }
    return c
  }

  private mutating func readStem(_ weights: WeightsView) throws(ModelError) {
    if weights.has("conv1.0.weight") {
      stem = .deep
      let first = try weights.require("conv1.0.weight", rank: 4)
      let second = try weights.require("conv1.3.weight", rank: 4)
      stemWidth = try weights.require("conv1.6.weight", rank: 4)[0]
      (channels, stemWidths) = (first[1], [first[0], second[0]])
      return
    }
    let shape = try weights.require("conv1.weight", rank: 4)
    stem = try Stem(weights, "conv1.weight")
    (stemWidth, channels, stemWidths) = (shape[0], shape[1], [shape[0] / 2, shape[0] / 2])
  }

  private mutating func readStages(_ weights: WeightsView) throws(ModelError) {
    (depths, widths, outs, squeeze, groups) = ([], [], [], [], 1)
    (gate, squeezeBias, nonLocal, nonLocalWidths) = (.squeeze, true, [], [])
    (nonLocalNorm, nonLocalPool) = (true, true)
    while weights.has("layer\(depths.count + 1).0.conv1.weight") {
      let name = "layer\(depths.count + 1)"
      widths.append(try weights.require("\(name).0.conv1.weight", rank: 4)[0])
      try readMembers(weights, of: name)
      let last = block == .basic ? "conv2" : "conv3"
      outs.append(try weights.require("\(name).0.\(last).weight", rank: 4)[0])
      for (kind, layer) in Self.gates {
        if let reduced = weights.shape("\(name).0.se.\(layer).weight")?.first {
          (gate, squeezeBias) = (kind, weights.has("\(name).0.se.\(layer).bias"))
          squeeze.append(reduced)
        }
      }
      if block == .bottleneck {
        let spatial = try weights.require("\(name).0.conv2.weight", rank: 4)[1]
        let own = (widths.last ?? 0) / max(1, spatial)
        guard depths.count == 1 || own == groups else {
          throw ModelError(
            .unexpected, place: "tensor \"\(weights.foreignName("\(name).0.conv2.weight"))\"",
            found: "\(own) groups", expected: "\(groups), as in the stages before")
        }
        groups = max(1, own)
      }
    }
  }

  /// The layer of each kind of gate that makes the channels inside.
  private static let gates: [(Gate, String)] = [
    (.squeeze, "fc1"), (.nonLocal, "t"), (.context, "mlp_scale.fc1"),
    (.addedContext, "mlp_add.fc1"),
  ]

  /// Residual blocks of a stage, and non-local blocks among them.
  private mutating func readMembers(
    _ weights: WeightsView, of name: String
  ) throws(ModelError) {
    let before = depths.reduce(0, +)
    var (member, blocks) = (0, 0)
    while true {
      if weights.has("\(name).\(member).conv1.weight") {
        blocks += 1
      } else if let theta = weights.shape("\(name).\(member).theta.weight"), blocks > 0 {
        if nonLocal.isEmpty {
          nonLocalPool = weights.has("\(name).\(member).g.0.weight")
          nonLocalNorm = weights.has("\(name).\(member).W.1.weight")
        }
        nonLocal.append(before + blocks - 1)
        nonLocalWidths.append(theta.first ?? 0)
      } else {
        break
      }
      member += 1
    }
    depths.append(blocks)
  }

  private mutating func readShortcuts(_ weights: WeightsView) throws(ModelError) {
    averageDown = false
    let inputs = [stemWidth] + outs
    let fits = zip(inputs, outs).enumerated().map { stage, widths in
      stage == 0 && widths.0 == widths.1 && firstStride == 1
    }
    guard let stage = fits.firstIndex(of: false) else { return }
    let down = "layer\(stage + 1).0.downsample"
    averageDown = weights.shape("\(down).1.weight")?.count == 4
    if averageDown || weights.has("\(down).0.weight") {
      shortcut = .projection
    } else if shortcut == .projection, stem == .cifar, !preActivation {
      // The form of He et al. 2016 for CIFAR has shortcuts without parameters.
      shortcut = .padded
    }
  }

  /// What names and shapes do not tell, and what neighbours make doubtful.
  public static func doubts(_ weights: WeightsView) -> String? {
    let names = weights.contents.names
    let segments = names.contains {
      $0.hasPrefix("aux_classifier.") || $0.hasPrefix("classifier.4.") || $0.contains("aspp")
        || $0.hasPrefix("decode_head.") || $0.hasPrefix("auxiliary_head.")
    }
    return segments
      ? "the file is of a segmentation network, whose backbone often has dilated convolutions: "
        + "strides are assumed to be those of a classifier; say dilation=1-1-2-4 (output stride 8) or "
        + "1-1-1-2 (16) if they are not" : nil
  }
}
extension ResNetConfiguration {
  /// torchvision (and timm, with one convolution in the stem or three), Hugging Face, the two forms of
  /// xxxnell/how-do-vits-work, weiaicunzai/pytorch-cifar100, and a list of torchvision's children.
  public static let keyMappings = [
    torchvision, deepStem, huggingFace, hdv, hdvPreActivation, weiaicunzai, children,
  ]

  /// A pre-activation network by our own names stands here too: `layer1.0.bn1` before `conv1`.
  private static let torchvision = KeyMapping(
    "torchvision", signature: ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight"],
    rules: common)

  private static let deepStem = KeyMapping(
    "timm", signature: ["conv1.0.weight", "conv1.6.weight", "layer1.0.conv1.weight"], rules: common)

  /// `linear` and `shortcut` are what the usual networks for CIFAR say for `fc` and `downsample`.
  private static let common: [KeyMapping.Rule] =
    [.rename("fc", "fc"), .rename("fc", "linear")]
    + ["downsample", "shortcut"].map { .rename("*.*.downsample", "*.*.\($0)") }
    + ["se", "se_module"].flatMap { gate in
      ["fc1", "fc2"].flatMap { layer -> [KeyMapping.Rule] in
        [
          .reshape("*.*.se.\(layer).weight", "*.*.\(gate).\(layer).weight"),
          .rename("*.*.se.\(layer).bias", "*.*.\(gate).\(layer).bias"),
        ]
      }
    }

  /// `nn.Sequential(*model.children())`, by number; fastai puts it first in a list with a head.
  private static let children = KeyMapping(
    "numbers of children", signature: ["0.weight", "1.running_mean", "4.0.conv1.weight"],
    rules: [.rename("conv1", "0"), .rename("bn1", "1")]
      + (1...4).flatMap { stage -> [KeyMapping.Rule] in
        let (own, theirs) = ("layer\(stage)", "\(stage + 3)")
        return ["fc1", "fc2"].map {
          .reshape("\(own).*.se.\($0).weight", "\(theirs).*.se.\($0).weight")
        } + [.rename(own, theirs)]
      } + [.rename("fc", "9"), .rename("fc", "10")])

  private static let weiaicunzai = KeyMapping(
    "pytorch-cifar100", signature: ["conv1.0.weight", "conv2_x.0.residual_function.0.weight"],
    rules: [.rename("conv1", "conv1.0"), .rename("bn1", "conv1.1")]
      + (1...4).flatMap { stage -> [KeyMapping.Rule] in
        let (own, theirs) = ("layer\(stage).*", "conv\(stage + 1)_x.*")
        return (1...3).flatMap { place -> [KeyMapping.Rule] in
          [
            .rename("\(own).conv\(place)", "\(theirs).residual_function.\(3 * place - 3)"),
            .rename("\(own).bn\(place)", "\(theirs).residual_function.\(3 * place - 2)"),
          ]
        } + [.rename("\(own).downsample", "\(theirs).shortcut")]
      })

  private static let huggingFace = KeyMapping(
    "Hugging Face",
    signature: [
      "embedder.embedder.convolution.weight",
      "encoder.stages.0.layers.0.layer.0.convolution.weight",
    ],
    rules: [
      .rename("conv1", "embedder.embedder.convolution"),
      .rename("bn1", "embedder.embedder.normalization"),
      .rename("fc", "classifier.1"),
    ]
      + (0..<8).flatMap { stage in
        let (own, theirs) = ("layer\(stage + 1).*", "encoder.stages.\(stage).layers.*")
        return [
          .rename("\(own).downsample.0", "\(theirs).shortcut.convolution"),
          .rename("\(own).downsample.1", "\(theirs).shortcut.normalization"),
        ]
          + (0..<3).flatMap { place in
            [
              KeyMapping.Rule.rename(
                "\(own).conv\(place + 1)", "\(theirs).layer.\(place).convolution"),
              .rename("\(own).bn\(place + 1)", "\(theirs).layer.\(place).normalization"),
            ]
          }
      })

  private static let hdv = KeyMapping(
    "how-do-vits-work", signature: ["layer0.0.weight", "layer1.0.conv1.0.weight"],
    rules: [
      .rename("conv1", "layer0.0"), .rename("bn1", "layer0.1"),
      .rename("fc", "classifier.0.dense"),
      .rename("*.*.downsample.0", "*.*.shortcut.0"), .rename("*.*.downsample.1", "*.*.shortcut.1"),
      .rename("*.*.conv1", "*.*.conv1.0"), .rename("*.*.bn1", "*.*.conv1.1"),
      .rename("*.*.conv2", "*.*.conv2.0"), .rename("*.*.bn2", "*.*.conv2.1"),
      .rename("*.*.conv3", "*.*.conv3.0"), .rename("*.*.bn3", "*.*.conv3.1"),
      .rename("*.*.se.fc1", "*.*.gate.ff.0"), .rename("*.*.se.fc2", "*.*.gate.ff.2"),
    ])

  private static let hdvPreActivation = KeyMapping(
    "how-do-vits-work, pre-activation", signature: ["layer0.0.weight", "layer1.0.bn.weight"],
    rules: [
      .rename("conv1", "layer0.0"),
      .rename("fc", "classifier.0.dense"), .rename("norm", "classifier.0.bn"),
      .rename("*.*.downsample.0", "*.*.shortcut.0"),
      .rename("*.*.bn1", "*.*.bn"), .rename("*.*.conv1", "*.*.conv1"),
      .rename("*.*.bn2", "*.*.conv2.0"), .rename("*.*.conv2", "*.*.conv2.2"),
      .rename("*.*.bn3", "*.*.conv3.0"), .rename("*.*.conv3", "*.*.conv3.2"),
    ])
}

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
