import Checkpoints
import Tensors

/// Swin as Park and Kim's code has it (xxxnell/how-do-vits-work, `models/swin.py`): merging by
/// convolution, one table of positions for all heads, heads of a fixed width, and the published masks,
/// which at the right edge leave most pairs visible that the shift brought together.
///
/// The CIFAR models of that work are ``SwinConfiguration``; no weights of this form were published.
public struct HDVSwinConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// Width of a token in each stage.
  public var dims = [96, 192, 384, 768]
  /// Blocks of each stage: pairs, the second of each shifted.
  public var depths = [2, 2, 6, 2]
  /// Attention heads of each stage.
  public var heads = [3, 6, 12, 24]
  /// Channels of one head.
  public var headWidth = 32
  /// The side of a window in tokens.
  public var window = 7
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Width inside the perceptron in each stage.
  public var mlp = [384, 768, 1536, 3072]
  /// How many pixels or tokens become one along each axis before each stage.
  public var pools = [4, 2, 2, 2]
  /// Colour channels.
  public var channels = 3

  /// Swin-T at 224.
  public init() {}

  /// `hdv-swin`.
  public static let family = "hdv-swin"
  /// What the family is.
  public static let summary = "Swin as in xxxnell/how-do-vits-work"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(),
    .init(
      "window", \.window, "side of a window in tokens", default: 7, in: 1...64,
      isAlwaysShown: true),
    .init(
      "dims", \.dims, "width of a token in each stage", default: [96, 192, 384, 768],
      in: 1...65536, count: 1...8, isAlwaysShown: true),
    .init(
      "depths", \.depths, "blocks of each stage", default: [2, 2, 6, 2], in: 1...1024,
      asMany: \.dims, isAlwaysShown: true),
    .init(
      "head-dim", \.headWidth, "channels of one head", default: 32, in: 1...1024,
      origin: .declaration),
    .init(
      "heads", \.heads, "attention heads of each stage", in: 1...1024, asMany: \.dims,
      isAlwaysShown: true, derived: { c in c.dims.map { max(1, $0 / max(1, c.headWidth)) } }),
    .classes,
    .init(
      "mlp", \.mlp, "width inside the perceptron in each stage", in: 1...1_048_576,
      asMany: \.dims,
      derived: { c in c.dims.map { $0.multipliedReportingOverflow(by: 4).partialValue } }),
    .init(
      "pools", \.pools, "pixels or tokens that become one before each stage",
      default: [4, 2, 2, 2], in: 1...64, asMany: \.dims),
    .channels,
  ]

  /// The sizes of the repository; its `swin_l` has the depths and heads of `swin_t`.
  public static let variants: [ModelVariant<Self>] = [
    ("t", 96, 6, 3), ("s", 96, 18, 3), ("b", 128, 18, 4), ("l", 192, 6, 3),
  ].map { (name: String, dim: Int, depth: Int, heads: Int) in
    var c = Self()
    c.dims = (0..<4).map { dim << $0 }
    c.mlp = c.dims.map { 4 * $0 }
    c.heads = (0..<4).map { heads << $0 }
    c.depths[2] = depth
    return ModelVariant("hdv_swin_\(name)", c, .imageNet(224, crop: 0.875))
  }

  /// The repository's names, and our own.
  public static let keyMappings = [published, own]

  private static let published = KeyMapping(
    "how-do-vits-work",
    signature: ["layer1.0.patch_merge.weight", "layer1.1.attn.pos_embedding"],
    rules: [
      .rename("patch_embed.proj", "layer1.0.patch_merge"),
      .rename("norm", "classifier.2"), .rename("head", "classifier.3"),
    ]
  ) { names in
    var rules: [KeyMapping.Rule] = []
    for stage in 0..<8 where names.contains("layer\(stage + 1).0.patch_merge.weight") {
      if stage > 0 {
        rules.append(
          .rename("layers.\(stage - 1).downsample", "layer\(stage + 1).0.patch_merge"))
      }
      var block = 0
      while names.contains("layer\(stage + 1).\(block + 1).attn.pos_embedding") {
        let (own, theirs) = ("layers.\(stage).blocks.\(block)", "layer\(stage + 1).\(block + 1)")
        rules += [
          .rename("\(own).norm1", "\(theirs).norm1.1"),
          .rename("\(own).norm2", "\(theirs).norm2.1"),
          .rename("\(own).attn.pos_embedding", "\(theirs).attn.pos_embedding"),
          .rename("\(own).attn.qkv", "\(theirs).attn.attn.to_qkv"),
          .rename("\(own).attn.proj", "\(theirs).attn.attn.to_out.0"),
          .reshape("\(own).mlp.fc1", "\(theirs).ff.net.0"),
          .reshape("\(own).mlp.fc2", "\(theirs).ff.net.3"),
        ]
        block += 1
      }
    }
    return rules
  }

  private static let own = KeyMapping(
    "canonical",
    signature: ["patch_embed.proj.weight", "layers.0.blocks.0.attn.pos_embedding"])

  /// Reads a configuration off names and shapes; the width of a head cannot be read.
  public static func detect(
    _ weights: WeightsView, base: HDVSwinConfiguration?
  ) throws(ModelError) -> HDVSwinConfiguration {
    var c = base ?? HDVSwinConfiguration()
    (c.dims, c.depths, c.heads, c.mlp, c.pools) = ([], [], [], [], [])
    var stage = 0
    while stage < 8, weights.has("layers.\(stage).blocks.0.attn.pos_embedding") {
      let merge = stage == 0 ? "patch_embed.proj" : "layers.\(stage - 1).downsample"
      let kernel = try weights.require("\(merge).weight", rank: 4)
      if stage == 0 { c.channels = kernel[1] }
      c.dims.append(kernel[0])
      c.pools.append(kernel[2])
      let block = "layers.\(stage).blocks.0"
      let inner = try weights.require("\(block).attn.proj.weight", rank: 2)[1]
      c.heads.append(max(1, inner / max(1, c.headWidth)))
      c.mlp.append(weights.shape("\(block).mlp.fc1.weight")?.first ?? 0)
      c.depths.append(weights.count { "layers.\(stage).blocks.\($0).norm1.weight" })
      stage += 1
    }
    let table = try weights.require("layers.0.blocks.0.attn.pos_embedding", rank: 2)[0]
    c.window = (table + 1) / 2
    c.classes = weights.classes()
    c.imageSize =
      base?.imageSize
      ?? Extents(c.pools.reduce(c.window) { $0.multipliedReportingOverflow(by: $1).partialValue })
    return c
  }

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.imageNet(imageSize.side, crop: 0.875))
  }

  /// Tokens of the first stage by their width.
  public var largestMap: (places: Int, channels: Int) {
    let side = imageSize.side / pools[0]
    return (side * side, dims[0])
  }

  /// Checks that the maps are multiples of the window.
  public func checkRelations() throws(ModelError) {
    for (stage, side) in plan.sides.enumerated() where side == 0 || !side.isMultiple(of: window) {
      throw refusal(
        "image",
        "a map of \(side)x\(side) tokens in stage \(stage + 1) at \(imageSize.argument) pixels",
        "a multiple of the window, \(window)", "Give another image size, or another window")
    }
  }

  /// What the network is built of.
  var plan: SwinPlan {
    SwinPlan(
      imageSize: imageSize.side, channels: channels, classes: classes,
      stages: dims.indices.map { stage in
        .init(
          width: dims[stage], depth: depths[stage], heads: heads[stage], headWidth: headWidth,
          hidden: mlp[stage], window: window, pool: pools[stage])
      }, qkvBias: false, epsilon: 1e-5, form: .published)
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try Swin(plan, weights)
  }
}
