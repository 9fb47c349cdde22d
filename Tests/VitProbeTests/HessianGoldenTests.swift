import Diagnostics
import Models
import Reports
import Tensors
import Testing

@testable import VitProbe

/// Products, eigenvalues, traces and densities of a whole network, against its dense Hessian.
@Suite struct HessianGoldenTests {
  private func lanczos(_ steps: Int, top: Int = 5) -> Lanczos {
    var solver = Lanczos()
    (solver.steps, solver.top, solver.tolerance) = (steps, top, 1e-6)
    return solver
  }

  /// Column by column, in the parameters' own order.
  @Test func denseBlockIsThatOfDoubleBackward() throws {
    let small = try SmallViT()
    let names = [
      "blocks.0.attn.proj.weight", "norm.weight", "norm.bias", "head.weight", "head.bias",
    ]
    let hessian = try small.hessian(small.batches(), parameters: names)
    let vector = try ParameterVector(small.subject.network, globs: names, label: "small")
    let n = hessian.dimension
    #expect(n == 107)
    // Where the reference has an entry of ours.
    var starts: [String: Int] = [:]
    var start = 0
    for name in names {
      starts[name] = start
      let count = vector.selected.first { $0.specification.name == name }?.tensor.shape.count
      start += try #require(count)
    }
    let order = vector.selected.flatMap { parameter in
      (0..<parameter.tensor.shape.count).map {
        (starts[parameter.specification.name] ?? 0) + $0
      }
    }
    let golden = try small.values("block")
    let units = (0..<n).map { column in (0..<n).map { $0 == column ? 1.0 : 0 } }
    let columns = try hessian.apply(units)
    let own = columns.flatMap(\.self)
    let expected = (0..<n).flatMap { c in (0..<n).map { golden[order[$0] * n + order[c]] } }
    #expect(distance(own, expected) < 2e-6)
    // One at a time gives the same bits as all at once.
    #expect(try hessian.apply([units[5]])[0] == columns[5])
  }

  @Test(arguments: ["batch0", "batch1", "batch2"])
  func bothEndsOfEachMinibatch(name: String) throws {
    let small = try SmallViT()
    let number = Int(String(name.last ?? "0")) ?? 0
    let hessian = try small.hessian(small.batches(numbers: [number]))
    #expect(hessian.dimension == 1083)
    #expect(abs(hessian.loss - (try small.loss(name))) < 1e-6)
    let expected = try small.eigenvalues(name)
    let found = try lanczos(60, top: 8).solve(hessian)
    try check(found, expected, tolerance: 1e-5)
  }

  private func check(
    _ found: LanczosSpectrum, _ expected: [Double], tolerance: Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (low, high) = (try #require(expected.first), try #require(expected.last))
    let scale = max(abs(low), abs(high))
    #expect(
      abs(found.largest.value - high) <= tolerance * scale, sourceLocation: sourceLocation)
    #expect(
      abs(found.smallest.value - low) <= tolerance * scale, sourceLocation: sourceLocation)
    let magnitudes = expected.sorted { abs($0) > abs($1) }
    for (value, golden) in zip(found.top, magnitudes) {
      #expect(
        abs(value.value - golden) <= tolerance * scale, "\(value) is not \(golden)",
        sourceLocation: sourceLocation)
    }
  }

  /// Sums over minibatches of 4, 4 and 2 images, weighted by their images.
  @Test func theWholeDataSetIsTheMeanOverImages() throws {
    let small = try SmallViT()
    let expected = try small.eigenvalues("dataset")
    let hessian = try small.hessian(small.batches(numbers: [0, 1, 2]))
    #expect(abs(hessian.loss - (try small.loss("dataset"))) < 1e-6)
    try check(lanczos(60).solve(hessian), expected, tolerance: 1e-5)
    // One minibatch of all ten is the same loss.
    try check(
      lanczos(60).solve(small.hessian(small.batches(size: 10))), expected, tolerance: 1e-5)
    // Minibatches weighted equally would be off by far.
    struct Equal: SymmetricOperator {
      let parts: [NetworkHessian]
      var dimension: Int { parts[0].dimension }
      func apply(_ vectors: [[Double]]) throws -> [[Double]] {
        let products = try parts.map { try $0.apply(vectors) }
        return vectors.indices.map { column in
          (0..<dimension).map { row in
            products.reduce(0) { $0 + $1[column][row] / Double(parts.count) }
          }
        }
      }
    }
    let equal = Equal(parts: try (0..<3).map { try small.hessian(small.batches(numbers: [$0])) })
    let other = try lanczos(30, top: 1).solve(equal).largest.value
    #expect(abs(other - (expected.last ?? 0)) > 0.1)
  }

  static let losses: [(String, TrainingLoss)] = [
    ("smoothing", loss(mixup: 0, cutmix: 0, seed: 0)),
    ("mixup", loss(mixup: 1, cutmix: 0, seed: 3)),
    ("cutmix", loss(mixup: 0, cutmix: 1, seed: 2)),
  ]

  private static func loss(mixup: Double, cutmix: Double, seed: UInt64) -> TrainingLoss {
    var loss = TrainingLoss()
    (loss.smoothing, loss.mixup, loss.cutmix, loss.seed) = (0.1, mixup, cutmix, seed)
    return loss
  }

  /// Targets, images (by the loss) and the Hessian are those of timm's mixing.
  @Test(arguments: losses) func trainingLosses(_ name: String, _ loss: TrainingLoss) throws {
    let small = try SmallViT()
    let batches = try small.batches(loss)
    let targets = batches[0].targets.values.map(Double.init)
    #expect(distance(targets, try small.values("targets/\(name)")) < 1e-6)
    let hessian = try small.hessian(batches)
    #expect(abs(hessian.loss - (try small.loss(name))) < 1e-6)
    try check(lanczos(60).solve(hessian), small.eigenvalues(name), tolerance: 1e-5)
  }

  /// With the features fixed, the head is softmax regression: the Hessian at zero weights has the
  /// eigenvalues of F'F/N over C, each C - 1 times, and 0 for the rest.
  @Test func theHeadIsSoftmaxRegression() throws {
    let small = try SmallViT()
    final class Features: Probe {
      var rows: [[Double]] = []
      func wants(_ tap: Tap) -> Bool { tap.name == "norm" }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        // The class token of [N, 1 + 4, 8], and 1 for the bias.
        rows = (0..<value.shape[0]).map { image in
          value.values[image * 40..<image * 40 + 8].map(Double.init) + [1]
        }
        return value
      }
    }
    let batch = try small.batches(size: 10)[0]
    let probe = Features()
    _ = small.subject.network(batch.images, Context(probe: probe))
    #expect(probe.rows.count == 10)
    var zero = Dictionary(
      uniqueKeysWithValues: small.subject.network.parameters.map {
        ($0.specification.name, $0.tensor)
      })
    for name in ["head.weight", "head.bias"] {
      zero[name] = zero[name].map { Tensor(repeating: 0, shape: $0.shape) }
    }
    let curvature = try LossCurvature(
      at: ["head.weight", "head.bias"].compactMap { zero[$0] }
    ) { tracked throws(ParameterError) in
      var all = zero
      (all["head.weight"], all["head.bias"]) = (tracked[0], tracked[1])
      let model = try small.subject.network.rebuilt(with: all)
      return 0.1 * model(batch.images).crossEntropy(targets: batch.targets).sum()
    }
    struct Head: SymmetricOperator {
      let curvature: LossCurvature
      var dimension: Int { 27 }
      func apply(_ vectors: [[Double]]) -> [[Double]] {
        vectors.map { vector in
          let values = vector.map(Float.init)
          return curvature.product(with: [
            Tensor(Array(values[..<24]), shape: [3, 8]), Tensor(Array(values[24...]), shape: [3]),
          ]).flatMap { $0.values.map(Double.init) }
        }
      }
    }
    struct Moment: SymmetricOperator {
      let rows: [[Double]]
      var dimension: Int { 9 }
      func apply(_ vectors: [[Double]]) -> [[Double]] {
        vectors.map { vector in
          (0..<9).map { d in
            rows.reduce(0) { $0 + $1[d] * dot($1, vector) } / (3 * Double(rows.count))
          }
        }
      }
    }
    var solver = lanczos(27, top: 27)
    let own = try solver.solve(Head(curvature: curvature)).ritzValues.map(\.value)
    solver.precision = .double
    solver.top = 9
    let single = try solver.solve(Moment(rows: probe.rows)).ritzValues.map(\.value)
    let expected = (single + single + [Double](repeating: 0, count: 9)).sorted()
    #expect(own.count == 27)
    let scale = expected.last ?? 1
    for (value, exact) in zip(own, expected) { #expect(abs(value - exact) <= 1e-6 * scale) }
  }

  @Test func traceAndDensityAgreeWithTheDenseSpectrum() throws {
    let small = try SmallViT()
    let hessian = try small.hessian(small.batches())
    let values = try small.eigenvalues("batch0")
    let trace = values.reduce(0, +)
    var estimator = TraceEstimator()
    for method in [TraceEstimator.Method.hutchinson, .hutchPlusPlus] {
      estimator.method = method
      estimator.products = 150
      let found = try estimator.estimate(hessian).trace
      let error = try #require(found.standardError)
      #expect(error > 0 && error < 3)
      #expect(abs(found.mean - trace) <= 4 * error, "\(method): \(found) for \(trace)")
    }
    var quadrature = LanczosQuadrature()
    (quadrature.probes, quadrature.steps) = (10, 80)
    let measure = try quadrature.measure(hessian)
    let n = Double(values.count)
    let moment = values.reduce(0) { $0 + $1 * $1 } / n
    let second = measure.mean { $0 * $0 }
    #expect(abs(second.mean - moment) <= 4 * (second.standardError ?? 0))
    // The fraction below the dead band: 0.175.
    let limit = -1e-3 * 10.625353
    let negative = Double(values.count { $0 < limit }) / n
    let fraction = measure.negativeFraction()
    #expect(abs(fraction.mean - negative) < 0.03, "\(fraction) for \(negative)")
    // The share of eigenvalues above 1, an interval without any near its end.
    let outliers = Double(values.count { $0 > 1 }) / n
    let share = measure.mean { $0 > 1 ? 1 : 0 }
    #expect(abs(share.mean - outliers) <= 4 * (share.standardError ?? 0) + 1e-3)
  }

  // MARK: Reuse and determinism

  /// The pass is recorded once; a product records nothing, whatever the number of vectors.
  @Test func productsShareOneRecording() throws {
    let small = try SmallViT()
    let hessian = try small.hessian(small.batches(numbers: [0, 1, 2]))
    #expect(hessian.recordings == 3)
    let v = (0..<3).map {
      CounterRandom(seed: 1, purpose: "test", stream: UInt64($0)).normals(1083)
    }
    let together = try hessian.apply(v)
    for (vector, product) in zip(v, together) { #expect(try hessian.apply([vector])[0] == product) }
    #expect(hessian.recordings == 3)
    // Without memory only the first is kept: two are made anew for each block of vectors.
    let poor = try small.hessian(small.batches(numbers: [0, 1, 2]), memory: 0)
    #expect(poor.recordings == 3)
    #expect(try poor.apply(v) == together)
    #expect(poor.recordings == 5)
  }

  @Test func resultsHaveTheSameBitsOnAnyNumberOfThreads() throws {
    let small = try SmallViT()
    var settings = HessianSettings()
    (settings.traceProbes, settings.densityProbes) = (4, 1)
    var loss = TrainingLoss()
    loss.mixup = 0.8
    func tables(threads: Int, scope: HessianSettings.Scope) throws -> [String] {
      Threads.configure(count: threads)
      settings.scope = scope
      let run = try HessianRun(
        [small.subject], on: small.data, settings: settings, loss: loss, batchSize: 4,
        batchLimit: nil)
      return try run().tables.map(\.csv)
    }
    defer { Threads.configure(count: 2) }
    for scope in HessianSettings.Scope.allCases {
      let one = try tables(threads: 1, scope: scope)
      #expect(try tables(threads: 1, scope: scope) == one)
      #expect(try tables(threads: 2, scope: scope) == one)
      #expect(try tables(threads: 3, scope: scope) == one)
    }
  }
}
