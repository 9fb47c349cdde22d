import CKernels
import Reports
import StrictJSON
import Tensors

/// The variance of feature maps along depth.
///
/// Park & Kim, "How do vision transformers work?" (ICLR 2022), in their notebook
/// `featuremap_variance.ipynb`: over the places of a map, averaged over channels and images. Tokens
/// that are not patches are left out. Sums are carried in Float64 about a value of the map itself.
public struct VarianceAnalyzer: Analyzer {
  /// What one minibatch contributes.
  public struct Record: Codable, Sendable {
    /// Images in the minibatch.
    public let images: Int
    /// One entry for each tap of each subject, in order.
    public let taps: [Sums]

    /// Sums over images of an image's mean over channels of the spatial variance `v` and of the mean
    /// square `q`. For the sample variance, `variance` is that of the minibatch times `n - 1`.
    public struct Sums: Codable, Sendable {
      /// Whether all values were finite; the sums are zero otherwise.
      public var isFinite = true
      /// `Σ v`.
      public var variance = 0.0
      /// `Σ (v - v̄)²`, about the mean over the minibatch; so are the other two.
      public var varianceDeviations = 0.0
      /// `Σ q`.
      public var square = 0.0
      /// `Σ (q - q̄)²`.
      public var squareDeviations = 0.0
      /// `Σ (v - v̄)(q - q̄)`.
      public var codeviations = 0.0
    }
  }

  /// `variance`.
  public static let name = "variance"
  /// Residual half-blocks.
  public static let defaultOrdering = TapOrdering.sequence
  /// The settings.
  public let configuration: VarianceSettings

  /// An analyzer with the given settings.
  public init(_ configuration: VarianceSettings = VarianceSettings()) {
    self.configuration = configuration
  }

  /// The settings as JSON.
  public var settings: JSONValue { configuration.json }

  /// Tokens of a grid, and maps.
  public func accepts(_ tap: Tap) -> Bool { tap.holdsFeatureMaps }

  /// Starts on a minibatch.
  public func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record> {
    VarianceObserver(configuration, plan: plan)
  }

  /// One entry a tap.
  public func isValid(_ record: Record, plan: Plan) -> Bool {
    plan.canHold(record.images) && record.taps.count == plan.tapCount
  }

  /// The variance along depth: a table and a figure.
  public func report(_ records: [Record], plan: Plan) throws -> Report {
    try VarianceReport(records, settings: configuration, plan: plan).report
  }
}

/// Adds up each image's variance as a value passes.
private final class VarianceObserver: BatchObserver {
  private let variant: VarianceSettings.Variant
  private let plan: Plan
  private let starts: [Int]
  private var images = 0
  private var taps: [VarianceAnalyzer.Record.Sums]

  init(_ settings: VarianceSettings, plan: Plan) {
    variant = settings.variant
    self.plan = plan
    starts = plan.starts
    taps = Array(repeating: .init(), count: plan.tapCount)
  }

  func observe(subject: Int, tap: Int, value: Tensor) {
    images = value.shape[0]
    guard let grid = MapGrid(plan.subjects[subject].taps[tap]) else { return }
    let sums = variant == .sample ? sampleSums(value, grid) : mapSums(value, grid)
    taps[starts[subject] + tap] = sums
  }

  private func mapSums(_ value: Tensor, _ grid: MapGrid) -> VarianceAnalyzer.Record.Sums {
    var rows = [Double](repeating: 0, count: images * 2)
    rows.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let out = DisjointWrites(base)
      grid.forEachImage(of: value) { image, maps in
        let row = out.pointer + 2 * image
        ck_map_moments(maps, grid.positions, grid.channels, row, row + 1)
      }
    }
    let (v, q) = (
      (0..<images).map { rows[2 * $0] / Double(grid.channels) },
      (0..<images).map { rows[2 * $0 + 1] / Double(grid.channels) }
    )
    var sums = VarianceAnalyzer.Record.Sums()
    (sums.variance, sums.square) = (v.reduce(0, +), q.reduce(0, +))
    sums.varianceDeviations = ImageMoments.codeviation(count: images, { v[$0] }, { v[$0] })
    sums.squareDeviations = ImageMoments.codeviation(count: images, { q[$0] }, { q[$0] })
    sums.codeviations = ImageMoments.codeviation(count: images, { v[$0] }, { q[$0] })
    return Self.checked(sums)
  }

  /// Places are cut into parts fixed by their number, so that the sums do not depend on threads.
  private func sampleSums(_ value: Tensor, _ grid: MapGrid) -> VarianceAnalyzer.Record.Sums {
    let (rows, part) = (images, 8192)
    let count = grid.positions * grid.channels
    var parts = [Double](repeating: 0, count: (count + part - 1) / part)
    value.withValues { buffer in
      guard rows > 1, let base = buffer.baseAddress, !buffer.isEmpty else { return }
      precondition(
        buffer.count == rows * grid.stride, "\(value.shape) is not of the planned shape")
      let input = DisjointWrites(UnsafeMutablePointer(mutating: base + grid.prefix * grid.channels))
      parts.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        let out = DisjointWrites(base)
        Threads.forEach(buffer.count) { index in
          let start = index * part
          out.pointer[index] = ck_row_variance(
            input.pointer + start, rows, grid.stride, min(part, count - start))
        }
      }
    }
    var sums = VarianceAnalyzer.Record.Sums()
    sums.variance = parts.reduce(0, +) / Double(count) * Double(max(0, rows - 1))
    return Self.checked(sums)
  }

  private static func checked(
    _ sums: VarianceAnalyzer.Record.Sums
  ) -> VarianceAnalyzer.Record.Sums {
    let all = [
      sums.variance, sums.varianceDeviations, sums.square, sums.squareDeviations,
      sums.codeviations,
    ]
    if all.allSatisfy(\.isFinite) { return sums }
    var none = VarianceAnalyzer.Record.Sums()
    none.isFinite = false
    return none
  }

  func finish() -> VarianceAnalyzer.Record {
    VarianceAnalyzer.Record(images: images, taps: taps)
  }
}
