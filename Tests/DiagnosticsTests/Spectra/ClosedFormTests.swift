import Glibc
import Testing

@testable import Diagnostics

/// a + b·ε with ε² = 0: a gradient written over these gives exact products with the Hessian.
struct Dual {
  var value: Double
  var slope: Double = 0

  static func + (x: Dual, y: Dual) -> Dual {
    Dual(value: x.value + y.value, slope: x.slope + y.slope)
  }
  static func - (x: Dual, y: Dual) -> Dual {
    Dual(value: x.value - y.value, slope: x.slope - y.slope)
  }
  static func * (x: Dual, y: Dual) -> Dual {
    Dual(value: x.value * y.value, slope: x.slope * y.value + x.value * y.slope)
  }
  static func * (x: Double, y: Dual) -> Dual { Dual(value: x * y.value, slope: x * y.slope) }

  /// f(x) from f and f' at the value.
  func mapped(_ value: Double, _ derivative: Double) -> Dual {
    Dual(value: value, slope: derivative * slope)
  }

  static func softmax(_ x: [Dual]) -> [Dual] {
    let top = x.map(\.value).max() ?? 0
    let e = x.map { $0.mapped(exp($0.value - top), exp($0.value - top)) }
    let sum = e.reduce(Dual(value: 0), +)
    let inverse = sum.mapped(1 / sum.value, -1 / (sum.value * sum.value))
    return e.map { $0 * inverse }
  }
}

/// The Hessian at a point of a function whose gradient is given.
struct HessianOfGradient: SymmetricOperator, Sendable {
  let point: [Double]
  let gradient: @Sendable ([Dual]) -> [Dual]
  var dimension: Int { point.count }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    vectors.map { vector in
      gradient(zip(point, vector).map { Dual(value: $0, slope: $1) }).map(\.slope)
    }
  }
}

private func sines(_ count: Int, _ a: Double, _ b: Double) -> [Double] {
  (0..<count).map { sin(a * Double($0) + b) }
}

private func solve(
  _ matrix: some SymmetricOperator, top: Int, steps: Int = 60
) throws -> LanczosSpectrum {
  var solver = Lanczos()
  solver.top = top
  solver.steps = steps
  solver.precision = .double
  return try solver.solve(matrix)
}

@Suite struct ClosedFormTests {
  /// f(u, v) = (uv - 1)²/2 has the Hessian [[v², 2uv - 1], [2uv - 1, u²]].
  @Test func saddleAndValley() throws {
    func hessian(_ u: Double, _ v: Double) -> HessianOfGradient {
      HessianOfGradient(point: [u, v]) { p in
        let rest = p[0] * p[1] - Dual(value: 1)
        return [rest * p[1], rest * p[0]]
      }
    }
    let saddle = try solve(hessian(0, 0), top: 2)
    #expect(areClose([saddle.smallest.value, saddle.largest.value], [-1, 1], 1e-14))
    #expect(saddle.top.map(\.status) == [.tied, .tied])
    let valley = try solve(hessian(1, 1), top: 2)
    #expect(areClose(valley.top.map(\.value), [2, 0], 1e-14))
    let general = Dense(rows: [[0.49, 2 * 0.3 * 0.7 - 1], [2 * 0.3 * 0.7 - 1, 0.09]])
    let found = try solve(hessian(0.3, 0.7), top: 2)
    #expect(areClose(found.ritzValues.map(\.value), general.jacobiEigenvalues(), 1e-14))
  }

  // MARK: Softmax regression, mean cross-entropy, W [classes, features] row by row

  static let (images, features, classes) = (20, 4, 3)
  static let x = (0..<images * features).map { sin(0.1 * Double($0 * $0) + 0.2) }

  static func row(_ image: Int) -> ArraySlice<Double> {
    x[image * features..<(image + 1) * features]
  }

  static func softmaxRegression(at w: [Double], targets: [[Double]]) -> HessianOfGradient {
    HessianOfGradient(point: w) { w in
      var gradient = [Dual](repeating: Dual(value: 0), count: w.count)
      for image in 0..<images {
        let row = Array(row(image))
        let logits = (0..<classes).map { c in
          (0..<features).reduce(Dual(value: 0)) { $0 + row[$1] * w[c * features + $1] }
        }
        let p = Dual.softmax(logits)
        for c in 0..<classes {
          for d in 0..<features {
            let error = p[c] - Dual(value: targets[image][c])
            gradient[c * features + d] =
              gradient[c * features + d] + (row[d] / Double(images)) * error
          }
        }
      }
      return gradient
    }
  }

  /// mean (diag(p) - pp') ⊗ xx'
  static func softmaxHessian(at w: [Double]) -> Dense {
    let n = classes * features
    var rows = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
    for image in 0..<images {
      let row = Array(row(image))
      let p = Dual.softmax(
        (0..<classes).map { c in
          Dual(value: (0..<features).reduce(0) { $0 + row[$1] * w[c * features + $1] })
        }
      ).map(\.value)
      for i in 0..<n {
        for j in 0..<n {
          let (a, b) = (i / features, j / features)
          let s = (a == b ? p[a] : 0) - p[a] * p[b]
          rows[i][j] += s * row[i % features] * row[j % features] / Double(images)
        }
      }
    }
    return Dense(rows: rows)
  }

  static let hard = (0..<images).map { i in (0..<classes).map { $0 == i % classes ? 1.0 : 0 } }
  static let smooth = hard.map { $0.map { 0.9 * $0 + 0.1 / 3 } }

  /// Eigenvalues at W = 0: those of X'X/N over C, each C - 1 times, and 0 as often as there are
  /// features.
  @Test func softmaxRegressionAtZero() throws {
    var moment = [[Double]](
      repeating: [Double](repeating: 0, count: Self.features), count: Self.features)
    for image in 0..<Self.images {
      let row = Array(Self.row(image))
      for i in row.indices {
        for j in row.indices { moment[i][j] += row[i] * row[j] / Double(Self.images) }
      }
    }
    let own = Dense(rows: moment).jacobiEigenvalues().map { $0 / Double(Self.classes) }
    let expected = (own + own + [Double](repeating: 0, count: Self.features)).sorted(by: >)
    let n = Self.classes * Self.features
    let hessian = Self.softmaxRegression(
      at: [Double](repeating: 0, count: n), targets: Self.hard)
    let found = try solve(hessian, top: n)
    #expect(areClose(found.top.map(\.value).sorted(by: >), expected, 1e-12))
    #expect(found.isConverged)
    let eight = try solve(hessian, top: 8)
    #expect(areClose(eight.top.map(\.value), Array(expected.prefix(8)), 1e-12))
    #expect(abs(eight.smallest.value) < 1e-14)
  }

  @Test func softmaxRegressionElsewhereWhateverTheTargets() throws {
    let w = sines(Self.classes * Self.features, 2.1, 0.4).map { 2 * $0 }
    let dense = Self.softmaxHessian(at: w)
    let expected = dense.jacobiEigenvalues()
    for targets in [Self.hard, Self.smooth] {
      let hessian = Self.softmaxRegression(at: w, targets: targets)
      let found = try solve(hessian, top: 12)
      for (value, exact) in zip(
        found.ritzValues.map(\.value), expected.suffix(found.ritzValues.count))
      {
        #expect(abs(value - exact) <= 1e-13)
      }
      #expect(found.ritzValues.count == 12)
      // Rank (C - 1) d.
      #expect(found.ritzValues.filter { abs($0.value) > 1e-10 }.count == 8)
      var power = PowerIteration()
      power.top = 3
      power.tolerance = 1e-8
      power.rule = .residual
      power.maximumIterations = 2000
      power.precision = .double
      let top = try power.solve(hessian).values.map(\.value)
      #expect(areClose(top, Array(expected.sorted(by: >).prefix(3)), 1e-7))
    }
  }

  /// Mean squared error: (2/N) X'X. Binary logistic: X' diag(s(1 - s)) X/N.
  @Test func linearAndLogisticRegression() throws {
    let w = sines(Self.features, 1.9, 0.7)
    for isLogistic in [false, true] {
      let hessian = HessianOfGradient(point: w) { w in
        var gradient = [Dual](repeating: Dual(value: 0), count: w.count)
        for image in 0..<Self.images {
          let row = Array(Self.row(image))
          let score = row.indices.reduce(Dual(value: 0)) { $0 + row[$1] * w[$1] }
          let s = 1 / (1 + exp(-score.value))
          let error =
            isLogistic
            ? score.mapped(s, s * (1 - s)) - Dual(value: Double(image % 2))
            : 2 * (score - Dual(value: Double(image % 3)))
          for d in row.indices {
            gradient[d] = gradient[d] + (row[d] / Double(Self.images)) * error
          }
        }
        return gradient
      }
      var rows = [[Double]](repeating: [Double](repeating: 0, count: w.count), count: w.count)
      for image in 0..<Self.images {
        let row = Array(Self.row(image))
        let s = 1 / (1 + exp(-zip(row, w).reduce(0) { $0 + $1.0 * $1.1 }))
        let weight = (isLogistic ? s * (1 - s) : 2) / Double(Self.images)
        for i in row.indices {
          for j in row.indices { rows[i][j] += weight * row[i] * row[j] }
        }
      }
      let found = try solve(hessian, top: 4).ritzValues.map(\.value)
      #expect(areClose(found, Dense(rows: rows).jacobiEigenvalues(), 1e-13))
    }
  }
}
