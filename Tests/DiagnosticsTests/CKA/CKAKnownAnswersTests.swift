import Diagnostics
import Glibc
import Reports
import Tensors
import Testing

/// Similarities that are known in closed form or printed elsewhere.
@Suite struct CKAKnownAnswersTests {
  /// Two layers of one subject in one minibatch, unless sizes are given.
  private func study(
    _ x: [Float], _ p: Int, _ y: [Float], _ q: Int, batches: [Int]? = nil
  ) -> FeatureStudy {
    var study = FeatureStudy(batches ?? [x.count / p])
    study.add("a", [.rows("x", x, columns: p), .rows("y", y, columns: q)])
    return study
  }

  private func settings(_ change: (inout CKASettings) -> Void = { _ in }) -> CKAAnalyzer {
    var settings = CKASettings()
    settings.bootstrap = 0
    change(&settings)
    return CKAAnalyzer(settings)
  }

  private func pair(_ study: FeatureStudy, _ analyzer: CKAAnalyzer) throws -> Double? {
    try study.report(analyzer).reals("cka", of: "cka")[1]
  }

  @Test(arguments: CKASettings.Estimator.allCases)
  func isOneForRotatedScaledShiftedFeatures(_ estimator: CKASettings.Estimator) throws {
    let x = normals(24 * 2, "x")
    let (c, s) = (Float(cos(0.7)), Float(sin(0.7)))
    var y: [Float] = []
    for i in stride(from: 0, to: x.count, by: 2) {
      y.append(-3 * (c * x[i] - s * x[i + 1]) + 5)
      y.append(-3 * (s * x[i] + c * x[i + 1]) - 11)
    }
    let value = try pair(study(x, 2, y, 2), settings { $0.estimator = estimator })
    #expect(agrees(value, 1, 1e-6))
  }

  @Test func isSymmetricWithOnesOnTheDiagonal() throws {
    var study = FeatureStudy([20])
    study.add("a", (0..<4).map { .rows("l\($0)", normals(20 * 9, "l\($0)"), columns: 9) })
    let values = try study.report(settings()).reals("cka", of: "cka")
    for i in 0..<4 {
      #expect(values[i * 4 + i] == 1)
      for j in 0..<4 { #expect(values[i * 4 + j] == values[j * 4 + i]) }
    }
  }

  private static let h1: [Float] = [1, 1, -1, -1]
  private static let h2: [Float] = [1, -1, 1, -1]
  private static let h3: [Float] = [1, -1, -1, 1]

  private func columns(_ parts: [[Float]]) -> [Float] {
    (0..<4).flatMap { row in parts.map { $0[row] } }
  }

  /// Columns of a Hadamard matrix: (x, y, HSIC and CKA biased, HSIC and CKA unbiased).
  @Test func hadamardColumns() throws {
    let (h1, h2) = (Self.h1, Self.h2)
    let cases: [([[Float]], [[Float]], Double, Double, Double, Double)] = [
      ([h1], [h1], 16.0 / 9, 1, 8.0 / 3, 1),
      ([h1], [h2], 0, 0, -4.0 / 3, -0.5),
      ([h1], [h1, h2], 16.0 / 9, 0.5.squareRoot(), 4.0 / 3, 0.5),
      (
        [h1.map { 2 * $0 }, h2], [h1, h2], 80.0 / 9, 5 / 34.0.squareRoot(), 20.0 / 3,
        0.693375245281536
      ),
    ]
    for (x, y, biased, similarity, unbiased, debiased) in cases {
      let pairs = study(columns(x), x.count, columns(y), y.count)
      let zero = try pairs.report(settings { $0.estimator = .biased })
      #expect(agrees(zero.reals("hsic_ab", of: "cka")[1], biased, 1e-12))
      #expect(agrees(zero.reals("cka", of: "cka")[1], similarity, 1e-12))
      let one = try pairs.report(settings())
      #expect(agrees(one.reals("hsic_ab", of: "cka")[1], unbiased, 1e-12))
      #expect(agrees(one.reals("cka", of: "cka")[1], debiased, 1e-12))
    }
  }

  /// All contrasts of four images: every pair is equally far apart, and nothing is left.
  @Test func equidistantImagesAreDegenerate() throws {
    let x = columns([Self.h1, Self.h2, Self.h3])
    let pairs = study(x, 3, Self.h1, 1)
    let report = try pairs.report(settings())
    #expect(report.texts("status", of: "cka") == ["degenerate", "degenerate", "degenerate", "ok"])
    #expect(report.reals("cka", of: "cka") == [nil, nil, nil, 1])
    let biased = try pairs.report(settings { $0.estimator = .biased })
    #expect(biased.texts("status", of: "cka").allSatisfy { $0 == "ok" })
    #expect(agrees(biased.reals("hsic_ab", of: "cka")[0], 16.0 / 3, 1e-12))
  }

  @Test func hadamardFormula() throws {
    let (a, b, c, d) = (1.5, 0.25, 3.0, 2.0)
    let x = columns([Self.h1.map { Float(a) * $0 }, Self.h2.map { Float(b) * $0 }])
    let y = columns([Self.h1.map { Float(c) * $0 }, Self.h2.map { Float(d) * $0 }])
    let expected =
      (a * a * c * c + b * b * d * d)
      / ((pow(a, 4) + pow(b, 4)) * (pow(c, 4) + pow(d, 4))).squareRoot()
    let value = try pair(study(x, 2, y, 2), settings { $0.estimator = .biased })
    #expect(agrees(value, expected, 1e-12))
  }

  @Test func demonstrationOfKornblithAndOthers() throws {
    let numbers = try fixture("cka_demo.f32")
    let demo = study(Array(numbers[..<1000]), 10, Array(numbers[1000...]), 10)
    func value(_ change: (inout CKASettings) -> Void) throws -> Double? {
      try pair(demo, settings(change))
    }
    #expect(agrees(try value { $0.estimator = .biased }, 0.55761326, 2e-7))
    #expect(agrees(try value { _ in }, 0.51345649, 2e-7))
    func rbf(_ scale: Double) throws -> Double? {
      try value {
        $0.estimator = .biased
        $0.kernel = .rbf
        $0.rbfScale = scale
      }
    }
    #expect(agrees(try rbf(0.5), 0.65483119, 5e-7))
    #expect(agrees(try rbf(1), 0.57583222, 5e-7))
    // Wide kernels tend to the linear one.
    #expect(agrees(try rbf(100), 0.557615, 2e-6))
  }

  /// Unrelated features: `p / (n + p)` for the biased estimator, 0 for the unbiased one.
  @Test(arguments: [(16, 64), (64, 64)])
  func unrelatedFeatures(_ n: Int, _ p: Int) throws {
    var (biased, unbiased) = ([Double](), [Double]())
    for trial in 0..<12 {
      let pairs = study(
        normals(n * p, "null x \(trial)"), p, normals(n * p, "null y \(trial)"), p)
      biased.append(try #require(try pair(pairs, settings { $0.estimator = .biased })))
      unbiased.append(try #require(try pair(pairs, settings())))
    }
    let floor = Double(p) / Double(n + p)
    #expect(abs(biased.reduce(0, +) / 12 - floor) < 0.02)
    let spread = n == 16 ? 0.104 : 0.017
    #expect(abs(unbiased.reduce(0, +) / 12) < 4 * spread / 12.0.squareRoot() + 0.012)
  }

  /// A mean far larger than the spread cancels nothing.
  @Test(arguments: [0.0, 10, 100, 1000])
  func offsetsChangeNothing(_ offset: Double) throws {
    let exact = normals(64 * 48, "offset")
    let moved = exact.map { Float(Double($0) + offset) }
    let report = try study(exact, 48, moved, 48).report(settings())
    let own = report.reals("hsic_aa", of: "cka")
    let expected = PlainCKA.linear(PlainCKA.rows(moved, columns: 48))
    #expect(agrees(own[3], PlainCKA.unbiasedHSIC(expected, expected), 1e-5))
    #expect(agrees(report.reals("cka", of: "cka")[1], 1, offset > 100 ? 1e-4 : 1e-5))
  }

  @Test func oneMinibatchIsTheWholeAndWeightsOfEqualOnesAgree() throws {
    let (x, y) = (normals(48 * 6, "x"), normals(48 * 6, "noise"))
    let mixed = zip(x, y).map { $0 + 0.8 * $1 }
    #expect(
      agrees(
        try pair(study(x, 6, mixed, 6), settings()), PlainCKA.similarity(x, 6, mixed, 6), 1e-6))
    let cut = study(x, 6, mixed, 6, batches: [12, 12, 12, 12])
    let values = try CKASettings.BatchWeight.allCases.map { weight in
      try pair(cut, settings { $0.batchWeight = weight })
    }
    #expect(agrees(values[0], values[1], 1e-14) && agrees(values[0], values[2], 1e-14))
  }

  @Test func swappedSubjectsTranspose() throws {
    let layers = (0..<3).map {
      FeatureStudy.Layer.rows("l\($0)", normals(60, "t\($0)"), columns: 5)
    }
    var one = FeatureStudy([12])
    one.add("a", Array(layers[..<2]))
    one.add("b", [layers[2]])
    var other = FeatureStudy([12])
    other.add("b", [layers[2]])
    other.add("a", Array(layers[..<2]))
    // Rows: a x a (4), a x b (2), b x b (1); and b x b (1), b x a (2), a x a (4).
    let first = try one.report(settings()).reals("cka", of: "cka")
    let second = try other.report(settings()).reals("cka", of: "cka")
    #expect(first.count == 7 && Array(first[4...5]) == Array(second[1...2]))
  }
}
