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
