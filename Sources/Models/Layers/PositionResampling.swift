import Tensors

/// How position embeddings of one grid become those of another.
public enum PositionResampling: String, ConfigurationValue, Codable, Sendable, CaseIterable {
  /// Bicubic, a = -0.5, the kernel widened when shrinking: timm since 0.8, DINOv2 with registers.
  case antialiased
  /// Bicubic, a = -0.75, borders clamped: Hugging Face, timm 0.4.12 to 0.6.
  case bicubic
  /// Bilinear: timm before 0.4.12, PVT.
  case bilinear
  /// Bilinear, the corners of both grids in the same place: Refiner.
  case bilinearAlignedCorners = "bilinear-aligned"
}

extension PositionResampling {
  /// Rows of one grid as rows of another: a fixed linear map, applied as a product, so that it can be
  /// differentiated.
  ///
  /// - Parameters:
  ///   - rows: `[height * width, D]` of the grid `from`.
  /// - Returns: `[height * width, D]` of the grid `to`.
  func callAsFunction(
    _ rows: Tensor, from: (height: Int, width: Int), to: (height: Int, width: Int)
  ) -> Tensor {
    if from == to { return rows }
    let (vertical, horizontal) = (weights(from.height, to.height), weights(from.width, to.width))
    let inner = from.height * from.width
    let matrix = Tensor(shape: [to.height * to.width, inner]) { buffer in
      for y in 0..<to.height {
        for x in 0..<to.width {
          let row = (y * to.width + x) * inner
          for i in 0..<from.height {
            for j in 0..<from.width {
              buffer[row + i * from.width + j] = Float(vertical[y][i] * horizontal[x][j])
            }
          }
        }
      }
    }
    return matrix.matmul(rows)
  }

  /// The weights `[to][from]` along one axis.
  func weights(_ from: Int, _ to: Int) -> [[Double]] {
    (0..<to).map { place in
      var row = [Double](repeating: 0, count: from)
      // Pixel centres lie at half-integers: PyTorch's align_corners=False.
      let scale = Double(from) / Double(to)
      let centre = (Double(place) + 0.5) * scale
      switch self {
      case .antialiased:
        let stretch = max(scale, 1)
        let first = max(Int(centre - 2 * stretch + 0.5), 0)
        let last = min(Int(centre + 2 * stretch + 0.5), from)
        for j in first..<max(first, last) {
          row[j] = cubic((Double(j) - centre + 0.5) / stretch, -0.5)
        }
        let total = row.reduce(0, +)
        if total != 0 { row = row.map { $0 / total } }
      case .bicubic:
        let start = (centre - 0.5).rounded(.down)
        for step in -1...2 {
          let j = Int(start) + step
          row[min(max(j, 0), from - 1)] += cubic(centre - 0.5 - Double(j), -0.75)
        }
      case .bilinear:
        interpolate(max(centre - 0.5, 0), into: &row)
      case .bilinearAlignedCorners:
        interpolate(to > 1 ? Double(place) * Double(from - 1) / Double(to - 1) : 0, into: &row)
      }
      return row
    }
  }

  private func interpolate(_ position: Double, into row: inout [Double]) {
    let low = min(Int(position), row.count - 1)
    let fraction = position - Double(low)
    row[low] += 1 - fraction
    row[min(low + 1, row.count - 1)] += fraction
  }

  /// Keys' cubic convolution kernel with the parameter `a`.
  private func cubic(_ x: Double, _ a: Double) -> Double {
    let x = abs(x)
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
    return 0
  }
}
