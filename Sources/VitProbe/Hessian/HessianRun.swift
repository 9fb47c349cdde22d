import Diagnostics
import Glibc
import Images
import Models
import Reports
import Synchronization
import Tensors

/// Hessian spectra of several models on the same labelled images.
public struct HessianRun: Sendable {
  /// The models.
  public let subjects: [ModelSubject]
  /// The images.
  public let data: ImageDataSet
  /// What is computed.
  public let settings: HessianSettings
  /// The loss.
  public let loss: TrainingLoss
  /// Which outputs of each model's head the labels are.
  let classes: [ClassMapping]
  private let batches: BatchPlan
  private let batchCount: Int
  private let shard: Shard?
  private let parameters: [ParameterVector]
  private let memory: Int
  /// What a forward pass of one image costs, for each subject.
  private let passes: [Pass]

  private struct Pass {
    let multiplyAdds: Int
    /// Bytes of all its values when it is recorded.
    let bytes: Int
  }

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - naming: what classes are called; nil for what the data say.
  ///   - batchSize: images in a minibatch.
  ///   - batchLimit: minibatches looked at, from the first; nil for all.
  ///   - memory: bytes for what is recorded of losses and gradients.
  ///   - shard: which share of the minibatches is looked at, if not all.
  /// - Throws: ``VitProbeError`` for a shard of the whole data set's Hessian, missing labels, too few
  ///   images, globs that match nothing, and a head that does not fit the labels.
  public init(
    _ subjects: [ModelSubject], on data: ImageDataSet, naming: ClassNaming? = nil,
    settings: HessianSettings, loss: TrainingLoss, batchSize: Int, batchLimit: Int?,
    memory: Int = 4 << 30,
    shard: Shard? = nil
  ) throws(VitProbeError) {
    guard shard == nil || settings.scope == .batch else {
      throw VitProbeError(
        .usage,
        "--shard shares out minibatches, and --scope dataset takes one Hessian of all of them; "
          + "give each model a run of its own instead")
    }
    try checkLabels(subjects.map(\.label))
    guard data.count >= batchSize else {
      throw VitProbeError(
        .badData,
        "\(data.name) has \(data.count) images, fewer than one minibatch of \(batchSize); "
          + "lower --batch-size")
    }
    let plan = BatchPlan(count: data.count, batchSize: batchSize, minimum: 1)
    let looked = plan.batches.prefix(batchLimit ?? .max).last?.upperBound ?? 0
    var largest = 0
    for index in 0..<looked {
      guard let label = data.label(index) else {
        let hasSome = (0..<data.count).contains { data.label($0) != nil }
        throw VitProbeError(
          .badData,
          "\(data.id(index)) has no label, and the loss needs one; "
            + (hasSome
              ? "leave it out of the data, or give its class"
              : "put images in class folders or give --labels PATH"))
      }
      largest = max(largest, label)
    }
    var mappings: [ClassMapping] = []
    for subject in subjects {
      guard let classes = subject.loaded.model.classCount else {
        throw VitProbeError(
          .badData, "\(subject.label) has no classification head, and the loss needs one")
      }
      let mapping = try subject.classes(naming ?? ClassNaming(of: data)) ?? .numbers
      if mapping.basis == .unmapped {
        throw VitProbeError(.badData, "\(subject.label): \(mapping.text ?? "")")
      }
      guard mapping.basis != .numbers || largest < classes else {
        throw VitProbeError(
          .badData,
          "labels of \(data.name) go up to \(largest), but the head of \(subject.label) "
            + "has \(classes) classes")
      }
      mappings.append(mapping)
    }
    self.classes = mappings
    self.subjects = subjects
    self.data = data
    self.settings = settings
    self.loss = loss
    self.memory = memory
    self.shard = shard
    batches = plan
    batchCount = min(batches.batches.count, batchLimit ?? .max)
    var parameters: [ParameterVector] = []
    for subject in subjects {
      parameters.append(
        try ParameterVector(
          subject.loaded, globs: settings.parameters, label: subject.label))
    }
    self.parameters = parameters
    var passes: [Pass] = []
    for subject in subjects {
      do {
        let summary = try ModelSummary(subject.loaded.architecture)
        passes.append(Pass(multiplyAdds: summary.multiplyAdds, bytes: summary.recordedBytes))
      } catch {
        throw VitProbeError(error)
      }
    }
    self.passes = passes
  }

  /// Images that take part.
  public var imageCount: Int {
    batches.batches.prefix(batchCount).reduce(0) { $0 + $1.count }
  }

  /// The minibatches that are looked at.
  private var numbers: [Int] { (0..<batchCount).filter { shard?.contains($0) ?? true } }

  /// Minibatches that take part.
  public var minibatches: Int { batchCount }

  /// Products with the Hessian of a minibatch that are planned: without extensions for Lanczos, at
  /// most for the power method.
  public var plannedProducts: Int { productsOfALoss * numbers.count * subjects.count }

  private var productsOfALoss: Int {
    let each: Int =
      switch settings.solver {
      // And one for each value, to measure its residual.
      case .lanczos: settings.steps + settings.top + 2
      case .power: settings.top * settings.maximumIterations
      }
    return each + settings.traceProbes
      + settings.densityProbes * max(settings.steps, HessianRecord.leastDensitySteps)
  }

  /// Bytes of the solver's long vectors for one subject.
  private func vectorBytes(_ parameters: ParameterVector) -> Int {
    let most = settings.solver == .lanczos ? settings.basisLimit : settings.top
    // In Float32; and a few working vectors in Float64.
    return parameters.count * (4 * (min(most, parameters.count) + 1) + 8 * 5)
  }

  /// What a recorded loss with its gradient holds, in values of a recorded pass: these, their cotangents
  /// and what a product has in hand.
  private static let passesOfARecording = 2

  /// Minibatches in hand at once: one a thread, where their recordings and vectors stay within the
  /// memory.
  private var minibatchesAtOnce: Int {
    let largest = zip(parameters, passes).map { vector, pass in
      vectorBytes(vector) + Self.passesOfARecording * pass.bytes * batches.batchSize
    }
    return max(1, min(Threads.count, memory / max(1, largest.max() ?? 1)))
  }

  /// Bytes on disk that the products for one subject take while its solver is at work, at most; nil
  /// if none are kept.
  private func keptBytes(_ parameters: ParameterVector) -> Double? {
    guard settings.scope == .dataset else { return nil }
    let extended = settings.solver == .lanczos ? min(settings.steps, parameters.count) : 0
    return Double(productsOfALoss + extended) * Double(ProductFile.bytes(parameters.count))
  }

  /// Multiply-adds of a forward pass; a product runs through the pass and its gradient, three of
  /// them, in both directions.
  static let passesOfAProduct = 6

  /// What is known before anything is computed: of the data, and of what labels mean to each model.
  public var notes: [String] {
    data.notes + ClassMapping.notes(classes, of: subjects, on: SampleSet(data))
  }

  /// A line a model on what will be done, and what it will cost.
  public var plan: [String] {
    var lines: [String] = []
    for ((subject, parameters), pass) in zip(zip(subjects, parameters), passes) {
      lines.append(
        "\(subject.label): \(parameters.count) parameters in \(parameters.selected.count) tensors, "
          + "\(numbers.count) minibatches of \(batches.batchSize), "
          + "\(settings.scope.rawValue) scope")
      let product =
        Double(Self.passesOfAProduct * pass.multiplyAdds) * Double(batches.batchSize) / 1e9
      let total = product * Double(productsOfALoss * numbers.count) / 1e3
      lines.append(
        "\(subject.label): \(productsOfALoss * numbers.count) products of about "
          + "\(product.figures) G multiply-adds, \(total.figures) T in all; up to "
          + "\((Double(vectorBytes(parameters)) / 1e6).figures) MB for the solver's vectors")
      if let kept = keptBytes(parameters) {
        lines.append(
          "\(subject.label): up to \((kept / 1e6).figures) MB on disk while it is computed, for "
            + "--resume (--keep 0: none)")
      }
    }
    return lines + notes.map { "note: \($0)" }
  }

  /// What the records depend on.
  ///
  /// - Parameter provenance: what the run is given.
  func recordHeader(_ provenance: Provenance) throws -> RecordHeader {
    let records = emptyRecords(provenance.inputs)
    return try RecordHeader(
      kind: HessianRecords.kind, batches: records.units, parts: records.parts, shard: shard,
      settings: records.settings, provenance: provenance)
  }

  private func emptyRecords(_ inputs: [Manifest.Input]) -> HessianRecords {
    let dataFiles = Set(data.inputFiles.map(\.path))
    return HessianRecords(
      HessianRecords.Settings(
        subjects: zip(zip(subjects, classes), parameters).map { subject, parameters in
          let (subject, classes) = subject
          return HessianRecords.Settings.Model(
            settings: SubjectSettings(subject, inputs, classes: classes), family: subject.family,
            checkpoint: subject.sourceName, epoch: subject.epoch, parameters: parameters.count)
        },
        data: DataSettings(
          count: data.count, files: inputs.filter { dataFiles.contains($0.path) }
        ) { (data.id($0), data.label($0)) },
        batchSize: batches.batchSize,
        batchImages: batches.batches.prefix(batchCount).map(\.count), hessian: settings, loss: loss
      ))
  }

  /// Carries the run out and reports on it.
  ///
  /// - Parameters:
  ///   - progress: told of products made and planned.
  public func callAsFunction(progress: (Int, Int) -> Void = { _, _ in }) throws -> Report {
    try collect(progress: progress).report()
  }

  /// Looks at every minibatch that is not among the records yet.
  ///
  /// A Hessian of the whole data set is one piece. What is kept of the one in hand are its products,
  /// with which a later run comes to the same place at once.
  ///
  /// - Parameters:
  ///   - log: where records are kept as they come, and those of an earlier run are found.
  ///   - ranks: who shares the minibatches of a data set. This is the first; the others
  ///     ``assist(_:)``.
  ///   - shouldStop: asked before each minibatch; those in hand are finished. On the whole data set,
  ///     asked before each product.
  ///   - progress: told of products made and planned; from any thread, one call at a time.
  /// - Throws: ``Interruption`` if it was stopped.
  public func collect(
    keeping log: RecordLog? = nil, sharing ranks: any Ranks = SingleRank(),
    shouldStop: () -> Bool = { false }, progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> HessianRecords {
    precondition(ranks.rank == 0, "only the first rank collects")
    precondition(
      ranks.count == 1 || settings.scope == .dataset, "ranks share the Hessian of a data set only")
    var records = emptyRecords(log?.provenance.inputs ?? [])
    for entry in log?.earlier ?? [] { try records.restore(entry, from: "the records") }
    guard settings.scope == .dataset else {
      return try withoutActuallyEscaping(shouldStop) { shouldStop in
        try withoutActuallyEscaping(progress) { progress in
          try collectMinibatches(
            records, log, Callbacks(shouldStop: shouldStop, progress: progress))
        }
      }
    }
    do {
      try collectWhole(&records, log, ranks, shouldStop, progress)
      RankOrder.end.give(to: ranks)
      return records
    } catch {
      if !(error is RankFailure) { RankOrder.end.give(to: ranks) }
      throw error
    }
  }

  /// What the caller gave; called under a lock.
  private struct Callbacks: @unchecked Sendable {
    let shouldStop: () -> Bool
    let progress: (Int, Int) -> Void
  }

  /// A Hessian for each model and minibatch; several at once.
  private func collectMinibatches(
    _ records: HessianRecords, _ log: RecordLog?, _ callbacks: Callbacks
  ) throws -> HessianRecords {
    struct State {
      var records: HessianRecords
      var count: ProductCount
      var failure: (place: Int, error: any Error)?
      var isStopped = false
    }
    let todo = subjects.indices.flatMap { index in
      numbers.filter { !records.has($0, subject: index) }.map { (subject: index, batch: $0) }
    }
    let width = min(minibatchesAtOnce, max(1, todo.count))
    let state = Mutex(
      State(
        records: records,
        count: ProductCount(losses: todo.count, planned: productsOfALoss, atOnce: width)))
    Threads.perform(todo.count, width: width) { place in
      let goesOn = state.withLock { state in
        if !state.isStopped { state.isStopped = callbacks.shouldStop() }
        return !state.isStopped
      }
      guard goesOn else { return }
      let (subject, number) = todo[place]
      do {
        var products = 0
        let found = try minibatch(number, of: subject, threads: width > 1 ? 1 : Threads.count) {
          products += 1
          state.withLock { state in
            state.count.add()
            callbacks.progress(state.count.made, state.count.expected)
          }
        }
        try state.withLock { state in
          state.count.finishLoss(products)
          callbacks.progress(state.count.made, state.count.expected)
          state.records.add(found, unit: number, subject: subject)
          try log?.append(state.records.entry(number, subject: subject))
        }
      } catch {
        state.withLock { state in
          state.isStopped = true
          if state.failure.map({ place < $0.place }) ?? true { state.failure = (place, error) }
        }
      }
    }
    let end = state.withLock { $0 }
    if let failure = end.failure { throw failure.error }
    let total = numbers.count * subjects.count
    guard end.records.count == total else {
      try log?.sync()
      throw Interruption(
        done: end.records.count, total: total, unit: "minibatches, counted for each model",
        isKept: log?.isKept ?? false)
    }
    return end.records
  }

  private func minibatch(
    _ number: Int, of index: Int, threads: Int, tick: () -> Void
  ) throws -> HessianRecord {
    let subject = subjects[index]
    let batch = try lossBatch(number, index)
    let hessian = try NetworkHessian(
      subject.loaded, parameters: parameters[index], batches: [batch], memory: memory)
    var record = try record(
      hessian, loss: hessian.loss, gradient: { hessian.gradient }, images: batch.count,
      number: number, threads: threads,
      { blame(subject, imagesAreFinite: batch.images.isFinite) }, tick)
    record.notes += batch.remarks
    return record
  }

  /// One Hessian for each model.
  private func collectWhole(
    _ records: inout HessianRecords, _ log: RecordLog?, _ ranks: any Ranks,
    _ shouldStop: () -> Bool, _ progress: (Int, Int) -> Void
  ) throws {
    var done = records.count
    var count = ProductCount(losses: subjects.count - done, planned: productsOfALoss)
    func stopped() throws -> Interruption {
      try log?.sync()
      let products = log?.products?.count ?? 0
      return Interruption(
        done: done, total: subjects.count,
        unit: "models" + (products > 0 ? " and \(products) products of the next" : ""),
        isKept: log?.isKept ?? false)
    }
    for (index, subject) in subjects.enumerated() where !records.has(0, subject: index) {
      if shouldStop() { throw try stopped() }
      RankOrder.open(index).give(to: ranks)
      let hessian = try shared(index, ranks)
      log?.products?.begin(model: index, dimension: hessian.dimension)
      let before = count.made
      var found = try record(
        KeptProducts(base: hessian, log: log), loss: hessian.loss, gradient: hessian.gradient,
        images: imageCount, number: nil, threads: Threads.count,
        { blame(subject, imagesAreFinite: hessian.imagesAreFinite) }
      ) {
        if shouldStop() { throw try stopped() }
        count.add()
        progress(count.made * batchCount, count.expected * batchCount)
      }
      found.notes += hessian.own.remarks
      count.finishLoss(count.made - before)
      progress(count.made * batchCount, count.expected * batchCount)
      records.add(found, unit: 0, subject: index)
      try log?.append(records.entry(0, subject: index))
      log?.products?.remove()
      done += 1
    }
  }

  /// Does a share of the work that the first rank leads, until it is done or stops.
  ///
  /// - Parameter ranks: who shares the minibatches of the data set; this is not the first.
  /// - Throws: ``RankFailure``.
  public func assist(_ ranks: any Ranks) throws {
    precondition(ranks.rank > 0, "the first rank leads")
    var hessian: RankedHessian?
    while true {
      switch RankOrder.next(from: ranks) {
      case .open(let model):
        hessian = nil
        hessian = try shared(model, ranks)
      case .multiply(let count): try hessian?.assist(count)
      case .addGradients: hessian?.assistGradient()
      case .end: return
      }
    }
  }

  /// The Hessian of the whole data set, of whose minibatches every N-th is this rank's own.
  func shared(_ index: Int, _ ranks: any Ranks) throws -> RankedHessian {
    try RankedHessian(images: imageCount, ranks: ranks) {
      let own = Shard(index: ranks.rank, count: ranks.count)
      let batches = try (0..<batchCount).filter(own.contains).map {
        try lossBatch($0, index)
      }
      let hessian = try NetworkHessian(
        subjects[index].loaded, parameters: parameters[index], batches: batches,
        images: imageCount, memory: memory)
      return (hessian, batches.allSatisfy(\.images.isFinite))
    }
  }

  private func record(
    _ hessian: some SymmetricOperator, loss: Double, gradient: () -> [Double], images: Int,
    number: Int?, threads: Int, _ blame: () -> String, _ progress: () throws -> Void
  ) throws -> HessianRecord {
    let which = number.map { "minibatch \($0)" } ?? "the data set"
    guard loss.isFinite else {
      return HessianRecord(
        undefined: "nan_input", batch: number, images: images, loss: loss,
        note: "the loss of \(which) is not finite: \(blame())")
    }
    do {
      return try HessianRecord(
        solving: hessian, gradient: gradient(), settings: settings, batch: number,
        images: images, loss: loss, threads: threads, progress: progress)
    } catch SpectrumError.nonFiniteProduct(let solver, let product) {
      let error = SpectrumError.nonFiniteProduct(solver: solver, product: product)
      return HessianRecord(
        undefined: "nan_input", batch: number, images: images, loss: loss,
        note: "\(which): \(error); \(blame())")
    }
  }

  /// Where NaN or infinity came from, as far as it can be said.
  private func blame(_ subject: ModelSubject, imagesAreFinite: Bool) -> String {
    let bad = subject.loaded.parameters.filter { !$0.tensor.isFinite }
    if let first = bad.first {
      let more = bad.count > 1 ? " and \(bad.count - 1) more tensors hold" : " holds"
      return "\(first.specification.name)\(more) NaN or infinity"
    }
    return imagesAreFinite
      ? "weights and images are finite, so the network overflows"
      : "images hold NaN or infinity"
  }

  private func lossBatch(_ number: Int, _ index: Int) throws -> LossBatch {
    let subject = subjects[index]
    let batch = Minibatch(try data.batch(number, of: batches))
    let labels = batch.labels.compactMap { classes[index]($0) }
    let images = try subject.images(of: batch)
    let (mixed, targets) = loss.prepare(
      images, labels: labels, classes: subject.loaded.model.classCount ?? 0, batch: number)
    return LossBatch(images: mixed, targets: targets, remarks: batch.remarks.map(\.text))
  }
}

extension Tensor {
  fileprivate var isFinite: Bool { withValues { $0.allSatisfy(\.isFinite) } }
}

extension Double {
  /// Three significant figures.
  fileprivate var figures: String {
    guard self >= 1e-3 else { return "0.001" }
    let step = pow(10, (log10(self)).rounded(.down) - 2)
    let rounded = (self / step).rounded() * step
    if rounded >= 100 { return "\(Int(rounded))" }
    let digits = max(0, 2 - Int(log10(rounded).rounded(.down)))
    let scale = pow(10, Double(digits))
    return "\((rounded * scale).rounded() / scale)"
  }
}
