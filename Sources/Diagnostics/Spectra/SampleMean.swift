/// A mean over random samples, with its standard error.
public struct SampleMean: Sendable, Equatable, Codable {
  /// The mean.
  public let mean: Double
  /// s/√count with the sample deviation s (divisor count - 1); nil for a single sample.
  public let standardError: Double?
  /// The number of samples.
  public let count: Int

  /// The mean of at least one finite sample.
  ///
  /// - Precondition: `samples` is not empty.
  public init(_ samples: [Double]) {
    precondition(!samples.isEmpty, "the mean of no samples")
    count = samples.count
    let n = Double(samples.count)
    let mean = samples.reduce(0, +) / n
    self.mean = mean
    let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    standardError = count > 1 ? (squares / (n - 1) / n).squareRoot() : nil
  }

  init(mean: Double, standardError: Double?, count: Int) {
    (self.mean, self.standardError, self.count) = (mean, standardError, count)
  }
}
