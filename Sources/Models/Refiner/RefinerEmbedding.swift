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
  func callAsFunction(_ images: Tensor) -> (tokens: Tensor, grid: TokenGrid) {
    let map = patches(stem.reduce(images) { $1($0, activation: .relu) })
    let (height, width, dim) = (map.shape[1], map.shape[2], map.shape[3])
    let tokens =
      map.reshaped([map.shape[0], height * width, dim]) + positions(height: height, width: width)
    return (
      Tensor.concatenated([prefix.repeated(map.shape[0]), tokens], axis: 1),
      TokenGrid(height: height, width: width, prefix: 1)
    )
  }
}

extension WeightsView {
  /// What the weights of a Refiner's embedding tell: `(kind, channels, patch, dim, grid)`.
  func refinerEmbedding() throws(ModelError)
    -> (kind: RefinerEmbeddingKind, channels: Int, patch: Int, dim: Int, grid: Int)
  {
    let shape = try require("patch_embed.proj.weight", rank: 4)
    guard shape[2] == shape[3] else {
      throw ModelError(
        .unreadable, place: "tensor \"\(foreignName("patch_embed.proj.weight"))\"",
        found: "shape \(shape)", expected: "square patches")
    }
    let rows = try require("pos_embed", rank: 3)[1]
    guard let grid = squareRoot(rows - 1), grid > 0 else {
      throw ModelError(
        .unreadable, place: "tensor \"\(foreignName("pos_embed"))\"", found: "\(rows) rows",
        expected: "a square grid of patches behind a class token")
    }
    guard has("patch_embed.conv1.weight") else {
      return (.plain, shape[1], shape[2], shape[0], grid)
    }
    let channels = try require("patch_embed.conv1.weight", rank: 4)[1]
    let patch = shape[2].multipliedReportingOverflow(by: 2).partialValue
    return (.cnn, channels, patch, shape[0], grid)
  }
}
