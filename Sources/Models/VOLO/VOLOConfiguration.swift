import Checkpoints
import StrictJSON
import Tensors

/// Vision outlookers (Yuan et al. 2021; sail-sg/volo): outlook attention on a fine map, then transformer blocks on
/// one of half its side, then attention of a class token.
public struct VOLOConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch of the first stage in pixels, even.
  public var patch = 8
  /// Blocks of each stage; the first are outlookers.
  public var depths = [4, 4, 8, 2]
  /// Width of a token in each stage; all but the first are equal.
  public var dims = [192, 384, 384, 384]
  /// Attention heads of each stage.
  public var heads = [6, 12, 12, 12]
  /// Channels of the stem.
  public var stemWidth = 64
  /// Width inside the perceptron for each channel.
  public var mlpRatio = 3
  /// Blocks of class attention.
  public var classBlocks = 2
  /// Whether a second head scores every token, and its largest scores are added by half.
  public var tokenHead = true
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Side of the grid of the second stage, which positions are stored for.
  public var grid = 14
  /// Colour channels.
  public var channels = 3
  /// Epsilon of normalisations.
  public var epsilon = 1e-5

  /// VOLO-D1 at 224.
  public init() {}

  /// `volo`.
  public static let family = "volo"
  /// What the family is.
  public static let summary = "outlook attention, then transformers: VOLO"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch, default: 8),
    .init(
      "dims", \.dims, "width of a token in each stage", default: [192, 384, 384, 384],
      in: 1...65536, count: 2...8, isAlwaysShown: true),
    .init(
      "depths", \.depths, "blocks of each stage", in: 1...1024, asMany: \.dims,
      isAlwaysShown: true,
      derived: { c in c.dims.count == 4 ? [4, 4, 8, 2] : c.dims.map { _ in 2 } }),
    .init(
      "heads", \.heads, "attention heads of each stage", in: 1...1024, asMany: \.dims,
      origin: .declaration, isAlwaysShown: true,
      derived: { c in c.dims.map { max(1, $0 / 32) } }),
    .init("stem-width", \.stemWidth, "channels of the stem", default: 64, in: 1...8192),
    .init("mlp-ratio", \.mlpRatio, "width inside the perceptron a channel", default: 3, in: 1...64),
    .init("class-blocks", \.classBlocks, "blocks of class attention", default: 2, in: 1...64),
    .init("token-head", \.tokenHead, "a second head for every token", default: true),
    .classes,
    .init(
      "grid", \.grid, "side of the grid that positions are stored for", in: 1...16384,
      derived: { $0.imageSize.side / max(1, $0.patch) / 2 }),
    .channels,
    .epsilon(\.epsilon) { _ in 1e-5 },
  ]

  /// timm's names.
  public static let variants: [ModelVariant<Self>] = [
    ("d1", [4, 4, 8, 2], 192, [6, 12], 64, 3, [224, 384]),
    ("d2", [6, 4, 10, 4], 256, [8, 16], 64, 3, [224, 384]),
    ("d3", [8, 8, 16, 4], 256, [8, 16], 64, 3, [224, 448]),
    ("d4", [8, 8, 16, 4], 384, [12, 16], 64, 3, [224, 448]),
    ("d5", [12, 12, 20, 4], 384, [12, 16], 128, 4, [224, 448, 512]),
  ].flatMap {
    (name: String, depths: [Int], dim: Int, heads: [Int], stem: Int, ratio: Int, images: [Int]) in
    images.map { image in
      var c = Self()
      (c.depths, c.dims) = (depths, [dim, 2 * dim, 2 * dim, 2 * dim])
      c.heads = [heads[0], heads[1], heads[1], heads[1]]
      (c.stemWidth, c.mlpRatio) = (stem, ratio)
      (c.imageSize, c.grid) = (Extents(image), image / 16)
      let wide = image > 384 && ["d4", "d5"].contains(name)
      return ModelVariant(
        "volo_\(name)_\(image)", c, .imageNet(image, crop: image == 224 ? 0.96 : wide ? 1.15 : 1))
    }
  }

  /// sail-sg/volo and timm.
  public static let keyMappings = [
    KeyMapping(
      "VOLO", signature: ["patch_embed.conv.0.weight", "network.0.0.attn.attn.weight"])
  ]

  /// Reads a configuration off names and shapes. Heads of transformer blocks cannot be read: they are the
  /// variant's, or those of the published network of their width.
  public static func detect(
    _ weights: WeightsView, base: VOLOConfiguration?
  ) throws(ModelError) -> VOLOConfiguration {
    var c = base ?? VOLOConfiguration()
    let stem = try weights.require("patch_embed.conv.0.weight", rank: 4)
    (c.stemWidth, c.channels) = (stem[0], stem[1])
    c.patch = 2 * (try weights.patchProjection("patch_embed.proj.weight").patch)
    func first(_ stage: Int) -> String { "network.\(stage == 0 ? 0 : stage + 1)" }
    (c.dims, c.depths) = ([], [])
    while c.dims.count < 8, weights.has("\(first(c.dims.count)).0.norm1.weight") {
      let stage = first(c.dims.count)
      c.dims.append(try weights.require("\(stage).0.norm1.weight", rank: 1)[0])
      c.depths.append(weights.count { "\(stage).\($0).norm1.weight" })
    }
    let outlook = try weights.require("network.0.0.attn.attn.weight", rank: 2)[0] / 81
    if base?.dims != c.dims {
      // As published: the widest have 48 channels a head.
      guard let heads = [384: 12, 512: 16, 768: 16][c.dims.last ?? 0] else {
        throw weights.undeterminedHeads(Self.family, width: c.dims.last ?? 0)
      }
      c.heads = c.dims.map { _ in heads }
    }
    c.heads[0] = max(1, outlook)
    let hidden = try weights.require("network.0.0.mlp.fc1.weight", rank: 2)[0]
    c.mlpRatio = max(1, hidden / max(1, c.dims[0]))
    c.classBlocks = weights.count { "post_network.\($0).attn.kv.weight" }
    c.tokenHead = weights.has("aux_head.weight")
    let table = try weights.require("pos_embed", rank: 4)
    guard table[1] == table[2] else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName("pos_embed"))\"",
        found: "shape \(table)", expected: "a square grid of positions")
    }
    c.grid = table[1]
    c.imageSize = Extents(
      c.grid.multipliedReportingOverflow(by: 2 * min(c.patch, 4096)).partialValue)
    c.classes = weights.classes()
    return c
  }

  /// The map of the stem by its width.
  public var largestMap: (places: Int, channels: Int) {
    let side = (imageSize.side + 1) / 2
    return (side.multipliedReportingOverflow(by: side).partialValue, stemWidth)
  }

  /// Checks that heads divide the widths, and that positions are stored for the image.
  public func checkRelations() throws(ModelError) {
    for (stage, width) in dims.enumerated() {
      guard width.isMultiple(of: heads[stage]) else {
        throw refusal(
          "heads", "\(heads[stage]) heads in stage \(stage + 1)", "a divisor of its width \(width)")
      }
      guard stage == 0 || width == dims[1] else {
        throw refusal("dims", dims.argument, "one width from the second stage on")
      }
    }
    guard patch.isMultiple(of: 2) else { throw refusal("patch", "\(patch)", "an even side") }
    let tokens = grid.multipliedReportingOverflow(by: grid).partialValue
    guard tokens <= 1 << 14, tokens * tokens <= Self.largestValue / (heads.max() ?? 1) else {
      throw refusal(
        "image", "\(tokens) tokens of attention", "at most \(Self.largestValue) scores in a map",
        "Give a smaller image size")
    }
    // The stem rounds up, patches and the second stage down.
    let side = (imageSize.side + 1) / 2 / (patch / 2)
    guard side / 2 == grid, side > 0 else {
      throw refusal(
        "image", "a map of \(side / 2)x\(side / 2) tokens at \(imageSize.argument) pixels",
        "\(grid)x\(grid), which positions are stored for",
        "Images of another size need other weights")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try VOLO(self, weights)
  }
}
