import Diagnostics
import Models
import Tensors

/// The analyses by name.
private let analyzers: [String: any Analyzer] = [
  CKAAnalyzer.name: CKAAnalyzer(), FourierAnalyzer.name: FourierAnalyzer(),
  VarianceAnalyzer.name: VarianceAnalyzer(),
]

/// Synthetic features as the peer makes them: `layers` matrices `[n, features]` that drift apart, eight
/// of them distinct.
private func driftingFeatures(layers: Int, images: Int, features: Int) -> [Tensor] {
  let base = Tensor.normal([images, features], seed: 1)
  let distinct = (0..<min(layers, 8)).map { k -> Tensor in
    let share = Float(k) / Float(layers)
    return (1 - share) * base
      + (share + 1 / Float(layers)) * Tensor.normal([images, features], seed: UInt64(k + 2))
  }
  return (0..<layers).map { distinct[$0 % distinct.count] }
}

/// Gram matrices and all pairs on given features, one minibatch: `layers`, `n`, `features`.
func gramsJob(_ arguments: Arguments) throws -> Measurement {
  let layers = try arguments.integer("layers", 24)
  let images = try arguments.integer("n", 256)
  let features = try arguments.integer("features", 37632)
  let values = driftingFeatures(layers: layers, images: images, features: features)
  let taps = (0..<layers).map {
    PlannedTap(tap: Tap("layer\($0)", .mlp, layout: .vector), shape: [features])
  }
  let plan = Plan(
    subjects: [SubjectPlan(label: "features", family: "given", taps: taps)],
    batchSizes: [images], batchSize: images)
  let analyzer = CKAAnalyzer()
  var record: CKAAnalyzer.Record?
  var measurement = Measurement(repeats: try arguments.integer("repeats", 3)) {
    let observer = analyzer.begin(.unnamed(0, images), plan: plan)
    for (index, value) in values.enumerated() {
      observer.observe(subject: 0, tap: index, value: value)
    }
    record = observer.finish()
  }
  // Gram matrices are symmetric: half of each.
  measurement.add(work: Double(layers * images * (images + 1)) * Double(features))
  measurement.add("cka_first_last", record.map { firstToLast($0.products, layers: layers) } ?? .nan)
  return measurement
}

/// Similarity of the first layer and the last from products of pairs, a lower triangle row by row.
private func firstToLast(_ products: [Double], layers: Int) -> Double {
  let corner = products.count - layers
  return products[corner] / (products[0] * products[products.count - 1]).squareRoot()
}

/// One analysis alone on the features of a model, already in memory: `analyses`, `model`, `batch`, `n`.
func analysisJob(_ arguments: Arguments) throws -> Measurement {
  let subject = try ForwardJob(arguments)
  let names = arguments.text("analyses", CKAAnalyzer.name)
  let slots = try slots(names, subject)
  let captured = subject.batches.map { batch in
    let store = Capture { tap in slots.contains { $0.places[tap.name] != nil } }
    _ = subject.network(batch, Context(probe: store))
    return store.values
  }
  return try Measurement(repeats: try arguments.integer("repeats", 3)) {
    for slot in slots { slot.start(batches: captured.count) }
    subject.forEachBatch { index in
      for slot in slots {
        let listener = slot.listener(.unnamed(index, subject.batches[index].shape[0]))
        for (tap, value) in captured[index] { listener.look(tap, value) }
        listener.finish(index)
      }
    }
    for slot in slots { try slot.report() }
  }
}

/// Forward pass and analyses at once: `analyses=cka,fourier,variance`, `model`, `batch`, `n`.
func runJob(_ arguments: Arguments) throws -> Measurement {
  let subject = try ForwardJob(arguments)
  let slots = try slots(arguments.text("analyses", CKAAnalyzer.name), subject)
  var measurement = try Measurement(repeats: try arguments.integer("repeats", 3)) {
    for slot in slots { slot.start(batches: subject.batches.count) }
    subject.forEachBatch { index in
      let batch = BatchIdentity.unnamed(index, subject.batches[index].shape[0])
      let probe = Listeners(slots.map { $0.listener(batch) })
      _ = subject.network(subject.batches[index], Context(probe: probe))
      for listener in probe.listeners { listener.finish(index) }
    }
    for slot in slots { try slot.report() }
  }
  measurement.add("images_per_s", Double(subject.imageCount) / measurement.seconds)
  let summary = try ModelSummary(subject.network, batchSize: 1)
  measurement.add(work: 2 * Double(summary.multiplyAdds * subject.imageCount))
  return measurement
}

extension BatchIdentity {
  /// A minibatch of images without names and labels.
  fileprivate static func unnamed(_ number: Int, _ count: Int) -> BatchIdentity {
    BatchIdentity(
      number: number, ids: [String](repeating: "", count: count), positions: Array(0..<count),
      labels: [Int?](repeating: nil, count: count))
  }
}

private func slots(_ names: String, _ subject: ForwardJob) throws -> [any Slot] {
  try names.split(separator: ",").map { name in
    guard let analyzer = analyzers[String(name)] else {
      throw Arguments.Mistake(description: "no analysis \(name)")
    }
    return try slot(analyzer, subject)
  }
}

private func slot<A: Analyzer>(_ analyzer: A, _ subject: ForwardJob) throws -> any Slot {
  let summary = try ModelSummary(subject.network, batchSize: 1)
  let role: Tap.Roles = A.defaultOrdering == .blocks ? .block : .sequence
  let taps = summary.taps(role).filter { analyzer.accepts($0.tap) }.map {
    PlannedTap(tap: $0.tap, shape: Array($0.shape.dimensions.dropFirst()))
  }
  let plan = Plan(
    subjects: [
      SubjectPlan(label: "model", family: subject.family, taps: taps)
    ], batchSizes: subject.batches.map { $0.shape[0] }, batchSize: subject.batchSize)
  return Records(analyzer, plan: plan)
}
