import Glibc
import Testing

@testable import Tensors

/// Properties that every operation has, checked on every case of `OperationCase.all`.
@Suite struct OperationTests {
  @Test(arguments: OperationCase.all)
  func forwardIsThatOfThePlainFormula(_ operation: OperationCase) {
    let inputs = operation.inputs()
    let expected = operation.reference(inputs.map { Reference($0) })
    // Untracked inputs take the fused paths, tracked ones the separate steps.
    for result in [operation.run(inputs), operation.run(inputs.map { $0.tracked() })] {
      #expect(result.shape.dimensions == expected.shape)
      #expect(distance(result.values.map(Double.init), expected.values) <= 3e-6)
    }
  }

  @Test(arguments: OperationCase.all)
  func abstractEvaluationGivesTheSameShape(_ operation: OperationCase) {
    let inputs = operation.inputs()
    let meter = Meter()
    let abstract = operation.run(inputs.map { Tensor(abstract: $0.shape, meter: meter) })
    #expect(abstract.isAbstract)
    #expect(abstract.shape == operation.run(inputs).shape)
  }

  /// The first derivative: along directions of single values (small inputs) or random ones.
  @Test(arguments: OperationCase.all)
  func firstDerivativeIsTheSlope(_ operation: OperationCase) {
    let problem = Problem(operation)
    let tracked = problem.inputs.map { $0.tracked() }
    let y = operation.run(tracked)
    let gradients = pullback([(y, problem.cotangent)], withRespectTo: tracked)
    for (index, g) in gradients.enumerated() {
      guard let g else {
        Issue.record("Input \(index) has no derivative")
        continue
      }
      #expect(g.shape == problem.inputs[index].shape)
      let size = norm(g.values.map(Double.init))
      for d in problem.directions(of: index) {
        let expected = problem.slope(along: [index: d])
        let found = dot(g.values.map(Double.init), d)
        let scale = max(abs(expected), size * norm(d) / Double(max(1, d.count)).squareRoot())
        #expect(abs(found - expected) <= 2e-5 * scale + 1e-7, "input \(index)")
      }
    }
  }

  /// The second derivative: a pullback of recorded first derivatives against second differences.
  @Test(arguments: OperationCase.all)
  func secondDerivativeIsTheCurvature(_ operation: OperationCase) {
    let problem = Problem(operation)
    let tracked = problem.inputs.map { $0.tracked() }
    let y = operation.run(tracked)
    let first = pullback([(y, problem.cotangent)], withRespectTo: tracked, recording: true)
    let vectors = problem.randomDirections(seed: 11)
    let roots = zip(first, vectors).compactMap { g, v in g.map { (value: $0, cotangent: v) } }
    let second = pullback(roots, withRespectTo: tracked)
    let u = vectors.map { $0.values.map(Double.init) }
    for (index, h) in second.enumerated() {
      let found = h?.values.map(Double.init) ?? [Double](repeating: 0, count: u[index].count)
      let size = norm(found)
      for d in problem.directions(of: index) {
        let expected = problem.curvature(u, along: index, d)
        let scale = max(abs(expected), size * norm(d) / Double(max(1, d.count)).squareRoot())
        #expect(
          abs(dot(found, d) - expected) <= 1e-4 * scale + 2e-6 * max(1, size), "input \(index)")
      }
    }
  }

  /// Third derivatives exist too: the symmetric form evaluated with its arguments exchanged agrees.
  @Test(arguments: OperationCase.all.filter { !$0.isLarge })
  func thirdDerivativeIsSymmetric(_ operation: OperationCase) {
    let problem = Problem(operation)
    let u = problem.randomDirections(seed: 21)
    let v = problem.randomDirections(seed: 22)
    let w = problem.randomDirections(seed: 23)
    func third(_ a: [Tensor], _ b: [Tensor], _ c: [Tensor]) -> Double {
      let x = problem.inputs.map { $0.tracked() }
      var roots: [(value: Tensor, cotangent: Tensor)] = [(operation.run(x), problem.cotangent)]
      for direction in [a, b] {
        let parts = pullback(roots, withRespectTo: x, recording: true)
        roots = zip(parts, direction).compactMap { g, d in g.map { ($0, d) } }
      }
      let last = pullback(roots, withRespectTo: x)
      return zip(last, c).reduce(0) { sum, pair in
        sum + (pair.0.map { dot($0.values.map(Double.init), pair.1.values.map(Double.init)) } ?? 0)
      }
    }
    let (uvw, wuv, vwu) = (third(u, v, w), third(w, u, v), third(v, w, u))
    let scale = max(abs(uvw), abs(wuv), 1)
    #expect(abs(uvw - wuv) <= 2e-4 * scale)
    #expect(abs(uvw - vwu) <= 2e-4 * scale)
  }

  @Test(arguments: OperationCase.all)
  func derivativeOfAnUntrackedInputIsNotMade(_ operation: OperationCase) {
    let problem = Problem(operation)
    let all = problem.inputs.map { $0.tracked() }
    let whole = pullback([(operation.run(all), problem.cotangent)], withRespectTo: all)
    for index in problem.inputs.indices {
      var mixed = problem.inputs
      mixed[index] = mixed[index].tracked()
      let y = operation.run(mixed)
      #expect(y.isTracked)
      let part = pullback([(y, problem.cotangent)], withRespectTo: mixed)
      #expect(part[index]?.values == whole[index]?.values, "input \(index)")
    }
  }
}

/// A case with a cotangent of its result, and differences of `<cotangent, f(x)>` in Float64.
private struct Problem {
  let operation: OperationCase
  let inputs: [Tensor]
  let cotangent: Tensor
  private let base: [Reference]

  init(_ operation: OperationCase) {
    self.operation = operation
    inputs = operation.inputs()
    base = inputs.map { Reference($0) }
    var random = Random(seed: 5)
    cotangent = random.normal(operation.run(inputs).shape)
  }

  func randomDirections(seed: UInt64) -> [Tensor] {
    var random = Random(seed: seed)
    return inputs.map { random.normal($0.shape) }
  }

  /// Every unit vector of a small input, a few random vectors of a large one.
  func directions(of index: Int) -> [[Double]] {
    let count = inputs[index].shape.count
    if operation.isLarge || count > 64 {
      return (0..<4).map { randomDirections(seed: 31 + $0)[index].values.map(Double.init) }
    }
    return (0..<count).map { one in (0..<count).map { $0 == one ? 1 : 0 } }
  }

  private func value(_ moved: [Reference]) -> Double {
    dot(operation.reference(moved).values, cotangent.values.map(Double.init))
  }

  private func moved(_ x: [Reference], _ index: Int, _ d: [Double], _ step: Double) -> [Reference] {
    var x = x
    for i in d.indices { x[index].values[i] += step * d[i] }
    return x
  }

  func slope(along directions: [Int: [Double]]) -> Double {
    let step = 1e-5
    var (up, down) = (base, base)
    for (index, d) in directions {
      up = moved(up, index, d, step)
      down = moved(down, index, d, -step)
    }
    return (value(up) - value(down)) / (2 * step)
  }

  /// The mixed second derivative along `u` of all inputs and `d` of one.
  func curvature(_ u: [[Double]], along index: Int, _ d: [Double]) -> Double {
    let step = operation.isLarge ? 5e-3 : 2e-4
    var (up, down) = (base, base)
    for i in u.indices {
      up = moved(up, i, u[i], step)
      down = moved(down, i, u[i], -step)
    }
    let rise = value(moved(up, index, d, step)) - value(moved(up, index, d, -step))
    let fall = value(moved(down, index, d, step)) - value(moved(down, index, d, -step))
    return (rise - fall) / (4 * step * step)
  }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
func norm(_ a: [Double]) -> Double { dot(a, a).squareRoot() }

/// The largest difference, relative to the largest expected value or 1.
func distance(_ found: [Double], _ expected: [Double]) -> Double {
  guard found.count == expected.count else { return .infinity }
  let scale = max(1, expected.map(abs).max() ?? 0)
  // max(_:_:) drops a NaN; a NaN must fail the comparison.
  return zip(found, expected).map { abs($0 - $1) / scale }
    .reduce(0) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
}
