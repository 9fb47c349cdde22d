import Reports
import StrictJSON

/// How centred kernel alignment is estimated and shown.
public struct CKASettings: Sendable, Codable, Hashable {
  /// Which estimator of HSIC.
  public enum Estimator: String, Sendable, Codable, CaseIterable {
    /// Song et al. (2012): no bias from the batch size. Needs 4 images a batch.
    case unbiased
    /// Gretton et al. (2005): tends to 1 as features outnumber images.
    case biased

    /// The fewest images of a minibatch for which it exists.
    var minimum: MinimumBatch {
      switch self {
      case .unbiased: MinimumBatch(4, "the unbiased estimator of HSIC divides by n - 3")
      case .biased: MinimumBatch(2, "the biased estimator of HSIC divides by n - 1")
      }
    }
  }

  /// The kernel between rows.
  public enum Kernel: String, Sendable, Codable, CaseIterable {
    case linear, rbf
  }

  /// How minibatches of different sizes count.
  public enum BatchWeight: String, Sendable, Codable, CaseIterable {
    /// By their number of images.
    case size
    /// The same each.
    case equal
    /// By their unnormalised sums, `n (n - 3)` (or `(n - 1)²`, biased).
    case sum
  }

  /// How the curve to the last block is drawn.
  public enum Normalization: String, Sendable, Codable, CaseIterable {
    /// `s_l / s_1`: starts at 1 and ends at the reciprocal of the first-to-last similarity.
    case ratio
    /// `(s_l - s_1) / (s_L - s_1)`: from 0 to 1.
    case minmax
    /// `s_l` itself.
    case none
  }

  /// What a row of a feature matrix is.
  public var rows = RowMode.flatten
  /// Which estimator of HSIC.
  public var estimator = Estimator.unbiased
  /// How minibatches of different sizes count.
  public var batchWeight = BatchWeight.size
  /// How the curve is drawn; all three are in the table.
  public var normalization = Normalization.ratio
  /// The kernel.
  public var kernel = Kernel.linear
  /// The bandwidth of the RBF kernel, in units of the root of the median squared distance.
  public var rbfScale = 1.0
  /// The most resamples: a hundred times what an interval needs.
  public static let mostResamples = 100_000
  /// Resamples of the minibatches for confidence intervals, up to ``mostResamples``; 0 for none.
  public var bootstrap = 1000
  /// Seed of the resampling.
  public var seed: UInt64 = 0

  /// The defaults: unbiased, linear, all tokens, weighted by size.
  public init() {}

  var json: JSONValue {
    [
      "rows": .string(rows.rawValue), "estimator": .string(estimator.rawValue),
      "batch_weight": .string(batchWeight.rawValue),
      "normalize": .string(normalization.rawValue), "kernel": .string(kernel.rawValue),
      "rbf_scale": kernel == .rbf ? .real(rbfScale) : .null,
      "bootstrap": .integer(bootstrap),
    ]
  }

  /// The factor of a minibatch's raw inner products: its weight over its normalisation. Minibatches
  /// too small for the estimator count for nothing.
  func factor(images n: Int) -> Double {
    guard n >= estimator.minimum.count else { return 0 }
    let count = Double(n)
    let normalization = estimator == .unbiased ? count * (count - 3) : (count - 1) * (count - 1)
    switch batchWeight {
    case .size: return count / normalization
    case .equal: return 1 / normalization
    case .sum: return 1
    }
  }
}
