import Diagnostics
import Images
import Models
import Reports
import Tensors
import Testing

@testable import VitProbe

/// A network that is no architecture: images of 6 x 4 pixels, and a layer whose layout nobody knows.
private struct ToyNetwork: Network {
  let inputShape = ImageShape(height: 6, width: 4, channels: 3)
  let classCount: Int? = 3
  let parameters: [NamedParameter]
  private var weights: [String: Tensor] = [:]

  init(from source: any ParameterSource) throws(ParameterError) {
    let scope = Scope(source)
    func weight(_ name: String, _ shape: [Int]) throws(ParameterError) -> Tensor {
      try scope.weight(name, shape, .normal(0.3))
    }
    weights["mix"] = try weight("mix", [5, 3])
    weights["hidden"] = try weight("hidden", [8, 6 * 4 * 5])
    weights["head"] = try weight("head", [3, 8])
    let found = weights
    parameters = scope.requests.compactMap { specification in
      found[specification.name].map { NamedParameter(specification: specification, tensor: $0) }
    }
  }

  func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
    try ToyNetwork(from: source)
  }

  func begin(_ images: Tensor, _ context: Context) -> PartialPass? { nil }

  func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
    guard let mix = weights["mix"], let hidden = weights["hidden"], let head = weights["head"]
    else {
      return images
    }
    let count = images.shape[0]
    var x = linear(images, mix, bias: nil)
    x = context.tap(Tap("mix", .conv, layout: .featureMap, roles: [.sequence, .block]), x.gelu())
    x = linear(x.reshaped([count, 6 * 4 * 5]), hidden, bias: nil)
    let tap = Tap("hidden", .other, layout: .unknown, roles: [.sequence, .block])
    x = context.tap(tap, x.gelu().reshaped([count, 2, 2, 2, 1])).reshaped([count, 8])
    return context.tap(Tap("logits", .logits, layout: .vector), linear(x, head, bias: nil))
  }
}

@Suite struct ToyNetworkTests {
  private func subject() throws -> ModelSubject {
    try ModelSubject(
      ToyNetwork(from: RandomParameters(seed: 3)),
      report: LoadReport(source: "toy", family: "toy", architecture: "toy"),
      preprocessing: Preprocessing(
        size: Extents(height: 6, width: 4), resize: .none, interpolation: .bilinear,
        mean: [0, 0, 0], std: [1, 1, 1]),
      label: "toy")
  }

  private func images(_ count: Int, height: Int = 6, width: Int = 4) throws -> ImageDataSet {
    let values = CounterRandom(seed: 7, purpose: "toy").normals(count * 3 * height * width)
    return try ImageDataSet(
      ArrayImages(
        name: "x", shape: [count, 3, height, width], element: .float32,
        bytes: values.map(Float.init).withUnsafeBytes { Array($0) },
        labels: (0..<count).map { $0 % 3 }), name: "x")
  }

  private func texts(_ report: Report?, _ column: String) throws -> [String] {
    try #require(report?.tables.first?.cells(column)).map {
      if case .text(let text) = $0 { text } else { "" }
    }
  }

  @Test func analysesOfFeaturesRun() throws {
    let run = try FeatureRun(
      [subject()], on: SampleSet(images(20)), analyses: Samples.analyses,
      options: Samples.options(batchSize: 5))
    #expect(try run.estimate().totalBytes > 0)
    let outcome = try run()
    let reports = Dictionary(uniqueKeysWithValues: outcome.reports.map { ($0.analysis, $0.report) })
    #expect(reports.keys.sorted() == ["cka", "fourier", "metrics", "variance"])
    // Rows can be compared whatever their layout.
    #expect(try texts(reports["cka"], "layer_b_name") == ["mix", "hidden", "mix", "hidden"])
    #expect(try texts(reports["cka"], "status").allSatisfy { $0 == "ok" })
    for name in ["fourier", "variance"] {
      let report = reports[name]
      let layers = try zip(texts(report, "layer_name"), texts(report, "status"))
      #expect(layers.contains { $0 == ("mix", "ok") })
      #expect(layers.filter { $0.0 == "hidden" }.map(\.1) == ["undefined_grid"])
      #expect(
        report?.notes.contains { $0.contains("layout of 1 layer(s) is not known") } == true)
    }
  }

  /// Both ends of the spectrum of the head's Hessian against the dense matrix from its products.
  @Test func hessiansAreSolved() throws {
    let subject = try subject()
    var settings = HessianSettings()
    settings.parameters = ["head"]
    (settings.top, settings.steps, settings.tolerance) = (3, 24, 1e-7)
    let run = try HessianRun(
      [subject], on: images(8), settings: settings, loss: TrainingLoss(), batchSize: 8,
      batchLimit: 1)
    let values = try #require(run().tables[0].cells("eigenvalue")).compactMap {
      if case .real(let value) = $0 { value } else { nil }
    }
    // The trace of a positive semidefinite matrix bounds its largest value.
    let batch = Minibatch(try images(8).batch(0, of: run.batches))
    let (inputs, targets) = TrainingLoss().prepare(
      try subject.images(of: batch), labels: (0..<8).map { $0 % 3 }, classes: 3, batch: 0)
    let hessian = try NetworkHessian(
      subject.network, parameters: run.parameters[0],
      batches: [LossBatch(images: inputs, targets: targets)], memory: 1 << 30)
    var matrix: [[Double]] = []
    for row in 0..<24 {
      var unit = [Double](repeating: 0, count: 24)
      unit[row] = 1
      matrix += try hessian.apply([unit])
    }
    var vector = [Double](repeating: 1, count: 24)
    var largest = 0.0
    for step in 0..<2000 {
      vector[step % 24] += step < 24 ? 0.1 * Double(step) : 0
      let product = matrix.map { dot($0, vector) }
      largest = norm(product)
      vector = product.map { $0 / largest }
    }
    #expect(abs((values.map(abs).max() ?? 0) - largest) < 1e-5 * largest)
  }

  @Test func imagesOfAnotherShapeAreRefused() throws {
    let run = try FeatureRun(
      [subject()], on: SampleSet(images(8, height: 4, width: 6)), analyses: [VarianceAnalyzer()])
    for error in [failure { _ = try run() }, failure { try run.checkSizes(all: true) }] {
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("6 x 4 pixels, but toy takes 4 x 6") == true)
    }
  }
}
