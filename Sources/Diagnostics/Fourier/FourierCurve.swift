import Glibc

/// The spectrum of one tap over all images.
struct FourierCurve {
  /// Why a curve is what it is.
  enum Status: String {
    case ok
    /// No power at all: its logarithm does not exist.
    case degenerate
    /// A value was not finite, or too large for its transform to be.
    case nonfinite = "nan_input"
    /// The value is not the grid that its layout promises.
    case undefinedGrid = "undefined_grid"
  }

  /// A point of the curve.
  struct Point {
    /// The log amplitude.
    var level: Double?
    /// The log amplitude relative to that of the constant part.
    var delta: Double?
    /// The standard error of `delta` over images; nil for a single image.
    var error: Double?
    var status = Status.ok

    /// The ends of the 95 % interval of `delta`.
    var interval: (low: Double, high: Double)? {
      guard let delta, let error else { return nil }
      let half = ImageMoments.halfWidth * error
      return (delta - half, delta + half)
    }
  }

  /// Nil where there is no grid.
  let bins: FourierBins?
  let images: Int
  let points: [Point]
  let status: Status
  /// The share of maps whose sum is next to nothing.
  let deadFraction: Double?

  /// Maps: channels of images.
  var maps: Int { images * (bins?.grid.channels ?? 0) }

  /// The highest frequency; nil if there is none but 0.
  var last: Point? { points.count > 1 ? points.last : nil }

  init(_ sums: [FourierAnalyzer.Record.Sums], images: Int, bins: FourierBins?) {
    self.images = images
    self.bins = bins
    let count = bins?.count ?? 1
    let problem: Status? =
      bins == nil ? .undefinedGrid : sums.allSatisfy(\.isFinite) ? nil : .nonfinite
    guard problem == nil, images > 0, sums.allSatisfy({ $0.values.count == count }) else {
      status = problem ?? .undefinedGrid
      points = Array(repeating: Point(status: status), count: count)
      deadFraction = nil
      return
    }
    func total(_ part: (FourierAnalyzer.Record.Sums) -> [Double]) -> [Double] {
      var result = [Double](repeating: 0, count: count)
      for sum in sums { for (k, x) in part(sum).enumerated() where k < count { result[k] += x } }
      return result
    }
    let (values, squares, products) = (total(\.values), total(\.squares), total(\.products))
    let maps = Double(images) * Double(bins?.grid.channels ?? 1)
    deadFraction = Double(sums.reduce(0) { $0 + $1.dead }) / maps
    if bins?.variant == .power {
      points = Self.powers(values, squares, products, images: Double(images))
    } else {
      points = Self.logs(values, squares, products, images: images)
    }
    status = points.first { $0.status != .ok }?.status ?? .ok
  }

  /// Means of logarithms: the difference to the constant part is taken image by image.
  private static func logs(
    _ values: [Double], _ squares: [Double], _ products: [Double], images: Int
  ) -> [Point] {
    values.indices.map { k in
      let difference = ImageMoments(
        count: images, sum: values[k] - values[0],
        squares: squares[k] - 2 * products[k] + squares[0])
      return Point(
        level: values[k] / Double(images), delta: difference.mean,
        error: difference.standardError)
    }
  }

  /// Half the logarithm of mean powers `P_k`. The error is that of `x_k / P_k - x_0 / P_0`: the
  /// logarithm to first order.
  private static func powers(
    _ values: [Double], _ squares: [Double], _ products: [Double], images: Double
  ) -> [Point] {
    let constant = values[0] / images
    return values.indices.map { k in
      let power = values[k] / images
      guard power > 0, power.isFinite else { return Point(status: .degenerate) }
      var point = Point(level: 0.5 * log(power))
      guard constant > 0, constant.isFinite else {
        point.status = .degenerate
        return point
      }
      point.delta = 0.5 * (log(power) - log(constant))
      let ratio = ImageMoments(
        count: Int(images), sum: 0,
        squares: squares[k] / power / power - 2 * products[k] / power / constant
          + squares[0] / constant / constant)
      point.error = ratio.standardError.map { 0.5 * $0 }
      return point
    }
  }
}
