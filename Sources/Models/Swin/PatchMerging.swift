import Tensors

/// What makes four (or more) tokens one between two stages.
enum PatchMerging: Sendable {
  /// The four neighbours side by side, normalised, then a linear map without bias (Liu et al. 2021).
  /// Keys `norm`, `reduction`.
  case linear(LayerNorm, Dense)
  /// A convolution whose stride is its kernel. Keys `weight`, `bias`.
  case convolution(PatchEmbedding)

  /// Tokens `[N, height * width, C]` as `[N, H' * W', C']`.
  func callAsFunction(
    _ x: Tensor, height: Int, width: Int
  ) -> (tokens: Tensor, height: Int, width: Int) {
    let images = x.shape[0]
    switch self {
    case .linear(let norm, let reduction):
      // A map of odd extent gets a row or column of zeros.
      let (down, across) = ((height + 1) / 2, (width + 1) / 2)
      var rows: [Int32] = []
      for y in 0..<down {
        for x in 0..<across {
          for (dy, dx) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let (row, column) = (2 * y + dy, 2 * x + dx)
            rows.append(row < height && column < width ? Int32(row * width + column) : -1)
          }
        }
      }
      let joined = x.gatherRows(rows, rowsIn: height * width)
        .reshaped([images, down * across, 4 * x.shape.last])
      return (reduction(joined, norm: norm), down, across)
    case .convolution(let convolution):
      let map = convolution(x.reshaped([images, height, width, x.shape.last]))
      let (down, across) = (map.shape[1], map.shape[2])
      return (map.reshaped([images, down * across, map.shape.last]), down, across)
    }
  }
}
