import Checkpoints
import StrictJSON

extension SwinConfiguration {
  /// Reads a configuration off names and shapes. The size of the images cannot be read, but for files
  /// that hold the masks of shifted windows: it is taken from `base`, `config.json`, or such that the
  /// last stage is one window.
  public static func detect(
    _ weights: WeightsView, base: SwinConfiguration?
  ) throws(ModelError) -> SwinConfiguration {
    var c = base ?? SwinConfiguration()
    let patches = try weights.require("patch_embed.proj.weight", rank: 4)
    (c.dim, c.channels, c.patch) = (patches[0], patches[1], patches[2])
    (c.depths, c.heads, c.windows) = ([], [], [])
    while c.depths.count < 8, weights.has(Self.table(c.depths.count)) {
      let stage = c.depths.count
      let table = try weights.require(Self.table(stage), rank: 2)
      guard let side = squareRoot(table[0]), side % 2 == 1 else {
        throw ModelError(
          .unreadable, place: "tensor \"\(weights.foreignName(Self.table(stage)))\"",
          found: "\(table[0]) rows", expected: "(2w - 1)² for windows of w x w tokens")
      }
      c.windows.append((side + 1) / 2)
      c.heads.append(table[1])
      c.depths.append(weights.count { "layers.\(stage).blocks.\($0).norm1.weight" })
    }
    c.window = c.windows.max() ?? 0
    let hidden = try weights.require("layers.0.blocks.0.mlp.fc1.weight", rank: 2)[0]
    c.mlpRatio = max(1, hidden / c.dim)
    c.qkvBias = weights.has("layers.0.blocks.0.attn.qkv.bias")
    c.classes = weights.classes()
    switch weights.keyMapping.name {
    case "torchvision", "Hugging Face": c.padding = .beforeShift
    default: c.padding = .afterShift
    }
    try c.readSettings(weights, base: base)
    return c
  }

  private static func table(_ stage: Int) -> String {
    "layers.\(stage).blocks.0.attn.relative_position_bias_table"
  }

  private mutating func readSettings(_ weights: WeightsView, base: Self?) throws(ModelError) {
    let config = weights.config
    try weights.requireSetting("embed_dim", dim)
    try weights.requireSetting("patch_size", patch)
    try weights.requireSetting("window_size", window)
    epsilon = config?["layer_norm_eps"]?.doubleValue ?? base?.epsilon ?? 1e-5
    if let known = base?.imageSize ?? config?["image_size"].flatMap({ Extents(setting: $0) }) {
      imageSize = known
      return
    }
    // A mask for each window of the first stage.
    if let mask = weights.shape("layers.0.blocks.1.attn_mask", rank: 3),
      let windows = squareRoot(mask[0]), windows <= 4096, let first = self.windows.first
    {
      imageSize = Extents(windows * first * min(patch, 4096))
      return
    }
    let first = patch.multipliedReportingOverflow(by: window).partialValue
    imageSize = Extents(first.doubled(max(0, depths.count - 1)))
  }

  /// Names of timm whose networks are related and not the same.
  public static func reasonAgainst(variant: String) -> String? {
    guard variant.hasPrefix("swinv2") || variant.hasPrefix("swin_v2") else { return nil }
    return
      "\(variant) is a Swin V2 (cosine attention, positions from a network), which is not supported"
  }

  /// Swin V2: its positions come from a network.
  public static func reasonAgainst(names: [String]) -> String? {
    guard names.contains(where: { $0.hasSuffix("blocks.0.attn.cpb_mlp.0.weight") }) else {
      return nil
    }
    return
      "weights of a Swin V2 (cosine attention, positions from a network), which is not supported"
  }
}
