import Checkpoints
import StrictJSON

extension PiTConfiguration {
  /// Reads a configuration off names and shapes. Heads, the step between patches and the size of the
  /// images cannot be read: they are taken from `base`, and without one this is an error.
  public static func detect(
    _ weights: WeightsView, base: PiTConfiguration?
  ) throws(ModelError) -> PiTConfiguration {
    var c = base ?? PiTConfiguration()
    (_, c.channels, c.patch) = try weights.patchProjection("patch_embed.conv.weight")
    c.distilled = (try weights.require("cls_token", rank: 3))[1] == 2
    (c.dims, c.depths, c.mlp) = ([], [], [])
    while c.dims.count < 8, weights.has("transformers.\(c.dims.count).blocks.0.norm1.weight") {
      let name = "transformers.\(c.dims.count).blocks"
      c.dims.append(try weights.require("\(name).0.norm1.weight", rank: 1)[0])
      c.mlp.append(try weights.require("\(name).0.mlp.fc1.weight", rank: 2)[0])
      c.depths.append(weights.count { "\(name).\($0).norm1.weight" })
    }
    c.qkvBias = weights.has("transformers.0.blocks.0.attn.qkv.bias")
    c.classes = weights.classes()
    let positions = weights.shape("pos_embed") ?? []
    c.classPosition = positions.count == 3
    let side =
      positions.count == 4 ? positions[2] : squareRoot((positions.dropFirst().first ?? 0) - 1)
    guard let side, side > 0 else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName("pos_embed"))\"",
        found: "shape \(positions)", expected: "[1, D, g, g], or [1, 1 + g², D]")
    }
    c.grid = side
    c.epsilon = base?.epsilon ?? (c.classPosition ? 1e-5 : 1e-6)
    guard base == nil, !weights.settings.contains(where: { $0.member.name == "heads" }) else {
      return c
    }
    throw ModelError(
      .undetermined,
      found: "the number of attention heads cannot be read from weights of widths "
        + c.dims.argument,
      expected: "the widths of a published PiT, or an architecture",
      advice: "Name the architecture before the file: pit(…,heads=A-B-C)@FILE")
  }
}

extension PiTConfiguration {
  /// The arguments of timm's `PoolingVisionTransformer`.
  public static let settings: [ConfigurationSetting<Self>]? = [
    .sets("img_size", "image_size", as: \.imageSize), .sets("heads", as: \.heads),
    .repeats("patch_size", of: \.patch), .sets("stride", as: \.stride),
    .repeats("depth", of: \.depths), .repeats("in_chans", of: \.channels),
    .repeats("distilled", of: \.distilled), .only("global_pool", "token"),
    .only("stem_type", "overlap"), .harmless("base_dims", "mlp_ratio"),
  ]

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

extension PiTConfiguration {
  /// timm's names, the CIFAR-100 model of Park and Kim (2022), and the sizes of their own code.
  public static let variants: [ModelVariant<Self>] =
    sizes.flatMap { size in
      [false, true].map { distilled in
        ModelVariant(
          "pit_\(size.name)" + (distilled ? "_distilled" : "") + "_224",
          make(size) { $0.distilled = distilled }, .imageNet(224, crop: 0.9))
      }
    } + [
      ModelVariant(
        "pit_ti_cifar100",
        make(sizes[0]) {
          ($0.imageSize, $0.patch, $0.stride, $0.grid) = (32, 2, 1, 31)
          $0.classes = 100
        }, .cifar100)
    ]
    + sizes.map { size in
      ModelVariant(
        "hdv_pit_\(size.name)",
        make(size) {
          ($0.classPosition, $0.qkvBias, $0.epsilon) = (true, false, 1e-5)
          // Two of them have other perceptrons than the paper.
          if size.name == "xs" { $0.mlp = [384, 768, 1024] }
          if size.name == "b" { ($0.mlp, $0.patch, $0.grid) = ($0.dims, 16, 30) }
        }, .imageNet(224, crop: 0.875))
    }

  private typealias Size = (
    name: String, patch: Int, base: Int, heads: [Int], depths: [Int], grid: Int
  )

  private static let sizes: [Size] = [
    ("ti", 16, 32, [2, 4, 8], [2, 6, 4], 27), ("xs", 16, 48, [2, 4, 8], [2, 6, 4], 27),
    ("s", 16, 48, [3, 6, 12], [2, 6, 4], 27), ("b", 14, 64, [4, 8, 16], [3, 6, 4], 31),
  ]

  private static func make(_ size: Size, _ change: (inout Self) -> Void) -> Self {
    var c = Self()
    (c.patch, c.stride, c.grid) = (size.patch, size.patch / 2, size.grid)
    (c.heads, c.depths) = (size.heads, size.depths)
    c.dims = size.heads.map { size.base * $0 }
    c.mlp = c.dims.map { 4 * $0 }
    change(&c)
    return c
  }
}
