import Glibc
import Testing

@testable import Diagnostics

private func quadrature(probes: Int, steps: Int) -> LanczosQuadrature {
  var solver = LanczosQuadrature()
  solver.probes = probes
  solver.steps = steps
  solver.precision = .double
  return solver
}

@Suite struct LanczosQuadratureTests {
  /// For diagonal D and sign vectors z every moment z'D^k z/n is tr D^k/n, and m nodes are exact up
  /// to degree 2m - 1.
  @Test(arguments: [1, 2, 4]) func momentsAreExactOnDiagonals(steps: Int) throws {
    let entries = (0..<50).map { sin(Double($0) * 1.7) }
    let measure = try quadrature(probes: 3, steps: steps).measure(Diagonal(entries: entries))
    for degree in 0..<2 * steps {
      func power(_ x: Double) -> Double { (0..<degree).reduce(1.0) { p, _ in p * x } }
      let exact = entries.map(power).reduce(0, +) / 50
      let found = measure.mean(of: power)
      #expect(abs(found.mean - exact) < 1e-12)
      #expect((found.standardError ?? 1) < 1e-12)
    }
    #expect(isClose(measure.trace.mean, entries.reduce(0, +), 1e-11))
  }

  @Test(arguments: [KrylovBasis.Precision.single, .double])
  func weightsAddUpAndNodesStayWithinTheSpectrum(precision: KrylovBasis.Precision) throws {
    var solver = quadrature(probes: 5, steps: 40)
    solver.precision = precision
    let measure = try solver.measure(Diagonal.bulk([100, -3], 3000, -1, 1))
    #expect(measure.rules.count == 5)
    #expect(measure.products == 200)
    for rule in measure.rules {
      #expect(abs(rule.reduce(0) { $0 + $1.weight } - 1) < 1e-6)
      #expect(rule.allSatisfy { $0.weight >= 0 && $0.value > -3.0001 && $0.value < 100.0001 })
      // A single node stands for the outlier, weighing 1/n.
      let outlier = rule.filter { $0.value > 50 }
      #expect(outlier.count == 1)
      #expect(isClose(outlier[0].weight * 3002, 1, 1e-3))
    }
  }

  @Test func momentsOfRotatedMatricesAgreeWithinTheirErrors() throws {
    let values = [12, -4] + (0..<60).map { Double($0) / 30 - 0.5 }
    let measure = try quadrature(probes: 40, steps: 30).measure(Dense.rotated(values))
    let functions: [(Double) -> Double] = [{ x in x }, { x in x * x }, { x in exp(x / 10) }]
    for f in functions {
      let exact = values.map(f).reduce(0, +) / Double(values.count)
      let found = measure.mean(of: f)
      let error = try #require(found.standardError)
      #expect(abs(found.mean - exact) < 4 * error)
    }
    let negative = measure.negativeFraction()
    let exact = Double(values.filter { $0 < -0.012 }.count) / Double(values.count)
    #expect(abs(negative.mean - exact) < 4 * (negative.standardError ?? 0) + 0.05)
  }

  /// Krylov spaces of a diagonal with few distinct values are invariant early: weights are then the
  /// multiplicities.
  @Test func distinctValuesGetTheirMultiplicities() throws {
    let entries =
      [Double](repeating: -2, count: 10) + [Double](repeating: 0, count: 70)
      + [Double](repeating: 3, count: 20)
    let measure = try quadrature(probes: 2, steps: 30).measure(Diagonal(entries: entries))
    for rule in measure.rules {
      #expect(areClose(rule.map(\.value), [-2, 0, 3], 1e-12))
      #expect(areClose(rule.map(\.weight), [0.1, 0.7, 0.2], 1e-12))
    }
    #expect(isClose(measure.negativeFraction().mean, 0.1, 1e-12))
    #expect(measure.negativeFraction().standardError ?? 1 < 1e-12)
    #expect(measure.products == 6)
    // The band keeps the sign of small values out.
    #expect(isClose(measure.negativeFraction(deadBand: 0.7).mean, 0, 1e-12))
  }

  @Test func densityIntegratesToOneUnderEveryRule() throws {
    let measure = try quadrature(probes: 4, steps: 20).measure(Diagonal.bulk([10, -3], 400, -1, 1))
    for broadening in [
      SpectralMeasure.Broadening.resolution, .pyHessian, .fixed(0.002), .fixed(5),
    ] {
      let density = try measure.density(broadening)
      let spacing = density.x[1] - density.x[0]
      #expect(abs(density.density.reduce(0, +) * spacing - 1) < 1e-5)
      #expect(density.density.allSatisfy { $0 >= 0 && $0.isFinite })
      #expect(density.standardError?.allSatisfy { $0.isFinite } == true)
    }
    // range / ((m - 1) √(8 ln 3)), and √(1e-5 · range).
    let width = measure.range.upperBound - measure.range.lowerBound
    #expect(isClose(try measure.bandwidth(.resolution), width / (19 * 2.964_60), 1e-5))
    #expect(isClose(try measure.bandwidth(.pyHessian), (1e-5 * width).squareRoot()))
    #expect(throws: SpectrumError.self) { try measure.density(.fixed(0)) }
    #expect(throws: SpectrumError.self) { try measure.density(points: 1) }
  }

  @Test func pointSpectraHaveAFiniteDensity() throws {
    for value in [0.0, 1, -2e6, 3e-9] {
      let entries = [Double](repeating: value, count: 9)
      let density = try quadrature(probes: 1, steps: 5).measure(Diagonal(entries: entries))
        .density()
      #expect(density.density.allSatisfy { $0.isFinite })
      let spacing = density.x[1] - density.x[0]
      #expect(abs(density.density.reduce(0, +) * spacing - 1) < 1e-5)
      #expect(density.standardError == nil)
    }
  }

  @Test func blocksDoNotChangeTheNodes() throws {
    let matrix = Dense.rotated([9, -4, 2, 1, 0.5, 0.1, 0, -1])
    var solver = quadrature(probes: 5, steps: 6)
    let single = try solver.measure(matrix)
    solver.probesAtOnce = 3
    #expect(try solver.measure(matrix) == single)
  }

  @Test func nonFiniteProductsAreNamed() {
    let matrix = Failing(Diagonal.bulk([3], 100, 0, 1), at: 9, with: .infinity)
    #expect(throws: SpectrumError.nonFiniteProduct(solver: "density", product: 9)) {
      try quadrature(probes: 2, steps: 20).measure(matrix)
    }
  }
}
