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
