import Synchronization
import Tensors

/// The position embeddings of patches, stored for one grid, on any other.
struct PositionTable: Sendable {
  /// The last grid that was asked for: that of every minibatch.
  private final class Cache: Sendable {
    let last = Mutex<(height: Int, width: Int, rows: Tensor)?>(nil)
  }

  private let rows: Tensor
  private let grid: (height: Int, width: Int)
  private let resampling: PositionResampling
  private let cache = Cache()

  /// - Parameter rows: `[height * width, D]` of the grid.
  init(_ rows: Tensor, grid: (height: Int, width: Int), _ resampling: PositionResampling) {
    (self.rows, self.grid, self.resampling) = (rows, grid, resampling)
  }

  /// The embeddings `[height * width, D]` of a grid.
  func callAsFunction(height: Int, width: Int) -> Tensor {
    func resampled() -> Tensor { resampling(rows, from: grid, to: (height, width)) }
    // What is differentiated, and what is only counted, belongs to one pass.
    if grid == (height, width) || rows.isTracked || rows.isAbstract { return resampled() }
    if let last = cache.last.withLock({ $0 }), last.height == height, last.width == width {
      return last.rows
    }
    let own = resampled()
    cache.last.withLock { $0 = (height, width, own) }
    return own
  }
}

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
    // The map is separable: a product along each axis.
    let dim = rows.shape.last
    let down = matrix(from.height, to.height).matmul(
      rows.reshaped([from.height, from.width * dim]))
    let columns = down.reshaped([to.height, from.width, dim]).permuted([1, 0, 2])
    let across = matrix(from.width, to.width).matmul(
      columns.reshaped([from.width, to.height * dim]))
    return across.reshaped([to.width, to.height, dim]).permuted([1, 0, 2])
      .reshaped([to.height * to.width, dim])
  }

  private func matrix(_ from: Int, _ to: Int) -> Tensor {
    Tensor(weights(from, to).flatMap { $0.map(Float.init) }, shape: [to, from])
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
