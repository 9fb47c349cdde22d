import Testing

@testable import Diagnostics

private func lanczos(top: Int = 3, steps: Int = 30) -> Lanczos {
  var solver = Lanczos()
  solver.top = top
  solver.steps = steps
  solver.precision = .double
  return solver
}

@Suite struct LanczosTests {
  @Test(arguments: [[10, 5, 1], [10, 9.9], [5, -10], [10, -9.95, 5], [1e-6, 5e-7, 0], [3.5]])
  func smallSpectraComeOutWhole(values: [Double]) throws {
    let result = try lanczos(top: values.count).solve(Dense.rotated(values))
    let scale = values.map(abs).max() ?? 1
    let sorted = values.sorted { abs($0) > abs($1) }
    for (found, expected) in zip(result.top, sorted) {
      #expect(abs(found.value - expected) <= 1e-12 * scale)
      #expect(found.status == .converged)
    }
    #expect(result.top.count == values.count)
    #expect(abs(result.largest.value - (values.max() ?? 0)) <= 1e-12 * scale)
    #expect(abs(result.smallest.value - (values.min() ?? 0)) <= 1e-12 * scale)
  }

  @Test func oppositeValuesAreFoundAndFlagged() throws {
    for values: [Double] in [[10, -10], [10, -10, 1]] {
      let result = try lanczos(top: 2).solve(Dense.rotated(values))
      #expect(areClose(result.top.map(\.value).sorted(), [-10, 10]))
      #expect(result.top.map(\.status) == [.tied, .tied])
    }
    // Half a percent apart is no tie.
    let apart = try lanczos(top: 2).solve(Diagonal.bulk([10, -9.95, 5], 1000, -1, 1))
    #expect(areClose(apart.top.map(\.value), [10, -9.95]))
    #expect(apart.top.map(\.status) == [.converged, .converged])
  }

  @Test(arguments: [1, 2, 17]) func zeroMatrixHasZeros(n: Int) throws {
    let result = try lanczos(top: 2).solve(Diagonal(entries: [Double](repeating: 0, count: n)))
    #expect(result.top.map(\.value) == [Double](repeating: 0, count: min(2, n)))
    #expect(result.largest.value == 0)
    #expect(result.smallest.value == 0)
    #expect(result.isConverged)
  }

  @Test func nearTiesAboveALargeBulkKeepTheirSigns() throws {
    let result = try lanczos().solve(Diagonal.bulk([10, -9.95, 5], 100_000, -0.5, 0.5))
    #expect(areClose(result.top.map(\.value), [10, -9.95, 5], 1e-9))
    #expect(isClose(result.largest.value, 10))
    #expect(isClose(result.smallest.value, -9.95))
    #expect(result.isConverged)
    // In Float32 storage, with products rounded to Float32.
    var single = lanczos()
    single.precision = .single
    let rounded = try single.solve(
      Rounded(base: Diagonal.bulk([10, -9.95, 5], 20_000, -0.5, 0.5)))
    #expect(areClose(rounded.top.map(\.value), [10, -9.95, 5], 1e-6))
  }

  @Test func clusteredValuesAreToldApart() throws {
    let result = try lanczos(steps: 20).solve(Diagonal.bulk([10, 9.9, 9.8], 100_000, -0.5, 0.5))
    #expect(areClose(result.top.map(\.value), [10, 9.9, 9.8], 1e-9))
    #expect(result.isConverged)
  }

  /// No orthogonality is lost over many steps, so that no copies ("ghosts") of an outlier appear.
  @Test(arguments: [KrylovBasis.Precision.single, .double])
  func noGhostsAfterEightySteps(precision: KrylovBasis.Precision) throws {
    var solver = lanczos(top: 4, steps: 80)
    solver.precision = precision
    solver.extensions = 0
    let result = try solver.solve(Diagonal.bulk([100], 2000, -1, 1))
    #expect(result.products == 80)
    #expect(result.ritzValues.filter { $0.value > 50 }.count == 1)
    #expect(isClose(result.largest.value, 100, precision == .single ? 1e-6 : 1e-12))
  }

  @Test func multipleEigenvaluesAreAllFound() throws {
    let values = [7, 7, 7, 3, 3, -5, -5] + [Double](repeating: 1, count: 20)
    let result = try lanczos(top: 7, steps: 40).solve(Dense.rotated(values))
    #expect(areClose(result.top.map(\.value), [7, 7, 7, -5, -5, 3, 3], 1e-10))
    #expect(result.isConverged)
    for value in result.top {
      let vector = result.vector(of: value)
      #expect(isClose(LongVector.norm(vector), 1, 1e-12))
    }
    let (first, second) = (result.vector(of: result.top[0]), result.vector(of: result.top[1]))
    #expect(abs(LongVector.dot(first, second)) < 1e-10)
  }

  @Test func fewRanksStopEarly() throws {
    let result = try lanczos(top: 2).solve(
      Diagonal(entries: [4, -2] + [Double](repeating: 0, count: 500)))
    #expect(areClose(result.top.map(\.value), [4, -2]))
    #expect(result.products < 10)
    #expect(result.notes == [.exhausted(products: result.products)])
  }

  @Test func stepsBeyondTheDimensionAreClipped() throws {
    let result = try lanczos(top: 9, steps: 50).solve(Dense.rotated([1, 2, 3, 4]))
    #expect(result.products == 4)
    #expect(areClose(result.top.map(\.value), [4, 3, 2, 1], 1e-12))
    #expect(
      result.notes == [
        .stepsClipped(requested: 50, dimension: 4), .topClipped(requested: 9, dimension: 4),
      ])
    #expect(result.isConverged)
  }

  @Test func unconvergedRunsExtendThemselvesAndSaySo() throws {
    let matrix = Diagonal(entries: (1...3000).map { Double($0) / 3000 })
    var solver = lanczos(top: 5, steps: 10)
    solver.extensions = 0
    let short = try solver.solve(matrix)
    #expect(short.products == 10)
    #expect(!short.isConverged)
    #expect(short.top[4].status == .unconverged)
    solver.extensions = 1
    let longer = try solver.solve(matrix)
    #expect(longer.products == 20)
    #expect(longer.notes == [.extended(to: 20)])
    solver.extensions = 5
    let longest = try solver.solve(matrix)
    #expect(longest.isConverged)
    #expect(longest.products <= 320)
    for (found, expected) in zip(longest.top, (0..<5).map { Double(3000 - $0) / 3000 }) {
      #expect(abs(found.value - expected) <= 1e-3)
    }
  }

  /// Residuals bound the distance to the nearest eigenvalue, and agree with those measured.
  @Test func residualsAreHonest() throws {
    let matrix = Diagonal(entries: (1...2000).map { 1 / Double($0) - 0.3 })
    var solver = lanczos(top: 5, steps: 12)
    solver.extensions = 0
    let result = try solver.solve(matrix)
    let measured = try result.measuringResiduals(with: matrix, vectorsAtOnce: 2)
    for (own, measured) in zip(result.ritzValues, measured.ritzValues) {
      let nearest = matrix.entries.reduce(Double.infinity) { min($0, abs($1 - own.value)) }
      #expect(nearest <= own.residual + 1e-12)
      #expect(abs(own.residual - measured.residual) <= 1e-10)
    }
    #expect(measured.products > result.products)
    // In Float32 the recurrence's figure may not say less than rounding allows.
    solver.precision = .single
    let rounded = Rounded(base: matrix)
    let single = try solver.solve(rounded).measuringResiduals(with: rounded)
    #expect(single.largest.residual < 1e-5)
  }

  @Test func shiftMovesEveryValueAndMayReorderThem() throws {
    let matrix = Dense.rotated([10, -9.95, 5, 1, 0.5, -3])
    let plain = try lanczos(top: 6).solve(matrix)
    let decay = 0.05
    let shifted = try lanczos(top: 6).solve(ShiftedOperator(matrix, shift: decay))
    #expect(
      areClose(shifted.ritzValues.map(\.value), plain.ritzValues.map { $0.value + decay }, 1e-12))
    let reordered = try lanczos(top: 1).solve(ShiftedOperator(matrix, shift: -1))
    #expect(isClose(reordered.top[0].value, -10.95, 1e-12))
  }

  @Test func limitedBasisFindsTheSame() throws {
    let matrix = Diagonal.bulk([20, -15, 9, 8.5, 8], 3000, -1, 2)
    var solver = lanczos(top: 5, steps: 80)
    solver.maximumBasis = 12
    solver.tolerance = 1e-8
    var largestBasis = 0
    let result = try solver.solve(matrix) { largestBasis = max(largestBasis, $0.basis.count) }
    #expect(areClose(result.top.map(\.value), [20, -15, 9, 8.5, 8], 1e-9))
    #expect(isClose(result.smallest.value, -15))
    #expect(result.top.allSatisfy { $0.isConverged })
    #expect(largestBasis <= 12)
    let measured = try result.measuringResiduals(with: matrix)
    #expect(measured.top.allSatisfy { $0.residual < 1e-6 })
  }

  @Test(arguments: [nil, 12]) func savedRunsGoOnAsIfNeverInterrupted(limit: Int?) throws {
    struct Interruption: Error {}
    let matrix = Diagonal(entries: (1...700).map { 1 / Double($0) - 0.2 })
    var solver = lanczos(top: 3, steps: 25)
    solver.maximumBasis = limit
    solver.extensions = 0
    let whole = try solver.solve(matrix)
    var saved: (LanczosState, KrylovBasis)?
    #expect(throws: Interruption.self) {
      try solver.solve(matrix) { progress in
        guard progress.products == 17 else { return }
        let copy = KrylovBasis(dimension: 700, precision: .double)
        for index in 0..<progress.basis.count {
          try progress.basis.withBytes(of: index) { bytes in try copy.append(bytes: bytes) }
        }
        saved = (progress.state, copy)
        throw Interruption()
      }
    }
    let state = try #require(saved)
    let resumed = try solver.solve(matrix, resuming: state)
    #expect(resumed.ritzValues == whole.ritzValues)
    #expect(resumed.products == 25)
    #expect(throws: SpectrumError.self) {
      try solver.solve(Diagonal(entries: [1, 2]), resuming: state)
    }
  }

  @Test(arguments: [1, 2, 3, 8]) func threadsDoNotChangeABit(threads: Int) throws {
    let matrix = Diagonal.bulk([3, -2], 20_000, -1, 1)
    var solver = lanczos(top: 4, steps: 12)
    let reference = try solver.solve(matrix)
    solver.threads = threads
    let result = try solver.solve(matrix)
    #expect(result.ritzValues == reference.ritzValues)
    #expect(result.vector(of: result.largest) == reference.vector(of: reference.largest))
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity, 1e200])
  func nonFiniteProductsAreNamed(value: Double) {
    let matrix = Failing(Diagonal.bulk([3], 100, 0, 1), at: 4, with: value)
    #expect(throws: SpectrumError.nonFiniteProduct(solver: "lanczos", product: 4)) {
      try lanczos().solve(matrix)
    }
  }

  /// A direction within the leading eigenvectors saves products.
  @Test func aGoodDirectionConvergesSooner() throws {
    let matrix = Diagonal.bulk([10, 9.6, -9.2], 100_000, -6, 6)
    var solver = lanczos()
    solver.steps = 4
    solver.extensions = 5
    solver.tolerance = 1e-6
    let random = try solver.solve(matrix)
    solver.direction = [3, -4, 5] + [Double](repeating: 0, count: 100_000)
    let directed = try solver.solve(matrix)
    for result in [random, directed] {
      #expect(areClose(result.top.map(\.value), [10, 9.6, -9.2], 1e-9))
      #expect(result.isConverged)
    }
    #expect(directed.products + 5 <= random.products)
  }

  /// One that lacks wanted eigenvectors, even one that is an eigenvector, hides nothing.
  @Test func aBadDirectionHidesNothing() throws {
    let matrix = Diagonal.bulk([10, -9.5, 5], 2000, -1, 1)
    for place in [1, 2, 700] {
      var solver = lanczos()
      solver.direction = (0..<matrix.dimension).map { $0 == place ? 1e-3 : 0 }
      let result = try solver.solve(matrix)
      #expect(areClose(result.top.map(\.value), [10, -9.5, 5], 1e-9))
      #expect(result.isConverged)
    }
  }

  /// A stationary point has no direction, a broken loss none that helps.
  @Test(arguments: [0, Double.nan, .infinity])
  func aUselessDirectionIsNotFollowed(entry: Double) throws {
    let matrix = Diagonal.bulk([10, -9.5, 5], 50, -1, 1)
    var solver = lanczos(steps: 8)
    let expected = try solver.solve(matrix)
    solver.direction = [Double](repeating: entry, count: matrix.dimension)
    #expect(try solver.solve(matrix).top == expected.top)
    solver.direction = [1]
    #expect(throws: SpectrumError.self) { try solver.solve(matrix) }
  }

  @Test func settingsAndOperatorsAreChecked() {
    var solver = lanczos()
    #expect(throws: SpectrumError.emptyOperator) { try solver.solve(Diagonal(entries: [])) }
    solver.steps = 0
    #expect(throws: SpectrumError.self) { try solver.solve(Diagonal(entries: [1])) }
    solver = lanczos()
    solver.tolerance = .nan
    #expect(throws: SpectrumError.self) { try solver.solve(Diagonal(entries: [1])) }
    solver = lanczos()
    solver.maximumBasis = 4
    #expect(throws: SpectrumError.self) { try solver.solve(Diagonal(entries: [1])) }
    struct Short: SymmetricOperator {
      let dimension = 3
      func apply(_ vectors: [[Double]]) -> [[Double]] { [[1]] }
    }
    #expect(throws: SpectrumError.wrongLength(expected: 3, found: 1)) {
      try lanczos().solve(Short())
    }
  }
}
