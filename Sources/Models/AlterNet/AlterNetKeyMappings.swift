extension AlterNetConfiguration {
  /// xxxnell/how-do-vits-work, and the names of our residual networks.
  public static let keyMappings = [own, hdv]

  private static let own = KeyMapping(
    "vitprobe", signature: ["stem.conv.weight", "layer1.0.bn1.weight"])

  private static let hdv = KeyMapping(
    "how-do-vits-work", signature: ["layer0.layer0.0.weight", "layer1.0.bn.weight"],
    rules: [
      .rename("stem.conv", "layer0.layer0.0"),
      .rename("fc", "classifier.0.dense"), .rename("norm", "classifier.0.bn"),
      .rename("*.*.downsample.0", "*.*.shortcut.0"),
      .rename("*.*.bn1", "*.*.bn"), .rename("*.*.conv1", "*.*.conv1"),
      .rename("*.*.bn2", "*.*.conv2.0"), .rename("*.*.conv2", "*.*.conv2.2"),
      .rename("*.*.bn3", "*.*.conv3.0"), .rename("*.*.conv3", "*.*.conv3.2"),
      .rename("*.*.attn.to_q", "*.*.attn.attn.to_q"),
      .rename("*.*.attn.to_kv", "*.*.attn.attn.to_kv"),
      .rename("*.*.attn.to_out", "*.*.attn.attn.to_out.0"),
    ])
}
