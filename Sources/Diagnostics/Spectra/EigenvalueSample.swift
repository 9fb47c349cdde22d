import Glibc

/// Eigenvalues gathered over minibatches, and the figures that the max-eigenvalue spectra of Park
/// and Kim, "How do vision transformers work?" (ICLR 2022), are read by.
///
/// All figures are of the raw sample, not of a smoothed density.
public struct EigenvalueSample: Sendable, Equatable {
  /// A share with its 95 % interval.
  public struct Proportion: Sendable, Equatable {
    /// The share.
    public let value: Double
    /// Wilson's score interval at 95 %.
    public let interval: ClosedRange<Double>
  }

  /// One side of zero, as the two panels of the figure show it.
  public enum Side: String, Sendable, Codable, CaseIterable {
    /// Values below 0.
    case negative
    /// Values above 0.
    case positive
  }

  /// A smooth density on one side.
  public struct Density: Sendable, Equatable {
    /// Evenly spaced, ascending, from 0 to 3 bandwidths beyond the outermost value of the side.
    public let x: [Double]
    /// A share of the whole sample per unit of x, so that both sides together integrate to 1, but
    /// for what the Gaussians carry across 0.
    public let density: [Double]
    /// σ of the Gaussians.
    public let bandwidth: Double
  }

  /// Counts on one side.
  public struct Histogram: Sendable, Equatable {
    /// One more than there are counts, ascending and evenly spaced; 0 is the inner end. A value on an
    /// edge belongs to the bin farther from 0, the outermost to the last.
    public let edges: [Double]
    /// Values per bin.
    public let counts: [Int]
    /// count / (all values of the sample · width): comparable with `Density`.
    public let density: [Double]
  }

  /// In the order given.
  public let values: [Double]

  /// A sample, which may be empty.
  ///
  /// - Throws: `nonFiniteValue` if one is NaN or infinite.
  public init(_ values: [Double]) throws(SpectrumError) {
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      throw .nonFiniteValue(index: index)
    }
    self.values = values
  }

  /// The values of one side.
  public func values(_ side: Side) -> [Double] {
    values.filter { side == .negative ? $0 < 0 : $0 > 0 }
  }

  /// NEP, the share of negative eigenvalues: a measure of non-convexity. Nil for an empty sample.
  public var negativeProportion: Proportion? {
    guard !values.isEmpty else { return nil }
    let n = Double(values.count)
    let p = Double(values(.negative).count) / n
    // The 97.5 % point of the standard normal.
    let z = 1.959963984540054
    let centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    let half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
    // At p = 0 and 1 the ends are 0 and 1 exactly.
    let low = p == 0 ? 0 : max(0, centre - half)
    let high = p == 1 ? 1 : min(1, centre + half)
    return Proportion(value: p, interval: low...high)
  }

  /// APE, the mean of the positive eigenvalues: a measure of sharpness. Nil if there are none.
  public var averagePositive: Double? { mean(.positive) }

  /// ANE, the mean of the negative eigenvalues. Nil if there are none.
  public var averageNegative: Double? { mean(.negative) }

  private func mean(_ side: Side) -> Double? {
    let values = values(side)
    return values.isEmpty ? nil : values.reduce(0) { $0 + $1 / Double(values.count) }
  }

  /// Scott's bandwidth of one side, s n^(-1/5) with the sample deviation s (Scott, "Multivariate
  /// Density Estimation", 1992). Nil for fewer than two values or no spread.
  public func scottBandwidth(_ side: Side) -> Double? {
    let values = values(side)
    guard values.count > 1, let mean = mean(side) else { return nil }
    let n = Double(values.count)
    // In units of the largest deviation: squares of extreme values would leave the range of Double.
    let largest = values.reduce(0) { max($0, abs($1 - mean)) }
    guard largest > 0 else { return nil }
    let squares = values.reduce(0) { $0 + (($1 - mean) / largest) * (($1 - mean) / largest) }
    let bandwidth = largest * (squares / (n - 1)).squareRoot() * pow(n, -0.2)
    // Equal values whose mean is rounded have no spread either.
    return bandwidth > 1e-12 * abs(mean) ? bandwidth : nil
  }

  /// Gaussian kernel density of one side by itself, with Scott's bandwidth unless one is given.
  ///
  /// - Returns: nil where there is no value, or no bandwidth; the histogram then still is.
  /// - Throws: `invalidSetting` for fewer than 2 points or a bandwidth that is not positive.
  public func density(
    _ side: Side, points: Int = 512, bandwidth given: Double? = nil
  ) throws(SpectrumError) -> Density? {
    try require("points", points, atLeast: 2)
    if let given { try require(positive: "bandwidth", given) }
    let own = values(side)
    guard !own.isEmpty, let bandwidth = given ?? scottBandwidth(side) else { return nil }
    let reach = 3 * bandwidth + own.reduce(0) { max($0, abs($1)) }
    let step = reach / Double(points - 1)
    let x = (0..<points).map { side == .negative ? Double($0) * step - reach : Double($0) * step }
    return Density(x: x, density: smoothed(own, at: x, bandwidth), bandwidth: bandwidth)
  }

  /// Gaussian kernel density of log₁₀|λ| of one side, with Scott's bandwidth: for samples whose values
  /// lie orders of magnitude apart.
  ///
  /// - Returns: the density per decade, at x = log₁₀|λ|, ascending; both sides together integrate to
  ///   1. Nil where there is no value, or no bandwidth.
  /// - Throws: `invalidSetting` for fewer than 2 points.
  public func decadeDensity(_ side: Side, points: Int = 512) throws(SpectrumError) -> Density? {
    try require("points", points, atLeast: 2)
    let own = values(side).map { log10(abs($0)) }
    guard let low = own.min(), let high = own.max(),
      let bandwidth = try EigenvalueSample(own.map { $0 - low + 1 }).scottBandwidth(.positive)
    else { return nil }
    let start = low - 3 * bandwidth
    let step = (high + 3 * bandwidth - start) / Double(points - 1)
    let x = (0..<points).map { start + Double($0) * step }
    return Density(x: x, density: smoothed(own, at: x, bandwidth), bandwidth: bandwidth)
  }

  private func smoothed(_ own: [Double], at x: [Double], _ bandwidth: Double) -> [Double] {
    let height = 1 / (Double(values.count) * bandwidth * (2 * Double.pi).squareRoot())
    return x.map { x in
      own.reduce(0) { sum, value in
        let z = (x - value) / bandwidth
        return sum + height * exp(-z * z / 2)
      }
    }
  }

  /// Counts of one side in `bins` equal bins between 0 and its outermost value.
  ///
  /// - Returns: nil where there is no value.
  /// - Throws: `invalidSetting` for no bins.
  public func histogram(_ side: Side, bins: Int = 20) throws(SpectrumError) -> Histogram? {
    try require("bins", bins, atLeast: 1)
    let own = values(side)
    guard let reach = own.map(abs).max() else { return nil }
    let width = reach / Double(bins)
    var outward = [Int](repeating: 0, count: bins)
    for value in own {
      outward[min(bins - 1, max(0, Int(abs(value) / reach * Double(bins))))] += 1
    }
    let ends = (0...bins).map { $0 == bins ? reach : Double($0) * width }
    let counts = side == .negative ? outward.reversed() : outward
    return Histogram(
      edges: side == .negative ? ends.reversed().map { $0 == 0 ? 0 : -$0 } : ends, counts: counts,
      density: counts.map { Double($0) / (Double(values.count) * width) })
  }
}
