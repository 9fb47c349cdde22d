import Checkpoints
import StrictJSON
import Tensors

/// Pyramid vision transformers of the first version (Wang et al. 2021; whai362/PVT): attention whose keys and
/// values are made of fewer places.
public struct PVTConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch of the first stage in pixels; those of the others have 2 x 2 tokens.
  public var patch = 4
  /// Width of a token in each stage.
  public var dims = [64, 128, 320, 512]
  /// Blocks of each stage.
  public var depths = [3, 4, 6, 3]
  /// Attention heads of each stage.
  public var heads = [1, 2, 5, 8]
  /// Width inside the perceptron in each stage.
  public var mlp = [512, 1024, 1280, 2048]
  /// Sides of the squares of tokens that one key stands for, in each stage.
  public var reductions = [8, 4, 2, 1]
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Side of the grid of the first stage that positions are stored for.
  public var grid = 56
  /// Colour channels.
  public var channels = 3
  /// Epsilon of the normalisations of blocks, and of the last.
  public var epsilon = 1e-6

  /// PVT-small at 224.
  public init() {}

  /// `pvt`.
  public static let family = "pvt"
  /// What the family is.
  public static let summary = "pyramid vision transformers with reduced keys: PVT"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch, default: 4),
    .init(
      "dims", \.dims, "width of a token in each stage", default: [64, 128, 320, 512],
      in: 1...65536, count: 1...8, isAlwaysShown: true),
    .init(
      "depths", \.depths, "blocks of each stage", in: 1...1024, asMany: \.dims,
      isAlwaysShown: true,
      derived: { c in c.dims.count == 4 ? [3, 4, 6, 3] : c.dims.map { _ in 2 } }),
    .init(
      "heads", \.heads, "attention heads of each stage", in: 1...1024, asMany: \.dims,
      origin: .declaration, isAlwaysShown: true, derived: { c in c.dims.map { max(1, $0 / 64) } }),
    .init(
      "mlp", \.mlp, "width inside the perceptron in each stage", in: 1...1_048_576,
      asMany: \.dims,
      derived: { c in
        c.dims.enumerated().map { stage, width in
          width.multipliedReportingOverflow(by: 2 * stage < c.dims.count ? 8 : 4).partialValue
        }
      }),
    .init(
      "reductions", \.reductions, "side of the square of tokens a key stands for",
      in: 1...1024, asMany: \.dims,
      derived: { c in c.dims.indices.map { 1 << max(0, min(c.dims.count - 1 - $0, 8)) } }),
    .classes,
    .qkvBias(\.qkvBias),
    .init(
      "grid", \.grid, "side of the grid that positions are stored for", in: 1...16384,
      derived: { $0.imageSize.side / max(1, $0.patch) }),
    .channels,
    .epsilon(\.epsilon),
  ]

  /// The published sizes.
  public static let variants: [ModelVariant<Self>] = [
    ("pvt_tiny", [2, 2, 2, 2]), ("pvt_small", [3, 4, 6, 3]), ("pvt_medium", [3, 4, 18, 3]),
    ("pvt_large", [3, 8, 27, 3]),
  ].map { (name: String, depths: [Int]) in
    var c = Self()
    c.depths = depths
    return ModelVariant(name, c, .imageNet(224, crop: 0.9))
  }

  /// The names of whai362/PVT.
  public static let keyMappings = [
    KeyMapping(
      "PVT", signature: ["patch_embed1.proj.weight", "pos_embed1", "block1.0.attn.q.weight"])
  ]

  /// Names of timm whose networks are related and not the same.
  public static func reasonAgainst(variant: String) -> String? {
    variant.hasPrefix("pvt_v2")
      ? "\(variant) is a PVT v2 (overlapping patches, convolutions in perceptrons), which is not supported"
      : nil
  }

  /// PVT v2, whose perceptrons hold convolutions.
  public static func reasonAgainst(names: [String]) -> String? {
    names.contains {
      $0.hasSuffix(".mlp.dwconv.dwconv.weight") || $0.hasSuffix(".mlp.dwconv.weight")
    }
      ? "weights of a PVT v2 (overlapping patches, convolutions in perceptrons), which is not supported"
      : nil
  }

  /// Reads a configuration off names and shapes. Heads cannot be read: they are the variant's, or as
  /// published, 64 channels each.
  public static func detect(
    _ weights: WeightsView, base: PVTConfiguration?
  ) throws(ModelError) -> PVTConfiguration {
    var c = base ?? PVTConfiguration()
    (_, c.channels, c.patch) = try weights.patchProjection("patch_embed1.proj.weight")
    (c.dims, c.depths, c.mlp, c.reductions) = ([], [], [], [])
    while c.dims.count < 8, weights.has("block\(c.dims.count + 1).0.attn.q.weight") {
      let block = "block\(c.dims.count + 1)"
      c.dims.append(try weights.require("\(block).0.attn.q.weight", rank: 2)[0])
      c.depths.append(weights.count { "\(block).\($0).attn.q.weight" })
      c.mlp.append(try weights.require("\(block).0.mlp.fc1.weight", rank: 2)[0])
      c.reductions.append(weights.shape("\(block).0.attn.sr.weight", rank: 4)?[2] ?? 1)
    }
    if base?.dims != c.dims {
      if let odd = c.dims.first(where: { !$0.isMultiple(of: 64) }) {
        throw weights.undeterminedHeads(Self.family, width: odd)
      }
      c.heads = c.dims.map { $0 / 64 }
    }
    c.qkvBias = weights.has("block1.0.attn.q.bias")
    // The last table has a row for the class token.
    c.grid = try weights.squareGrid("pos_embed1", behind: c.dims.count == 1 ? 1 : 0)
    c.imageSize = Extents(c.grid.multipliedReportingOverflow(by: c.patch).partialValue)
    c.classes = weights.classes()
    return c
  }

  /// The sides of the maps of the stages, in tokens.
  var sides: [Int] { dims.indices.map { grid >> min($0, 32) } }

  /// Tokens of the first stage by their width.
  public var largestMap: (places: Int, channels: Int) {
    (grid.multipliedReportingOverflow(by: grid).partialValue, dims.first ?? 0)
  }

  /// Checks that heads divide the widths, that maps can be halved and reduced, and that positions are
  /// stored for the image.
  public func checkRelations() throws(ModelError) {
    for (stage, width) in dims.enumerated() {
      guard width.isMultiple(of: heads[stage]) else {
        throw refusal(
          "heads", "\(heads[stage]) heads in stage \(stage + 1)", "a divisor of its width \(width)")
      }
      guard reductions[stage] <= max(1, sides[stage]) else {
        throw refusal(
          "reductions", "\(reductions[stage]) in stage \(stage + 1)",
          "at most the side of its map, \(sides[stage])")
      }
      let keys = (sides[stage] / reductions[stage]) * (sides[stage] / reductions[stage])
      let scores = sides[stage] * sides[stage]
      guard
        scores <= Self.largestValue
          / max(1, keys.multipliedReportingOverflow(by: heads[stage]).partialValue)
      else {
        throw refusal(
          "image", "\(scores) queries by \(keys) keys of \(heads[stage]) head(s)",
          "at most \(Self.largestValue) scores in a map", "Give a smaller image size")
      }
    }
    guard sides.last ?? 0 > 0 else {
      throw refusal("grid", "\(grid)", "at least \(1 << min(dims.count - 1, 32)), to be halved")
    }
    guard reductions.last == 1 else {
      throw refusal(
        "reductions", "\(reductions.last ?? 0) in the last stage", "1: its class token has no place"
      )
    }
    let side = imageSize.side / patch
    guard side == grid else {
      throw refusal(
        "image", "\(side)x\(side) patches at \(imageSize.argument) pixels",
        "\(grid)x\(grid), which positions are stored for",
        "Images of another size need other weights")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try PVT(self, weights)
  }
}
