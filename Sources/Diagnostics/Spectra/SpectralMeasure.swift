import Glibc

/// A spectrum as weighted nodes, one quadrature rule for every random probe, and what follows from
/// it: moments, trace, the fraction of negative eigenvalues, a smooth density.
public struct SpectralMeasure: Sendable, Equatable {
  /// A point of the spectrum.
  public struct Node: Sendable, Equatable {
    /// Where it is, θ.
    public let value: Double
    /// Its share of the spectrum, τ²; the weights of a probe add up to 1.
    public let weight: Double
  }

  /// How wide the Gaussian is that stands for a node.
  public enum Broadening: Sendable, Equatable {
    /// σ = range / ((m - 1) √(8 ln 3)) for m steps: with nodes at their mean distance, a Gaussian
    /// falls to a third half-way to the next. Follows the scale of the spectrum and the number of
    /// steps; the rule of Papyan, "The full spectrum of deepnet Hessians at scale" (2018).
    case resolution
    /// σ² = 1e-5 · max(1, range): PyHessian, and Ghorbani, Krishnan, Xiao (2019). Depends on the
    /// units of the loss.
    case pyHessian
    /// σ as given.
    case fixed(Double)
  }

  /// A density along a line of points.
  public struct Density: Sendable, Equatable {
    /// Points, ascending and evenly spaced.
    public let x: [Double]
    /// Eigenvalues per unit of x, as a share of all: integrates to 1.
    public let density: [Double]
    /// Over probes, point by point; nil for a single probe.
    public let standardError: [Double]?
    /// σ.
    public let bandwidth: Double
  }

  /// The nodes of every probe, ascending.
  public let rules: [[Node]]
  /// The dimension n of the operator.
  public let dimension: Int
  /// Lanczos steps m of each probe, of which fewer were made where a Krylov space was invariant.
  public let steps: Int
  /// Products made.
  public let products: Int

  /// The outermost nodes of all probes.
  public var range: ClosedRange<Double> {
    let values = rules.joined().map(\.value)
    return (values.min() ?? 0)...(values.max() ?? 0)
  }

  /// The mean of f over the spectrum, tr f(A)/n, over probes.
  public func mean(of f: (Double) -> Double) -> SampleMean {
    SampleMean(rules.map { $0.reduce(0) { $0 + $1.weight * f($1.value) } })
  }

  /// tr A: n times the first moment, which needs a single step to be what Hutchinson's method gives.
  public var trace: SampleMean {
    let n = Double(dimension)
    return SampleMean(rules.map { n * $0.reduce(0) { $0 + $1.weight * $1.value } })
  }

  /// The fraction of eigenvalues below -`deadBand` times the largest magnitude.
  ///
  /// The many eigenvalues near 0 have the sign of rounding errors, hence the band. Where much of the
  /// spectrum lies near 0, few steps bias the fraction by the place of the nodes there: compare
  /// two numbers of steps.
  public func negativeFraction(deadBand: Double = 1e-3) -> SampleMean {
    let range = range
    let limit = -deadBand * max(abs(range.lowerBound), abs(range.upperBound))
    return mean { $0 < limit ? 1 : 0 }
  }

  /// σ by a rule. Where all nodes coincide there is no range, and σ is 1e-3 of their magnitude, or
  /// 1e-3 if that is 0.
  public func bandwidth(_ broadening: Broadening) throws(SpectrumError) -> Double {
    let range = range
    let width = range.upperBound - range.lowerBound
    let sigma: Double
    switch broadening {
    case .fixed(let value):
      try require(positive: "bandwidth", value)
      return value
    case .pyHessian: sigma = (1e-5 * max(1, width)).squareRoot()
    case .resolution: sigma = width / (Double(max(2, steps) - 1) * (8 * log(3.0)).squareRoot())
    }
    let magnitude = max(abs(range.lowerBound), abs(range.upperBound))
    // Below this the grid could not tell its points apart.
    guard sigma > 1e-9 * magnitude else { return magnitude > 0 ? 1e-3 * magnitude : 1e-3 }
    return sigma
  }

  /// The mean over probes of Σ τ² N(x; θ, σ²), from 5 σ below the least node to 5 σ above the
  /// greatest.
  ///
  /// - Parameters:
  ///   - broadening: how wide a node is drawn.
  ///   - points: at least this many; more, up to 65,536, where σ would otherwise be less than two
  ///     spacings.
  /// - Throws: `invalidSetting` for fewer than 2 points or a bandwidth that is not positive.
  public func density(
    _ broadening: Broadening = .resolution, points: Int = 1024
  ) throws(SpectrumError) -> Density {
    try require("points", points, atLeast: 2)
    let sigma = try bandwidth(broadening)
    let (low, high) = (range.lowerBound - 5 * sigma, range.upperBound + 5 * sigma)
    let needed = min(65_536, (2 * (high - low) / sigma).rounded(.up) + 1)
    let count = max(points, Int(needed))
    let spacing = (high - low) / Double(count - 1)
    let x = (0..<count).map { low + Double($0) * spacing }
    let height = 1 / (sigma * (2 * Double.pi).squareRoot())
    var (sum, squares) = (
      [Double](repeating: 0, count: count), [Double](repeating: 0, count: count)
    )
    for rule in rules {
      var own = [Double](repeating: 0, count: count)
      for node in rule {
        // Beyond 9 σ a Gaussian is below 1e-17 of its height.
        let first = max(0, Int((node.value - 9 * sigma - low) / spacing))
        let last = min(count - 1, Int((node.value + 9 * sigma - low) / spacing) + 1)
        for point in first...max(first, last) {
          let z = (x[point] - node.value) / sigma
          own[point] += node.weight * height * exp(-z * z / 2)
        }
      }
      for point in 0..<count {
        sum[point] += own[point]
        squares[point] += own[point] * own[point]
      }
    }
    let n = Double(rules.count)
    let mean = sum.map { $0 / n }
    let errors = zip(mean, squares).map { mean, squares in
      (max(0, squares / n - mean * mean) / max(1, n - 1)).squareRoot()
    }
    return Density(
      x: x, density: mean, standardError: rules.count > 1 ? errors : nil, bandwidth: sigma)
  }
}
