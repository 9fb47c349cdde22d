import Glibc
import Tensors
import Testing

@testable import Diagnostics

/// logits = W2 gelu(W1 x + b1) with 84 parameters, mean cross-entropy over 12 inputs, exact products
/// in Float64; compared with the dense Hessian of PyTorch's double backward in float64
/// (`Fixtures/spectra/mlp_hessian.py`, torch 2.15).
@Suite struct SmallNetworkTests {
  static let (images, inputs, hidden, classes) = (12, 5, 7, 6)
  static let count = hidden * inputs + hidden + classes * hidden

  static let byMagnitude = [
    1.828716878203172, 1.450495439256788, 1.2199830985208258, 0.9440638215123052,
    0.681603387343688, 0.6607284916552567, 0.6129230116319206, 0.5477623037484062,
  ]
  static let smallest = -0.43345981426069463
  static let trace = 10.694860341206178
  /// Below -1e-3 times the largest magnitude.
  static let negatives = 30.0 / 84

  static let hessian = HessianOfGradient(
    point: (0..<count).map { sin(0.1 * Double($0 * $0) + 0.3) }, gradient: gradient)

  @Sendable static func gradient(_ t: [Dual]) -> [Dual] {
    let second = hidden * inputs + hidden
    var result = [Dual](repeating: Dual(value: 0), count: t.count)
    for image in 0..<images {
      let x = (0..<inputs).map { d in
        let k = image * inputs + d
        return 1.5 * sin(0.13 * Double(k * k) + 0.1)
      }
      let before = (0..<hidden).map { h in
        (0..<inputs).reduce(t[hidden * inputs + h]) { $0 + x[$1] * t[h * inputs + $1] }
      }
      let after = before.map(gelu)
      let logits = (0..<classes).map { c in
        (0..<hidden).reduce(Dual(value: 0)) { $0 + t[second + c * hidden + $1] * after[$1] }
      }
      let label = (5 * image + 2) % classes
      let error = Dual.softmax(logits).enumerated().map { c, p in
        (1 / Double(images)) * (p - Dual(value: c == label ? 1 : 0))
      }
      for h in 0..<hidden {
        var back = Dual(value: 0)
        for c in 0..<classes {
          let weight = second + c * hidden + h
          result[weight] = result[weight] + error[c] * after[h]
          back = back + error[c] * t[weight]
        }
        back = back * geluSlope(before[h])
        result[hidden * inputs + h] = result[hidden * inputs + h] + back
        for d in 0..<inputs { result[h * inputs + d] = result[h * inputs + d] + x[d] * back }
      }
    }
    return result
  }

  static func normal(_ x: Double) -> (cumulative: Double, density: Double) {
    (erfc(-x / 2.0.squareRoot()) / 2, exp(-x * x / 2) / (2 * Double.pi).squareRoot())
  }

  static func gelu(_ x: Dual) -> Dual {
    let (cumulative, density) = normal(x.value)
    return x.mapped(x.value * cumulative, cumulative + x.value * density)
  }

  static func geluSlope(_ x: Dual) -> Dual {
    let (cumulative, density) = normal(x.value)
    return x.mapped(
      cumulative + x.value * density, density * (2 - x.value * x.value))
  }

  func lanczos(_ steps: Int) -> Lanczos {
    var solver = Lanczos()
    solver.steps = steps
    solver.extensions = 0
    solver.precision = .double
    return solver
  }

  @Test func productsAreSymmetric() {
    let u = CounterRandom(seed: 1, purpose: "u").normals(Self.count)
    let v = CounterRandom(seed: 1, purpose: "v").normals(Self.count)
    let (hu, hv) = (Self.hessian.apply([u])[0], Self.hessian.apply([v])[0])
    #expect(
      abs(LongVector.dot(u, hv) - LongVector.dot(v, hu))
        < 1e-13 * LongVector.norm(u) * LongVector.norm(hv))
  }

  @Test func fortyStepsGiveTheTopFiveAndBothEnds() throws {
    let found = try lanczos(40).solve(Self.hessian)
    for (value, exact) in zip(found.top.map(\.value), Self.byMagnitude) {
      #expect(abs(value - exact) <= 1e-6 * abs(exact))
    }
    #expect(abs(found.largest.value - Self.byMagnitude[0]) <= 1e-6 * Self.byMagnitude[0])
    #expect(abs(found.smallest.value - Self.smallest) <= 1e-6 * -Self.smallest)
    #expect(found.isConverged)
    #expect(found.products == 40)
    let measured = try found.measuringResiduals(with: Self.hessian)
    #expect(measured.top.allSatisfy { $0.residual < 1e-5 })
  }

  /// Ten steps for five values are too few, and are said to be.
  @Test func tenStepsAreNotEnough() throws {
    let found = try lanczos(10).solve(Self.hessian)
    #expect(!found.isConverged)
    #expect(found.top.contains { $0.status == .unconverged })
    for value in found.ritzValues where value.isConverged {
      #expect(Self.byMagnitude.contains { abs($0 - value.value) <= 1e-3 * Self.byMagnitude[0] })
    }
  }

  @Test func singlePrecisionHoldsAThousandth() throws {
    var solver = lanczos(40)
    solver.precision = .single
    let found = try solver.solve(Rounded(base: Self.hessian))
    for (value, exact) in zip(found.top.map(\.value), Self.byMagnitude) {
      #expect(abs(value - exact) <= 1e-5 * abs(exact))
    }
    #expect(found.isConverged)
  }

  @Test func powerIterationAgreesToItsResiduals() throws {
    var solver = PowerIteration()
    solver.top = 3
    solver.tolerance = 1e-5
    solver.maximumIterations = 2000
    solver.rule = .residual
    solver.precision = .double
    let found = try solver.solve(Self.hessian)
    #expect(areClose(found.values.map(\.value), Array(Self.byMagnitude.prefix(3)), 1e-6))
    #expect(found.values.allSatisfy { $0.isConverged })
  }

  @Test func traceAndNegativesAgreeWithinTheirErrors() throws {
    for method in [TraceEstimator.Method.hutchinson, .hutchPlusPlus] {
      var estimator = TraceEstimator()
      estimator.method = method
      estimator.products = 99
      let trace = try estimator.estimate(Self.hessian).trace
      #expect(abs(trace.mean - Self.trace) < 4 * (try #require(trace.standardError)))
    }
    var quadrature = LanczosQuadrature()
    quadrature.probes = 12
    quadrature.steps = 60
    quadrature.precision = .double
    let measure = try quadrature.measure(Self.hessian)
    let negatives = measure.negativeFraction()
    #expect(
      abs(negatives.mean - Self.negatives) < 4 * (try #require(negatives.standardError)))
    #expect(
      abs(measure.trace.mean - Self.trace) < 4 * (try #require(measure.trace.standardError)))
    #expect(isClose(measure.range.upperBound, Self.byMagnitude[0], 1e-9))
  }
}
