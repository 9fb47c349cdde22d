import Testing

@testable import Diagnostics

private func power(
  _ top: Int, _ tolerance: Double = 1e-3, _ rule: PowerIteration.Rule = .change
) -> PowerIteration {
  var solver = PowerIteration()
  solver.top = top
  solver.tolerance = tolerance
  solver.rule = rule
  solver.precision = .double
  return solver
}

@Suite struct PowerIterationTests {
  @Test(arguments: [[10, 5, 1], [5, -10], [4, -3, 2, -1], [1e-6, 5e-7, 0], [1e-12, -4e-13]])
  func separatedSpectraComeOut(values: [Double]) throws {
    let result = try power(values.count, 1e-8).solve(Dense.rotated(values))
    let scale = values.map(abs).max() ?? 1
    for (found, expected) in zip(result.values, values.sorted { abs($0) > abs($1) }) {
      #expect(abs(found.value - expected) <= 1e-6 * scale)
      #expect(found.status == .converged)
    }
  }

  @Test func closeValuesAreRightToTheirResiduals() throws {
    for values: [Double] in [[10, 9.9], [10, 9.9, 1]] {
      let matrix = Dense.rotated(values)
      let result = try power(values.count, 1e-6, .residual).solve(matrix)
      #expect(areClose(result.values.map(\.value), values, 1e-6))
    }
  }

  @Test func oppositeValuesAreFoundAndFlagged() throws {
    let pair = try power(2).solve(Dense.rotated([10, -10]))
    #expect(areClose(pair.values.map(\.value).sorted(), [-10, 10], 1e-12))
    #expect(pair.values.map(\.status) == [.tied, .tied])
    let first = try power(1).solve(Dense.rotated([10, -10]))
    #expect(first.values.map(\.status) == [.tied])
    for seed in UInt64(0)..<20 {
      // The rule of change stops at once: no value may pass for converged unless it is one.
      var solver = power(3)
      solver.seed = seed
      for value in try solver.solve(Dense.rotated([10, -10, 1])).values
      where value.isConverged {
        let nearest = [10.0, -10, 1].map { abs($0 - value.value) }.min() ?? .infinity
        #expect(nearest <= 1e-2)
        #expect(nearest == abs(value.value - 1) || value.status == .tied)
      }
      solver.rule = .residual
      let sure = try solver.solve(Dense.rotated([10, -10, 1]))
      #expect(areClose(sure.values.map(\.value).sorted(), [-10, 1, 10], 1e-3))
      #expect(sure.values.map(\.status) == [.tied, .tied, .converged])
    }
  }

  /// PyHessian's rule stops at -9.1 here, with a residual of 4.
  @Test(arguments: Array(UInt64(0)..<6)) func nearTiesHaveTheRightSignOrAreFlagged(seed: UInt64)
    throws
  {
    let matrix = Diagonal.bulk([10, -9.95, 5], 20_000, -0.5, 0.5)
    var solver = power(3)
    solver.seed = seed
    let quick = try solver.solve(matrix)
    for found in quick.values where found.status == .converged {
      #expect([10, -9.95, 5].contains { isClose(found.value, $0, 1e-3) })
    }
    solver.rule = .residual
    solver.maximumIterations = 1000
    let sure = try solver.solve(matrix)
    #expect(areClose(sure.values.map(\.value), [10, -9.95, 5], 1e-4))
    #expect(sure.values.allSatisfy { $0.status == .converged })
    // One value alone: its sign is right, or said to be open.
    solver.top = 1
    let alone = try solver.solve(matrix).values[0]
    #expect(isClose(alone.value, 10, 1e-4) || alone.status != .converged)
    solver.rule = .change
    let early = try solver.solve(matrix).values[0]
    #expect(isClose(early.value, 10, 1e-2) || early.status != .converged)
  }

  @Test func residualsAreThoseOfTheVectors() throws {
    let matrix = Dense.rotated([10, 8, -7, 3, 1, 0.5, -0.2])
    let result = try power(4).solve(matrix)
    for value in result.values {
      let vector = result.vector(of: value)
      var rest = matrix.apply([vector])[0]
      LongVector.add(-value.value, vector, to: &rest)
      #expect(isClose(LongVector.norm(rest), value.residual, 1e-10))
    }
    #expect(result.products == result.values.map(\.iterations).reduce(0, +))
  }

  @Test func zeroAndClippedSpectraEnd() throws {
    let zeros = try power(3).solve(Diagonal(entries: [0, 0, 0, 0]))
    #expect(zeros.values.map(\.value) == [0, 0, 0])
    #expect(zeros.values.allSatisfy { $0.isConverged })
    let clipped = try power(5, 1e-10).solve(Dense.rotated([2, 1]))
    #expect(clipped.isClipped)
    #expect(areClose(clipped.values.map(\.value), [2, 1], 1e-8))
    // Rank 1: the second value is 0, not a copy of the first.
    let single = try power(2).solve(Dense.rotated([3, 0, 0, 0]))
    #expect(areClose(single.values.map(\.value), [3, 0], 1e-6))
  }

  @Test func nonFiniteProductsAreNamed() {
    let matrix = Failing(Diagonal.bulk([3], 100, 0, 1), at: 2, with: .nan)
    #expect(throws: SpectrumError.nonFiniteProduct(solver: "power iteration", product: 2)) {
      try power(1).solve(matrix)
    }
  }
}
