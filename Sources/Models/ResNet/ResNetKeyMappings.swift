extension ResNetConfiguration {
  /// torchvision (and timm), Hugging Face, and the two forms of xxxnell/how-do-vits-work.
  public static let keyMappings = [torchvision, huggingFace, hdv, hdvPreActivation]

  /// A pre-activation network by our own names stands here too: `layer1.0.bn1` before `conv1`.
  private static let torchvision = KeyMapping(
    "torchvision", signature: ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight"])

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
