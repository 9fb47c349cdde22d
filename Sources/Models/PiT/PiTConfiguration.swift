import Checkpoints
import Tensors

/// Pooling-based vision transformers (Heo et al. 2021): three stages of transformer blocks with
/// depth-wise convolutions between them that halve the map.
public struct PiTConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 16
  /// Pixels from one patch to the next.
  public var stride = 8
  /// Width of a token in each stage.
  public var dims = [64, 128, 256]
  /// Blocks of each stage.
  public var depths = [2, 6, 4]
  /// Attention heads of each stage.
  public var heads = [2, 4, 8]
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Width inside the perceptron in each stage.
  public var mlp = [256, 512, 1024]
  /// Whether there is a distillation token, with a head averaged with the first.
  public var distilled = false
  /// Whether the class token has a position embedding.
  public var classPosition = false
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Side of the grid of patches that position embeddings are stored for.
  public var grid = 27
  /// Colour channels.
  public var channels = 3
  /// Epsilon of normalisations.
  public var epsilon = 1e-6

  /// PiT-Ti at 224.
  public init() {}

  /// `pit`.
  public static let family = "pit"
  /// What the family is.
  public static let summary = "pooling-based vision transformers: PiT"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch),
    .init(
      "stride", \.stride, "pixels from one patch to the next", in: 1...4096,
      origin: .declaration, isAlwaysShown: true, derived: { max(1, $0.patch / 2) }),
    .init(
      "dims", \.dims, "width of a token in each stage", default: [64, 128, 256], in: 1...65536,
      count: 1...8, isAlwaysShown: true),
    .init(
      "depths", \.depths, "blocks of each stage", default: [2, 6, 4], in: 1...1024,
      asMany: \.dims, isAlwaysShown: true),
    .init(
      "heads", \.heads, "attention heads of each stage", default: [2, 4, 8], in: 1...1024,
      asMany: \.dims, origin: .declaration, isAlwaysShown: true),
    .classes,
    .init(
      "mlp", \.mlp, "width inside the perceptron in each stage", in: 1...1_048_576,
      asMany: \.dims,
      derived: { c in c.dims.map { $0.multipliedReportingOverflow(by: 4).partialValue } }),
    .init("distilled", \.distilled, "a distillation token and its head", default: false),
    .init(
      "class-position", \.classPosition, "a position embedding of the class token",
      default: false),
    .init(
      "qkv-bias", \.qkvBias, "a bias on queries, keys, values", derived: { !$0.classPosition }),
    .init(
      "grid", \.grid, "side of the grid that positions are stored for", in: 1...16384,
      derived: { $0.patchesPerSide }),
    .channels,
    .epsilon(\.epsilon) { $0.classPosition ? 1e-5 : 1e-6 },
  ]

  /// Tokens before the patches.
  public var prefixTokens: Int { distilled ? 2 : 1 }

  /// The side of the grid of patches on an image.
  var patchesPerSide: Int {
    // Asked for as a default before anything is checked.
    let (room, overflow) = imageSize.side.subtractingReportingOverflow(patch)
    guard !overflow, room > 0 else { return 1 }
    return min(room, .max - 1) / max(1, stride) + 1
  }

  /// Tokens of the first stage by their width.
  public var largestMap: (places: Int, channels: Int) {
    (patchesPerSide * patchesPerSide, dims[0])
  }

  /// Checks that heads divide the widths, and that positions are stored for the image.
  public func checkRelations() throws(ModelError) {
    for (stage, (dim, heads)) in zip(dims, heads).enumerated() {
      guard dim.isMultiple(of: heads) else {
        throw refusal(
          "heads", "\(heads) heads in stage \(stage + 1)", "a divisor of its width \(dim)")
      }
      guard stage == 0 || dim.isMultiple(of: dims[stage - 1]) else {
        throw refusal(
          "dims", "\(dim) after \(dims[stage - 1])",
          "a multiple: every channel is pooled into as many")
      }
    }
    guard grid == patchesPerSide else {
      throw refusal(
        "image",
        "\(patchesPerSide)x\(patchesPerSide) patches at \(imageSize.argument) pixels",
        "\(grid)x\(grid), which the position embeddings are stored for",
        "Images of another size need other weights")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try PiT(self, weights)
  }
}
