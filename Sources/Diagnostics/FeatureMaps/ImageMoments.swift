/// A number an image, over images: its sum, and its squared deviations from the mean. Deviations are taken
/// from the mean first and then squared: of a mean that is large against the spread, the difference of two
/// sums of squares would leave nothing.
struct ImageMoments: Sendable, Codable, Equatable {
  private(set) var count: Int
  private(set) var sum: Double
  /// The sum of squared deviations from the mean.
  private(set) var deviations: Double

  init(count: Int = 0, sum: Double = 0, deviations: Double = 0) {
    (self.count, self.sum, self.deviations) = (count, sum, deviations)
  }

  /// Of a number each.
  init(_ values: [Double]) {
    let (sum, count) = (values.reduce(0, +), values.count)
    let mean = sum / Double(count)
    self.init(
      count: count, sum: sum,
      deviations: values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) })
  }

  /// Takes in further images (Chan, Golub, LeVeque 1983).
  static func += (a: inout Self, b: Self) {
    guard b.count > 0 else { return }
    guard a.count > 0 else {
      a = b
      return
    }
    let (n, m) = (Double(a.count), Double(b.count))
    let distance = b.mean - a.mean
    a = Self(
      count: a.count + b.count, sum: a.sum + b.sum,
      deviations: a.deviations + b.deviations + distance * distance * n * m / (n + m))
  }

  /// Whether moments that were read from a file are some.
  var isValid: Bool { count >= 0 && sum.isFinite && deviations >= 0 && deviations.isFinite }

  /// The mean over images.
  var mean: Double { sum / Double(count) }

  /// The standard error of the mean over images; nil for fewer than two.
  var standardError: Double? {
    guard count > 1 else { return nil }
    return (max(0, deviations) / Double(count - 1) / Double(count)).squareRoot()
  }

  /// Half the width of a 95 % interval, in standard errors.
  static let halfWidth = 1.959963984540054

  /// `Σ (a - ā)(b - b̄)` over images of a minibatch.
  static func codeviation(
    count: Int, _ a: (Int) -> Double, _ b: (Int) -> Double
  ) -> Double {
    let (meanA, meanB) = (
      (0..<count).reduce(0) { $0 + a($1) } / Double(count),
      (0..<count).reduce(0) { $0 + b($1) } / Double(count)
    )
    return (0..<count).reduce(0) { $0 + (a($1) - meanA) * (b($1) - meanB) }
  }

  /// `Σ (a - ā)(b - b̄)` over the images of several minibatches.
  ///
  /// - Parameters:
  ///   - parts: of each minibatch, its images, `Σ a`, `Σ b`, and the codeviation about its own means.
  static func codeviation(
    _ parts: [(count: Int, a: Double, b: Double, within: Double)]
  ) -> Double {
    let count = Double(parts.reduce(0) { $0 + $1.count })
    let meanA = parts.reduce(0) { $0 + $1.a } / count
    let meanB = parts.reduce(0) { $0 + $1.b } / count
    return parts.reduce(0) { total, part in
      guard part.count > 0 else { return total }
      let n = Double(part.count)
      return total + part.within + n * (part.a / n - meanA) * (part.b / n - meanB)
    }
  }
}
