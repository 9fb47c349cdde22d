import Checkpoints

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
    guard base == nil else { return c }
    throw ModelError(
      .undetermined,
      found: "the number of attention heads cannot be read from weights of widths "
        + c.dims.argument,
      expected: "the widths of a published PiT, or an architecture",
      advice: "Name the architecture before the file: pit(…,heads=A-B-C)@FILE")
  }
}
