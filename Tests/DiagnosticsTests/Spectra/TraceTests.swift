import Testing

@testable import Diagnostics

@Suite struct TraceTests {
  /// z'Dz is the trace for every sign vector z.
  @Test(arguments: [1, 2, 30]) func hutchinsonIsExactOnDiagonals(n: Int) throws {
    var estimator = TraceEstimator()
    estimator.products = 7
    let result = try estimator.estimate(Diagonal(entries: (1...n).map(Double.init)))
    #expect(result.trace.mean == Double(n * (n + 1) / 2))
    #expect(result.trace.standardError == 0)
    #expect(result.products == 7)
    estimator.products = 1
    #expect(
      try estimator.estimate(Diagonal(entries: [2, 3])).trace
        == SampleMean(mean: 5, standardError: nil, count: 1))
  }

  /// Over 60 seeds: the errors are centred on 0, and as large as the standard errors say.
  @Test(arguments: [TraceEstimator.Method.hutchinson, .hutchPlusPlus])
  func estimatesAreUnbiasedAndTheirErrorsHonest(method: TraceEstimator.Method) throws {
    let values = [30, -12, 8, 5] + (0..<40).map { Double($0) / 20 - 0.7 }
    let matrix = Dense.rotated(values)
    let trace = values.reduce(0, +)
    var estimator = TraceEstimator()
    estimator.method = method
    estimator.products = 30
    estimator.vectorsAtOnce = 4
    estimator.precision = .double
    var scores: [Double] = []
    var errors: [Double] = []
    for seed in UInt64(0)..<60 {
      estimator.seed = seed
      let result = try estimator.estimate(matrix)
      #expect(result.products <= 30)
      let error = try #require(result.trace.standardError)
      errors.append(result.trace.mean - trace)
      scores.append((result.trace.mean - trace) / error)
    }
    let mean = SampleMean(errors)
    #expect(abs(mean.mean) < 4 * (try #require(mean.standardError)))
    let spread = (scores.reduce(0) { $0 + $1 * $1 } / 60).squareRoot()
    #expect(spread > 0.7 && spread < 1.6)
    // Two thirds of the deviation that theory gives Hutchinson: 2 (|A|²_F - Σ A_ii²) per sample.
    let frobenius = values.reduce(0) { $0 + $1 * $1 }
    let diagonal = matrix.rows.indices.reduce(0) { $0 + matrix.rows[$1][$1] * matrix.rows[$1][$1] }
    let theory = (2 * (frobenius - diagonal) / 30).squareRoot()
    let deviation = (errors.reduce(0) { $0 + $1 * $1 } / 60).squareRoot()
    switch method {
    case .hutchinson: #expect(deviation > 0.7 * theory && deviation < 1.4 * theory)
    // The outliers are taken out exactly.
    case .hutchPlusPlus: #expect(deviation < 0.5 * theory)
    }
  }

  @Test func hutchPlusPlusIsExactWithinItsRange() throws {
    var estimator = TraceEstimator()
    estimator.method = .hutchPlusPlus
    estimator.products = 12
    estimator.precision = .double
    // Rank 3 < 4: the range holds everything.
    let low = try estimator.estimate(Dense.rotated([5, -3, 2] + [Double](repeating: 0, count: 20)))
    #expect(isClose(low.trace.mean, 4, 1e-10))
    // Twenty sign vectors span three dimensions: no chance is left.
    estimator.products = 60
    let small = try estimator.estimate(Dense.rotated([5, -3, 2]))
    #expect(isClose(small.trace.mean, 4, 1e-12))
    #expect(small.trace.standardError == 0)
    let zero = try estimator.estimate(Diagonal(entries: [0, 0, 0, 0, 0, 0]))
    #expect(zero.trace.mean == 0)
  }

  @Test func blocksDoNotChangeTheEstimate() throws {
    let matrix = Dense.rotated([9, -4, 2, 1, 0.5, 0.1, 0, -1])
    for method in [TraceEstimator.Method.hutchinson, .hutchPlusPlus] {
      var estimator = TraceEstimator()
      estimator.method = method
      estimator.products = 11
      let single = try estimator.estimate(matrix)
      estimator.vectorsAtOnce = 5
      #expect(try estimator.estimate(matrix) == single)
    }
  }

  @Test func nonFiniteProductsAndBadSettingsAreNamed() {
    var estimator = TraceEstimator()
    let matrix = Failing(Diagonal.bulk([3], 100, 0, 1), at: 6, with: .nan)
    estimator.vectorsAtOnce = 4
    #expect(throws: SpectrumError.nonFiniteProduct(solver: "hutchinson", product: 6)) {
      try estimator.estimate(matrix)
    }
    estimator.products = 0
    #expect(throws: SpectrumError.self) { try estimator.estimate(Diagonal(entries: [1])) }
  }
}
