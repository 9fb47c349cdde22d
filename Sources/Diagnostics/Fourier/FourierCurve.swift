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

  /// - Parameters:
  ///   - sums: of each minibatch, with its number of images.
  init(_ sums: [(images: Int, sums: FourierAnalyzer.Record.Sums)], bins: FourierBins?) {
    images = sums.reduce(0) { $0 + $1.images }
    self.bins = bins
    let count = bins?.count ?? 1
    let problem: Status? =
      bins == nil ? .undefinedGrid : sums.allSatisfy(\.sums.isFinite) ? nil : .nonfinite
    guard problem == nil, images > 0, sums.allSatisfy({ $0.sums.values.count == count }) else {
      status = problem ?? .undefinedGrid
      points = Array(repeating: Point(status: status), count: count)
      deadFraction = nil
      return
    }
    let values = (0..<count).map { k in sums.reduce(0) { $0 + $1.sums.values[k] } }
    /// Of the points `k` and `j`, given what minibatches hold.
    func between(
      _ j: (Int) -> Int, _ within: (FourierAnalyzer.Record.Sums) -> [Double]
    ) -> [Double] {
      (0..<count).map { k in
        ImageMoments.codeviation(
          sums.map { ($0.images, $0.sums.values[k], $0.sums.values[j(k)], within($0.sums)[k]) })
      }
    }
    let own = between({ $0 }, \.deviations)
    let toConstant = between({ _ in 0 }, \.codeviations)
    let maps = Double(images) * Double(bins?.grid.channels ?? 1)
    deadFraction = Double(sums.reduce(0) { $0 + $1.sums.dead }) / maps
    if bins?.variant == .power {
      points = Self.powers(values, own, toConstant, images: Double(images))
    } else {
      points = Self.logs(values, own, toConstant, images: images)
    }
    status = points.first { $0.status != .ok }?.status ?? .ok
  }

  /// Means of logarithms: the difference to the constant part is taken image by image.
  private static func logs(
    _ values: [Double], _ deviations: [Double], _ codeviations: [Double], images: Int
  ) -> [Point] {
    values.indices.map { k in
      let difference = ImageMoments(
        count: images, sum: values[k] - values[0],
        deviations: deviations[k] - 2 * codeviations[k] + deviations[0])
      return Point(
        level: values[k] / Double(images), delta: difference.mean,
        error: difference.standardError)
    }
  }

  /// Half the logarithm of mean powers `P_k`. The error is that of `x_k / P_k - x_0 / P_0`: the
  /// logarithm to first order.
  private static func powers(
    _ values: [Double], _ deviations: [Double], _ codeviations: [Double], images: Double
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
        deviations: deviations[k] / power / power - 2 * codeviations[k] / power / constant
          + deviations[0] / constant / constant)
      point.error = ratio.standardError.map { 0.5 * $0 }
      return point
    }
  }
}
