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
    return resampled(
      rows, from: from, vertical: weights(from.height, to.height),
      horizontal: weights(from.width, to.width))
  }

  /// The weights `[to][from]` along one axis.
  func weights(_ from: Int, _ to: Int) -> [[Double]] {
    let interpolation: Interpolation =
      switch self {
      case .antialiased: .antialiasedCubic
      case .bicubic: .cubic(alignsCorners: false)
      case .bilinear: .linear(alignsCorners: false)
      case .bilinearAlignedCorners: .linear(alignsCorners: true)
      }
    return interpolation.weights(from: from, to: to)
  }
}

/// Rows `[height * width, D]` of one grid as those of another, by the weights `[to][from]` along each
/// axis: two products, so that it can be differentiated.
func resampled(
  _ rows: Tensor, from: (height: Int, width: Int), vertical: [[Double]], horizontal: [[Double]]
) -> Tensor {
  func matrix(_ weights: [[Double]]) -> Tensor {
    Tensor(
      weights.flatMap { $0.map(Float.init) }, shape: [weights.count, weights.first?.count ?? 0])
  }
  let dim = rows.shape.last
  let down = matrix(vertical).matmul(rows.reshaped([from.height, from.width * dim]))
  let columns = down.reshaped([vertical.count, from.width, dim]).permuted([1, 0, 2])
  let across = matrix(horizontal).matmul(
    columns.reshaped([from.width, vertical.count * dim]))
  return across.reshaped([horizontal.count, vertical.count, dim]).permuted([1, 0, 2])
    .reshaped([vertical.count * horizontal.count, dim])
}
