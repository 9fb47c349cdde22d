extension PiTConfiguration {
  /// timm before 0.9, naver-ai/pit, timm, and xxxnell/how-do-vits-work.
  public static let keyMappings = [timmBefore2023, naver, timm, hdv]

  /// Pooling belongs to the stage before it.
  private static let timmBefore2023 = KeyMapping(
    "timm before 0.9",
    signature: ["transformers.0.blocks.0.attn.qkv.weight", "transformers.0.pool.conv.weight"])

  private static let naver = KeyMapping(
    "naver-ai",
    signature: ["transformers.0.blocks.0.attn.qkv.weight", "pools.0.conv.weight"],
    rules: [.rename("transformers.*.pool", "pools.*")])

  /// Pooling belongs to the stage after it.
  private static let timm = KeyMapping(
    "timm", signature: ["transformers.0.blocks.0.attn.qkv.weight", "patch_embed.conv.weight"],
    rules: (0..<8).map { .rename("transformers.\($0).pool", "transformers.\($0 + 1).pool") })

  /// Blocks and pools are members of one list.
  private static let hdv = KeyMapping(
    "how-do-vits-work",
    signature: ["embedding.0.patch_embedding.2.weight", "transformers.0.attn.to_qkv.weight"],
    rules: [
      .rename("cls_token", "embedding.1.cls_token"),
      .rename("pos_embed", "embedding.2.pos_embedding"),
      .reshape("patch_embed.conv.weight", "embedding.0.patch_embedding.2.weight"),
      .rename("patch_embed.conv.bias", "embedding.0.patch_embedding.2.bias"),
      .rename("norm", "classifier.1"), .rename("head", "classifier.2"),
    ]
  ) { names in
    var rules: [KeyMapping.Rule] = []
    var (stage, block, member) = (0, 0, 0)
    while true {
      let theirs = "transformers.\(member)"
      if names.contains("\(theirs).cls_ff.weight") {
        rules += [
          .rename("transformers.\(stage).pool.conv", "\(theirs).downsample.net.0"),
          .rename("transformers.\(stage).pool.fc", "\(theirs).cls_ff"),
        ]
        (stage, block) = (stage + 1, 0)
      } else if names.contains("\(theirs).attn.to_qkv.weight") {
        let own = "transformers.\(stage).blocks.\(block)"
        rules += [
          .rename("\(own).norm1", "\(theirs).norm1"), .rename("\(own).norm2", "\(theirs).norm2"),
          .rename("\(own).attn.qkv", "\(theirs).attn.to_qkv"),
          .rename("\(own).attn.proj", "\(theirs).attn.to_out.0"),
          .rename("\(own).mlp.fc1", "\(theirs).ff.net.0"),
          .rename("\(own).mlp.fc2", "\(theirs).ff.net.3"),
        ]
        block += 1
      } else {
        return rules
      }
      member += 1
    }
  }
}
