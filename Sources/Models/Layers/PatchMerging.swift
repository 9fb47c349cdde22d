import Tensors

/// Four neighbours of a map side by side, normalised, then a linear map without bias (Liu et al. 2021). Keys
/// `norm`, `reduction`.
struct PatchMerging: Sendable {
  private let norm: LayerNorm
  private let reduction: Dense

  init(
    _ scope: Scope, from width: Int, to next: Int, epsilon: Double
  ) throws(ParameterError) {
    norm = try LayerNorm(scope["norm"], 4 * width, epsilon: epsilon)
    reduction = try Dense(scope["reduction"], 4 * width, next, bias: false)
  }

  /// A map `[N, H, W, C]` as `[N, ⌈H / 2⌉, ⌈W / 2⌉, C']`; one of odd extent gets a row or column of zeros.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let (images, height, width) = (x.shape[0], x.shape[1], x.shape[2])
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
    let joined = x.reshaped([images, height * width, x.shape[3]])
      .gatherRows(rows, rowsIn: height * width)
      .reshaped([images, down, across, 4 * x.shape.last])
    return reduction(joined, norm: norm)
  }
}
