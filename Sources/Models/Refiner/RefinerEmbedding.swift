import Tensors

/// How images become the tokens of a Refiner.
public enum RefinerEmbeddingKind: String, ConfigurationValue, Codable, Sendable, CaseIterable {
  /// One convolution whose stride is its kernel.
  case plain
  /// Three convolutions at half the resolution, then one whose stride is its kernel.
  case cnn
}

/// Patch embedding, class token and positions of Refiners. Keys `cls_token`, `pos_embed`, `patch_embed`.
struct RefinerEmbedding: Sendable {
  private let stem: [NormedConvolution]
  private let patches: PatchEmbedding
  private let prefix: Tensor
  private let positions: PositionTable

  init(
    _ weights: Scope, kind: RefinerEmbeddingKind, channels: Int, patch: Int, dim: Int, grid: Int,
    resampling: PositionResampling
  ) throws(ParameterError) {
    let token = try weights.weight("cls_token", [1, 1, dim])
    let table = try weights.weight("pos_embed", [1, 1 + grid * grid, dim])
    prefix = (token + table.slice(axis: 1, start: 0, length: 1)).reshaped([1, dim])
    positions = PositionTable(
      table.slice(axis: 1, start: 1, length: grid * grid).reshaped([grid * grid, dim]),
      grid: (grid, grid), resampling)
    let scope = weights["patch_embed"]
    var stem: [NormedConvolution] = []
    if kind == .cnn {
      for (index, (inputs, outputs)) in [(channels, 32), (32, 64), (64, 128)].enumerated() {
        stem.append(
          try NormedConvolution(
            scope["conv\(index + 1)"], norm: scope["bn\(index + 1)"], inputs, outputs,
            kernel: index == 0 ? 7 : 3, stride: index == 0 ? 2 : 1))
      }
    }
    self.stem = stem
    patches = try PatchEmbedding(
      scope["proj"], channels: stem.isEmpty ? channels : 128,
      patch: stem.isEmpty ? patch : patch / 2, width: dim)
  }

  /// Images `[N, H, W, C]` as tokens `[N, 1 + n, D]`, the class token first.
  func callAsFunction(
    _ images: Tensor, _ context: Context
  ) -> (tokens: Tensor, grid: TokenGrid) {
    let map = patches(stem.reduce(images) { $1($0, activation: .relu, context) })
    let (height, width, dim) = (map.shape[1], map.shape[2], map.shape[3])
    let tokens =
      map.reshaped([map.shape[0], height * width, dim]) + positions(height: height, width: width)
    return (
      Tensor.concatenated([prefix.repeated(map.shape[0]), tokens], axis: 1),
      TokenGrid(height: height, width: width, prefix: 1)
    )
  }
}

/// What the two forms of Refiner share: a vision transformer with a class token.
public protocol RefinerParameters: ModelConfiguration {
  /// The side of a patch in pixels.
  var patch: Int { get set }
  /// Width of a token.
  var dim: Int { get set }
  /// Number of blocks.
  var depth: Int { get set }
  /// Number of attention heads.
  var heads: Int { get set }
  /// Width inside the multilayer perceptron.
  var mlp: Int { get set }
  /// How images become tokens.
  var embedding: RefinerEmbeddingKind { get set }
  /// Whether queries, keys and values have a bias.
  var qkvBias: Bool { get set }
  /// Side of the grid of patches that position embeddings are stored for.
  var grid: Int { get set }
  /// How position embeddings become those of another grid.
  var resampling: PositionResampling { get set }
  /// Epsilon of normalisations.
  var epsilon: Double { get set }
}

extension RefinerParameters {
  /// What stands first in the text.
  static var leadingParameters: [ConfigurationParameter<Self>] {
    [
      .image(\.imageSize), .patch(\.patch), .dim(\.dim, default: 384), .depth(\.depth, default: 16),
      .init(
        "heads", \.heads, "attention heads", default: 12, in: 1...65536, atMost: \.dim,
        isAlwaysShown: true),
    ]
  }

  /// What stands last.
  static func trailingParameters(
    _ resampling: PositionResampling
  ) -> [ConfigurationParameter<Self>] {
    [
      .qkvBias(\.qkvBias), .channels,
      .init(
        "grid", \.grid, "side of the grid that positions are stored for", in: 1...4096,
        origin: .adaptable, derived: { $0.imageSize.side / max(1, $0.patch) }),
      .init(
        "resampling", \.resampling, "how positions fit another grid", default: resampling,
        origin: .declaration),
      .epsilon(\.epsilon),
    ]
  }

  /// Mean and deviation 0.5; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.half(imageSize.side, crop: 0.9))
  }

  /// The size of the images alone: no public code writes settings of these families.
  public static var settings: [ConfigurationSetting<Self>]? {
    [.sets("image_size", "img_size", as: \.imageSize)]
  }

  /// Tokens by their width.
  public var largestMap: (places: Int, channels: Int) {
    ((imageSize.side / patch) * (imageSize.side / patch), dim)
  }

  /// Checks that heads divide the width, and that a stem of convolutions halves the patch.
  func checkTokens() throws(ModelError) {
    if !dim.isMultiple(of: heads) {
      throw refusal("heads", "\(heads) heads", "a divisor of dim=\(dim)")
    }
    if embedding == .cnn, patch % 2 != 0 {
      throw refusal("patch", "\(patch)", "an even number with embed=cnn")
    }
  }

  /// Reads all but the attention off names and shapes.
  mutating func readTokens(_ weights: WeightsView, base: Self?) throws(ModelError) {
    (dim, channels, patch) = try weights.patchProjection("patch_embed.proj.weight")
    embedding = weights.has("patch_embed.conv1.weight") ? .cnn : .plain
    if embedding == .cnn {
      channels = try weights.require("patch_embed.conv1.weight", rank: 4)[1]
      patch = patch.multipliedReportingOverflow(by: 2).partialValue
    }
    grid = try weights.squareGrid("pos_embed", behind: 1)
    depth = weights.count { "blocks.\($0).norm1.weight" }
    mlp = try weights.require("blocks.0.mlp.fc1.weight", rank: 2)[0]
    qkvBias = weights.has("blocks.0.attn.qkv.bias")
    classes = weights.classes()
    imageSize = base?.imageSize ?? Extents(grid.multipliedReportingOverflow(by: patch).partialValue)
  }
}
