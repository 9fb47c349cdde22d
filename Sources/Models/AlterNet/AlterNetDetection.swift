import Checkpoints
import StrictJSON

extension AlterNetConfiguration {
  /// Reads a configuration off names and shapes. The width of a head is 64 unless `base` says otherwise;
  /// heads of stages without attention are of no meaning and taken from `base`.
  public static func detect(
    _ weights: WeightsView, base: AlterNetConfiguration?
  ) throws(ModelError) -> AlterNetConfiguration {
    var c = base ?? AlterNetConfiguration()
    let stem = try weights.require("stem.conv.weight", rank: 4)
    c.stem = try .init(weights, "stem.conv.weight")
    (c.stemWidth, c.channels) = (stem[0], stem[1])
    c.block = weights.has("layer1.0.conv3.weight") ? .bottleneck : .basic
    c.classes = weights.classes("fc.weight")
    try c.readStages(weights, base: base)
    c.width = c.widths.first ?? 0
    c.imageSize =
      base?.imageSize ?? weights.config?["image_size"].flatMap { Extents(setting: $0) }
      ?? (c.stem == .cifar ? 32 : 224)
    return c
  }

  private mutating func readStages(_ weights: WeightsView, base: Self?) throws(ModelError) {
    (depths, widths, attentions, heads) = ([], [], [], [])
    var windows: [Int] = []
    while weights.has("layer\(depths.count + 1).0.conv1.weight") {
      let stage = depths.count
      let name = "layer\(stage + 1)"
      var isAttention: [Bool] = []
      while true {
        let block = "\(name).\(isAttention.count)"
        if weights.has("\(block).attn.to_q.weight") {
          let table = try weights.require("\(block).attn.pos_embedding", rank: 2)
          guard table[0] == table[1], table[0] % 2 == 1 else {
            throw ModelError(
              .unreadable,
              place: "tensor \"\(weights.foreignName("\(block).attn.pos_embedding"))\"",
              found: "shape \(table)", expected: "two equal odd extents, 2 window - 1")
          }
          windows.append(table[0] / 2 + 1)
          isAttention.append(true)
        } else if weights.has("\(block).conv1.weight") {
          isAttention.append(false)
        } else {
          break
        }
      }
      widths.append(try weights.require("\(name).0.conv1.weight", rank: 4)[0])
      depths.append(isAttention.count)
      attentions.append(isAttention.filter(\.self).count)
      if let first = isAttention.firstIndex(of: true) {
        let rows = try weights.require("\(name).\(first).attn.to_q.weight", rank: 4)[0]
        guard rows.isMultiple(of: headWidth) else {
          throw ModelError(
            .undetermined, found: "queries of \(rows) channels in stage \(stage + 1)",
            expected: "a multiple of the width of a head, \(headWidth)",
            advice: "Name the architecture before the file: alternet(…,head-dim=N)@FILE")
        }
        heads.append(rows / headWidth)
      } else {
        heads.append(
          base.flatMap { $0.heads.indices.contains(stage) ? $0.heads[stage] : nil }
            ?? (stage < 16 ? 3 << stage : 1))
      }
      guard pattern(stage: stage) == isAttention else {
        throw ModelError(
          .unexpected, place: "stage \(stage + 1)",
          found: isAttention.map { $0 ? "attention" : "convolution" }.joined(separator: ", "),
          expected: "convolution blocks, then pairs of a convolution block and an attention block")
      }
    }
    guard Set(windows).count <= 1 else {
      throw ModelError(
        .unexpected, found: "windows of \(windows.map(String.init).joined(separator: ", "))",
        expected: "the same window everywhere")
    }
    window = windows.first ?? base?.window ?? (stem == .cifar ? 4 : 7)
  }
}

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

extension AlterNetConfiguration {
  /// AlterNet-18 to -152 for ImageNet, and for CIFAR-100 with windows of 4.
  public static let variants: [ModelVariant<Self>] =
    sizes.map { name, depths, block in
      ModelVariant(
        "alternet\(name)", make(depths, block) { _ in }, .imageNet(224, crop: 0.875, .bilinear))
    }
    + sizes.map { name, depths, block in
      ModelVariant(
        "alternet\(name)_cifar100",
        make(depths, block) {
          ($0.stem, $0.imageSize, $0.window, $0.classes) = (.cifar, 32, 4, 100)
        }, .cifar100)
    }

  private static let sizes: [(name: Int, depths: [Int], block: Block)] = [
    (18, [2, 2, 2, 2], .basic), (34, [3, 4, 6, 4], .basic), (50, [3, 4, 6, 4], .bottleneck),
    (101, [3, 4, 23, 4], .bottleneck), (152, [3, 8, 36, 4], .bottleneck),
  ]

  private static func make(
    _ depths: [Int], _ block: Block, _ change: (inout Self) -> Void
  ) -> Self {
    var c = Self()
    (c.depths, c.block) = (depths, block)
    c.attentions = c.usualAttentions
    change(&c)
    return c
  }
}
