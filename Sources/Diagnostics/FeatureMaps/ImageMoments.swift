/// Sums over images of a number an image: enough for a mean and its standard error, and exact to add.
struct ImageMoments {
  let count: Int
  let sum: Double
  /// The sum of squares.
  let squares: Double

  /// The mean over images.
  var mean: Double { sum / Double(count) }

  /// The standard error of the mean over images; nil for fewer than two.
  var standardError: Double? {
    guard count > 1 else { return nil }
    return (variance / Double(count)).squareRoot()
  }

  /// The variance over images, divisor `count - 1`.
  private var variance: Double {
    max(0, squares - sum * sum / Double(count)) / Double(count - 1)
  }

  /// Half the width of a 95 % interval, in standard errors.
  static let halfWidth = 1.959963984540054
}
