import Tensors

/// Refiner as its public code has it (zhoudaquan/Refiner_ViT; Zhou et al. 2021).
///
/// Blocks that make maps of their own add to them the maps carried from the last such block; blocks
/// that share take the carried maps, refined by distributed local attention (DLA): heads mixed into
/// more maps, a small kernel on each, and mixed back, with batch normalisation and ReLU6 between.
/// The paper's linear form is ``RefinerConfiguration``.
public struct PublishedRefinerConfiguration: ModelConfiguration {
  /// What DLA is made of.
  public enum Refinement: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Expansion over heads, one kernel a map, reduction (`conv_exapnd` in the public code).
    case expand
    /// One convolution that mixes all heads (`conv`).
    case conv
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 16
  /// Width of a token.
  public var dim = 384
  /// Number of blocks.
  public var depth = 16
  /// Number of attention heads.
  public var heads = 12
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Width inside the multilayer perceptron.
  public var mlp = 1152
  /// For each block, 1 if it shares the maps of an earlier one, else 0.
  public var share = Self.alternating(16)
  /// For each block, 1 if it makes maps of its own and refines them before they are used and carried.
  public var transform = [Int](repeating: 0, count: 16)
  /// What DLA is made of.
  public var refinement = Refinement.expand
  /// Maps for each head in DLA of blocks that share.
  public var expand = 3
  /// Maps for each head in DLA of blocks that refine maps of their own.
  public var transformExpand = 3
  /// The side of DLA's kernels.
  public var kernel = 3
  /// How images become tokens.
  public var embedding = RefinerEmbeddingKind.cnn
  /// Whether half the largest score over the patches, by a head of their own, is added to the logits.
  public var dense = true
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Colour channels.
  public var channels = 3
  /// Side of the grid of patches that position embeddings are stored for.
  public var grid = 14
  /// How position embeddings become those of another grid.
  public var resampling = PositionResampling.bilinearAlignedCorners
  /// Epsilon of normalisations.
  public var epsilon = 1e-6

  /// Refiner_ViT_S at 224.
  public init() {}

  /// `refiner_vit`.
  public static let family = "refiner_vit"
  /// What the family is.
  public static let summary = "Refiner as in its public code: carried and shared maps, DLA"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(),
    .patch(\.patch),
    .dim(\.dim, default: 384),
    .depth(\.depth, default: 16),
    .init(
      "heads", \.heads, "attention heads", default: 12, in: 1...65536, atMost: \.dim,
      isAlwaysShown: true),
    .classes,
    .mlp(\.mlp, dim: \.dim, ratio: 3),
    .init(
      "share", \.share, "1 for each block that shares maps", derived: { alternating($0.depth) }),
    .init(
      "transform", \.transform, "1 for each block that refines maps of its own",
      derived: { [Int](repeating: 0, count: max(1, min($0.depth, 1024))) }),
    .init("refine", \.refinement, "what refinement is made of", default: .expand),
    .init(
      "expand", \.expand, "maps for each head in refinement", in: 1...64,
      derived: { $0.refinement == .conv ? 1 : 3 }),
    .init(
      "transform-expand", \.transformExpand, "the same in blocks that refine maps of their own",
      in: 1...64, derived: { $0.expand }),
    .init("kernel", \.kernel, "side of the kernels of refinement", default: 3, in: 1...127),
    .init("embed", \.embedding, "how images become tokens", default: .cnn),
    .init(
      "dense", \.dense, "a head on the patches", origin: .adaptable,
      derived: { $0.classes > 0 }),
    .qkvBias(\.qkvBias),
    .channels,
    .init(
      "grid", \.grid, "side of the grid that positions are stored for", in: 1...4096,
      origin: .adaptable, derived: { $0.imageSize.side / max(1, $0.patch) }),
    .init(
      "resampling", \.resampling, "how positions fit another grid",
      default: .bilinearAlignedCorners,
      origin: .declaration),
    .epsilon(\.epsilon),
  ]

  /// Own maps, shared maps, own, shared.
  static func alternating(_ depth: Int) -> [Int] { (0..<max(1, min(depth, 1024))).map { $0 % 2 } }

  /// Mean and deviation 0.5; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.half(imageSize.side, crop: 0.9))
  }

  /// Tokens by their width.
  public var largestMap: (places: Int, channels: Int) {
    ((imageSize.side / patch) * (imageSize.side / patch), dim)
  }

  /// Checks that the blocks that share, and those that refine, make a network.
  public func checkRelations() throws(ModelError) {
    if !dim.isMultiple(of: heads) {
      throw refusal("heads", "\(heads) heads", "a divisor of dim=\(dim)")
    }
    for (name, list) in [("share", share), ("transform", transform)] where list.count != depth {
      throw refusal(name, list.argument, "\(depth) numbers, one a block, each 0 or 1")
    }
    if share[0] == 1 {
      throw refusal("share", share.argument, "a first block with maps of its own")
    }
    if let both = share.indices.first(where: { share[$0] == 1 && transform[$0] == 1 }) {
      throw refusal("transform", "block \(both) shares maps", "blocks that make maps of their own")
    }
    if refinement == .conv, expand != 1 || transformExpand != 1 {
      throw refusal("expand", "\(max(expand, transformExpand))", "1 with refine=conv")
    }
    if embedding == .cnn, patch % 2 != 0 {
      throw refusal("patch", "\(patch)", "an even number with embed=cnn")
    }
    if dense, classes == 0 { throw refusal("dense", "true without classes", "false") }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try PublishedRefiner(self, weights)
  }
}
