import Checkpoints

extension PublishedRefinerConfiguration {
  /// The names of zhoudaquan/Refiner_ViT.
  public static let keyMappings = [
    KeyMapping(
      "Refiner_ViT", signature: ["blocks.0.mlp.scale_channel", "blocks.0.attn.qkv.weight"])
  ]

  /// Reads a configuration off names and shapes. Heads show in blocks that refine maps; without any, they
  /// are taken from `base`.
  public static func detect(
    _ weights: WeightsView, base: PublishedRefinerConfiguration?
  ) throws(ModelError) -> PublishedRefinerConfiguration {
    var c = base ?? PublishedRefinerConfiguration()
    (c.embedding, c.channels, c.patch, c.dim, c.grid) = try weights.refinerEmbedding()
    c.depth = weights.count { "blocks.\($0).norm1.weight" }
    c.mlp = try weights.require("blocks.0.mlp.fc1.weight", rank: 2)[0]
    c.qkvBias = weights.has("blocks.0.attn.qkv.bias")
    c.classes = weights.classes()
    c.dense = weights.has("aux_head.weight")
    c.imageSize =
      base?.imageSize ?? Extents(c.grid.multipliedReportingOverflow(by: c.patch).partialValue)
    try c.readBlocks(weights, base: base)
    return c
  }

  private mutating func readBlocks(_ weights: WeightsView, base: Self?) throws(ModelError) {
    (share, transform) = ([], [])
    for index in 0..<depth {
      let rows = try weights.require("blocks.\(index).attn.qkv.weight", rank: 2)[0]
      let sharesMaps = rows == dim
      share.append(sharesMaps ? 1 : 0)
      transform.append(!sharesMaps && weights.has("blocks.\(index).attn.adapt_bn.weight") ? 1 : 0)
    }
    let sharing = share.firstIndex(of: 1)
    let transforming = transform.firstIndex(of: 1)
    guard let any = sharing ?? transforming else {
      guard let base else {
        throw ModelError(
          .undetermined, found: "no block refines its maps: nothing tells the number of heads",
          expected: "an architecture",
          advice: "Name it before the file: \(Self.family)(…,heads=N)@FILE")
      }
      heads = base.heads
      return
    }
    heads = try weights.require("blocks.\(any).attn.adapt_bn.weight", rank: 1)[0]
    let scope = "blocks.\(any).attn.DLA"
    if weights.has("\(scope).conv.weight") {
      refinement = .conv
      kernel = try weights.require("\(scope).conv.weight", rank: 4)[2]
      (expand, transformExpand) = (1, 1)
      return
    }
    refinement = .expand
    kernel = try weights.require("\(scope).depth_sep_conv.weight", rank: 4)[2]
    func ratio(_ block: Int?) throws(ModelError) -> Int? {
      guard let block else { return nil }
      return try weights.require("blocks.\(block).attn.DLA.depth_sep_conv.weight", rank: 4)[0]
        / heads
    }
    let (shared, own) = (try ratio(sharing), try ratio(transforming))
    expand = shared ?? 3
    transformExpand = own ?? expand
  }

  /// The models of the public code.
  public static let variants: [ModelVariant<Self>] = [
    ("S", 384, 16, 12, 0.9), ("M", 420, 32, 12, 1), ("L", 512, 32, 16, 1.13),
  ].map { (name: String, dim: Int, depth: Int, heads: Int, crop: Double) in
    var c = Self()
    (c.dim, c.depth, c.heads, c.mlp) = (dim, depth, heads, 3 * dim)
    (c.share, c.transform) = (alternating(depth), [Int](repeating: 0, count: depth))
    return ModelVariant("Refiner_ViT_\(name)", c, .half(224, crop: crop))
  }
}
