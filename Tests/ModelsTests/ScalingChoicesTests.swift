import Checkpoints
import Models
import Tensors
import Testing

/// The choices of Zhai et al. (2022) for every vision transformer that has a name: no class token, and a mean of all places,
/// before or behind the normalisation, or attention as the head. One block of each: all are alike.
@Suite struct ScalingChoicesTests {
  static let heads: [ViTConfiguration.Pool] = [.average, .normalisedAverage, .attention]

  @Test(arguments: ViTConfiguration.variantNames)
  func everyVariantTakesThem(_ name: String) throws {
    var c = try #require(Architecture(name).configuration as? ViTConfiguration)
    (c.depth, c.distillationToken, c.distillationHead, c.registers) = (1, false, false, 0)
    (c.poolsPrefix, c.classToken, c.pool) = (false, true, .average)
    let withToken = try ModelSummary(Architecture(c)).parameterCount
    c.classToken = false
    for pool in Self.heads {
      c.pool = pool
      let summary = try ModelSummary(Architecture(c))
      let embedded = try #require(summary.taps.first { $0.tap.name == "embed" })
      #expect(embedded.shape.dimensions == [1, c.grid * c.grid, c.dim])
      let names = summary.parameters.map(\.name)
      #expect(!names.contains { $0.hasSuffix("cls_token") })
      #expect(names.contains("attn_pool.latent") == (pool == .attention))
      if pool == .average {
        // The token itself, and its position where it has one.
        let rows = c.positions == .patches ? 1 : 2
        #expect(withToken - summary.parameterCount == rows * c.dim)
      }
      let stored = summary.parameters.map { ($0.name, $0.storedShape) }
      try withHollowCheckpoint(stored) { checkpoint in
        let folder = String(checkpoint.path.dropLast("/model.safetensors".count))
        let told = "vit(dim=\(c.dim),inner=\(c.inner),heads=\(c.heads))"
        try writeText(#"{"architecture":"\#(told)"}"#, to: folder + "/config.json")
        let found = try #require(
          ModelLoader.detect(Checkpoint.open(folder)).configuration as? ViTConfiguration)
        #expect(!found.classToken && found.pool == pool)
        #expect(found.prefixTokens == 0)
      }
    }
  }
}
