/// The variance of one tap over all images.
struct VarianceEstimate {
  /// Why an estimate is what it is.
  enum Status: String {
    case ok
    /// Maps of one place, or minibatches of one image, do not vary; or all features are zero.
    case degenerate
    /// A value was not finite.
    case nonfinite = "nan_input"
    /// The value is not the grid that its layout promises.
    case undefinedGrid = "undefined_grid"
  }

  private(set) var value: Double?
  /// The standard error over images; over minibatches for the sample variance. Nil for one.
  private(set) var error: Double?
  private(set) var status: Status

  /// The ends of the 95 % interval.
  var interval: (low: Double, high: Double)? {
    guard let value, let error else { return nil }
    let half = ImageMoments.halfWidth * error
    return (value - half, value + half)
  }

  /// - Parameters:
  ///   - sums: of each minibatch, with its number of images.
  init(
    _ sums: [(images: Int, sums: VarianceAnalyzer.Record.Sums)], grid: MapGrid?,
    variant: VarianceSettings.Variant
  ) {
    guard let grid else {
      status = .undefinedGrid
      return
    }
    guard sums.allSatisfy(\.sums.isFinite) else {
      status = .nonfinite
      return
    }
    status = .degenerate
    if variant == .sample {
      estimateSample(sums)
      return
    }
    let images = sums.reduce(0) { $0 + $1.images }
    guard grid.positions > 1, images > 0 else { return }
    typealias Sums = VarianceAnalyzer.Record.Sums
    func total(_ part: (Sums) -> Double) -> Double { sums.reduce(0) { $0 + part($1.sums) } }
    func deviations(
      _ a: (Sums) -> Double, _ b: (Sums) -> Double, _ within: (Sums) -> Double
    ) -> Double {
      ImageMoments.codeviation(sums.map { ($0.images, a($0.sums), b($0.sums), within($0.sums)) })
    }
    let variance = ImageMoments(
      count: images, sum: total(\.variance),
      deviations: deviations(\.variance, \.variance, \.varianceDeviations))
    if variant == .spatial {
      (value, error, status) = (variance.mean, variance.standardError, .ok)
      return
    }
    let square = total(\.square) / Double(images)
    guard square > 0 else { return }
    let ratio = variance.mean / square
    // The error of a ratio of means is that of the mean of v - ratio * q, to first order.
    let residual = ImageMoments(
      count: images, sum: 0,
      deviations: variance.deviations
        - 2 * ratio * deviations(\.variance, \.square, \.codeviations)
        + ratio * ratio * deviations(\.square, \.square, \.squareDeviations))
    (value, error, status) = (ratio, residual.standardError.map { $0 / square }, .ok)
  }

  /// Minibatches count by their degrees of freedom, `n - 1`; the error is that of a ratio of means
  /// over minibatches.
  private mutating func estimateSample(
    _ sums: [(images: Int, sums: VarianceAnalyzer.Record.Sums)]
  ) {
    let batches = sums.filter { $0.images > 1 }
    let freedom = batches.reduce(0.0) { $0 + Double($1.images - 1) }
    guard freedom > 0 else { return }
    let mean = batches.reduce(0.0) { $0 + $1.sums.variance } / freedom
    (value, status) = (mean, .ok)
    guard batches.count > 1 else { return }
    let count = Double(batches.count)
    let squares = batches.reduce(0.0) { total, batch in
      let rest = batch.sums.variance - Double(batch.images - 1) * mean
      return total + rest * rest
    }
    error = (squares * count / (count - 1)).squareRoot() / freedom
  }
}
