import Tensors

/// The eigenvalues of largest magnitude by power iteration with orthogonal deflation, as in
/// PyHessian (Yao, Gholami, Keutzer, Mahoney, "PyHessian: neural networks through the lens of the
/// Hessian", 2020; `hessian.eigenvalues` with the same `maxIter`, `tol`, `top_n`).
///
/// What differs: after the rule has stopped, one more product allows for a Rayleigh-Ritz step on
/// span{v, Av}, which separates a pair λ, -λ (the Rayleigh quotient stands still while v alternates
/// between them, so that the rule alone stops at once, at an arbitrary value); every value has its
/// residual; and norms and changes are taken as they are, without 1e-6 added, so that small
/// spectra deflate properly.
public struct PowerIteration: Sendable {
  /// When to stop.
  public enum Rule: String, Sendable, Codable {
    /// As PyHessian: the Rayleigh quotient moved by less than `tolerance`, relatively.
    case change
    /// Besides, the residual after the Rayleigh-Ritz step is at most `tolerance` times the value,
    /// and it is settled whether there is a value of opposite sign beyond it; else the iteration
    /// goes on, with attempts ever further apart. Costs a product for every attempt.
    case residual
  }

  /// How many values (PyHessian's `top_n`); at most the dimension is used.
  public var top = 1
  /// The most iterations for a value (`maxIter`).
  public var maximumIterations = 100
  /// Relative (`tol`).
  public var tolerance = 1e-3
  /// When to stop.
  public var rule = Rule.change
  /// How the vectors found are stored.
  public var precision = KrylovBasis.Precision.single
  /// Threads for the long vectors; no result depends on it.
  public var threads = 1
  /// Seed of the start vectors.
  public var seed: UInt64 = 0

  /// PyHessian's defaults: one value, 100 iterations, tolerance 1e-3.
  public init() {}

  /// What was found.
  public struct Result {
    /// In descending magnitude, which is not always the order in which they were found.
    public let values: [EigenvalueEstimate]
    /// Products made.
    public let products: Int
    /// Whether more values were asked for than the operator has dimensions.
    public let isClipped: Bool
    private let found: KrylovBasis

    init(values: [EigenvalueEstimate], products: Int, isClipped: Bool, found: KrylovBasis) {
      self.values = values
      self.products = products
      self.isClipped = isClipped
      self.found = found
    }

    /// The unit vector of a value [n].
    ///
    /// - Precondition: the estimate is one of this result.
    public func vector(of estimate: EigenvalueEstimate) -> [Double] {
      found.vector(estimate.index)
    }
  }

  /// Finds the values.
  ///
  /// - Parameters:
  ///   - matrix: the operator [n, n].
  ///   - progress: called before every product with the number made and the most there can be. An
  ///     error it throws ends the run and is passed on.
  /// - Throws: `SpectrumError`, and whatever the operator or `progress` throws.
  public func solve(
    _ matrix: some SymmetricOperator,
    progress: (_ products: Int, _ most: Int) throws -> Void = { _, _ in }
  ) throws -> Result {
    try matrix.checkDimension()
    try require("top", top, atLeast: 1)
    try require("maximumIterations", maximumIterations, atLeast: 1)
    try require(positive: "tolerance", tolerance)
    let dimension = matrix.dimension
    let count = min(top, dimension)
    let most = count.multipliedReportingOverflow(by: maximumIterations).partialValue
    let found = KrylovBasis(dimension: dimension, precision: precision, threads: threads)
    var products = 0
    var values: [EigenvalueEstimate] = []

    func product(_ vector: [Double]) throws -> [Double] {
      try progress(products, most)
      let result = try matrix.product(
        with: [vector], solver: "power iteration", product: products)[0]
      products += 1
      return result
    }

    for rank in 0..<count {
      var start = CounterRandom(seed: seed, purpose: "power start", stream: UInt64(rank))
        .normals(dimension)
      found.orthogonalise(&start)
      var best = try refine(from: start, found, product)
      best.estimate.index = rank
      values.append(best.estimate)
      found.append(rounding: &best.vector)
    }
    let largest = values.reduce(0) { max($0, abs($1.value)) }
    for rank in values.indices {
      values[rank].isConverged = values[rank].residual <= tolerance * largest
    }
    values.sort { abs($0.value) > abs($1.value) }
    EigenvalueEstimate.markTwins(of: &values, among: values, tolerance: tolerance)
    return Result(values: values, products: products, isClipped: top > dimension, found: found)
  }

  /// Iterates for one value, orthogonally to those found.
  private func refine(
    from start: [Double], _ found: KrylovBasis, _ product: ([Double]) throws -> [Double]
  ) throws -> (estimate: EigenvalueEstimate, vector: [Double]) {
    var vector = start
    LongVector.normalise(&vector)
    var image = try product(vector)
    var iterations = 1
    var previous: Double?
    var (attempt, wait) = (0, 1)
    while true {
      let quotient = LongVector.dot(vector, image)
      let stands = previous.map { abs($0 - quotient) <= tolerance * abs($0) } ?? false
      let exhausted = iterations >= maximumIterations
      previous = quotient
      if exhausted || (stands && iterations >= attempt) {
        let pair = try rayleighRitz(vector, image, quotient, found, product)
        iterations += pair.products
        let isSmall = pair.residual <= tolerance * abs(pair.value)
        if exhausted || rule == .change || (isSmall && !pair.hasOpenRival) {
          let estimate = EigenvalueEstimate(
            value: pair.value, residual: pair.residual, isConverged: isSmall,
            hasOppositeSignPair: pair.hasOppositeSignPair, iterations: iterations, index: 0)
          return (estimate, pair.own.vector)
        }
        // Not from the Ritz vector: v holds both of a pair ±λ, to be separated once the rest has
        // died away, where the Ritz vector would lose sight of one.
        attempt = iterations + wait
        wait *= 2
      }
      var next = image
      let before = LongVector.norm(next)
      // Nothing left outside the values found: v is in the null space of what remains.
      guard found.orthogonalise(&next).norm > LanczosProcess.breakdown * before,
        LongVector.normalise(&next) != nil
      else {
        let quotient = LongVector.dot(vector, image)
        var rest = image
        LongVector.add(-quotient, vector, to: &rest)
        let estimate = EigenvalueEstimate(
          value: quotient, residual: LongVector.norm(rest), isConverged: true,
          hasOppositeSignPair: false, iterations: iterations, index: 0)
        return (estimate, vector)
      }
      vector = next
      image = try product(vector)
      iterations += 1
    }
  }

  /// A vector and its product with the operator.
  private struct Direction {
    var vector: [Double]
    var image: [Double]

    /// a·self + b·other
    func combined(_ a: Double, _ b: Double, with other: Direction) -> Direction {
      var sum = self
      LongVector.scale(&sum.vector, by: a)
      LongVector.add(b, other.vector, to: &sum.vector)
      LongVector.scale(&sum.image, by: a)
      LongVector.add(b, other.image, to: &sum.image)
      return sum
    }

    /// |Av - θv|
    func residual(_ value: Double) -> Double {
      var rest = image
      LongVector.add(-value, vector, to: &rest)
      return LongVector.norm(rest)
    }
  }

  private struct RitzPair {
    var value: Double
    var own: Direction
    var residual: Double
    /// Whether a value of opposite sign may be as large in magnitude.
    var hasOppositeSignPair = false
    /// Whether the residual of the other Ritz value is too large to say whether it is such a value.
    var hasOpenRival = false
    var products = 0
  }

  /// The best pair within span{v, Av}, and its residual, at the price of one product.
  private func rayleighRitz(
    _ vector: [Double], _ image: [Double], _ quotient: Double, _ found: KrylovBasis,
    _ product: ([Double]) throws -> [Double]
  ) throws -> RitzPair {
    let first = Direction(vector: vector, image: image)
    var other = image
    LongVector.add(-quotient, vector, to: &other)
    found.orthogonalise(&other)
    // Once more against v itself, which `found` does not hold.
    LongVector.add(-LongVector.dot(vector, other), vector, to: &other)
    guard LongVector.norm(other) > LanczosProcess.breakdown * abs(quotient),
      LongVector.normalise(&other) != nil
    else {
      return RitzPair(value: quotient, own: first, residual: first.residual(quotient))
    }
    let second = Direction(vector: other, image: try product(other))
    let small = try SmallEigenproblem(
      diagonal: [quotient, LongVector.dot(other, second.image)],
      offDiagonal: [LongVector.dot(other, image)])
    let (low, high) = (small.values[0], small.values[1])
    // Of two equal magnitudes the positive one.
    let chosen = abs(high) >= abs(low) * (1 - tolerance) ? 1 : 0
    func pair(_ column: Int) -> Direction {
      first.combined(small.entry(0, of: column), small.entry(1, of: column), with: second)
    }
    let own = pair(chosen)
    let value = small.values[chosen]
    var best = RitzPair(value: value, own: own, residual: own.residual(value), products: 1)
    if low * high < 0 {
      // Within its residual of the other Ritz value there is an eigenvalue.
      let rival = pair(1 - chosen)
      let residual = rival.residual(small.values[1 - chosen])
      let reach = abs(small.values[1 - chosen]) + residual + best.residual
      best.hasOppositeSignPair = reach >= abs(value) * (1 - tolerance)
      best.hasOpenRival = best.hasOppositeSignPair && residual > tolerance * abs(value)
    }
    return best
  }
}
