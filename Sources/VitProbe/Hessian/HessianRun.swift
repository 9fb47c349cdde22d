import Diagnostics
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
  private let batches: BatchPlan
  private let batchCount: Int
  private let shard: Shard?
  private let parameters: [ParameterVector]
  private let memory: Int

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - batchSize: images in a minibatch.
  ///   - batchLimit: minibatches looked at, from the first; nil for all.
  ///   - memory: bytes for what is recorded of losses and gradients.
  ///   - shard: which share of the minibatches is looked at, if not all.
  /// - Throws: ``VitProbeError`` for a shard of the whole data set's Hessian, missing labels, too few images, globs that match nothing, and a
  ///   head that does not fit the labels.
  public init(
    _ subjects: [ModelSubject], on data: ImageDataSet, settings: HessianSettings,
    loss: TrainingLoss, batchSize: Int, batchLimit: Int?, memory: Int = 4 << 30,
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
    var largest = 0
    for index in 0..<data.count {
      guard let label = data.label(index) else {
        throw VitProbeError(
          .badData,
          "\(data.id(index)) has no label, and the loss needs one; put images in class "
            + "folders or give --labels PATH")
      }
      largest = max(largest, label)
    }
    for subject in subjects {
      guard let classes = subject.loaded.model.classCount else {
        throw VitProbeError(
          .badData, "\(subject.label) has no classification head, and the loss needs one")
      }
      guard largest < classes else {
        throw VitProbeError(
          .badData,
          "labels of \(data.name) go up to \(largest), but the head of \(subject.label) "
            + "has \(classes) classes")
      }
    }
    self.subjects = subjects
    self.data = data
    self.settings = settings
    self.loss = loss
    self.memory = memory
    self.shard = shard
    batches = BatchPlan(count: data.count, batchSize: batchSize, minimum: 1)
    batchCount = min(batches.batches.count, batchLimit ?? .max)
    var parameters: [ParameterVector] = []
    for subject in subjects {
      parameters.append(
        try ParameterVector(
          subject.loaded, globs: settings.parameters, label: subject.label))
    }
    self.parameters = parameters
  }

  /// Images that take part.
  public var imageCount: Int {
    batches.batches.prefix(batchCount).reduce(0) { $0 + $1.count }
  }

  /// The minibatches that are looked at.
  private var numbers: [Int] { (0..<batchCount).filter { shard?.contains($0) ?? true } }

  /// Minibatches that take part.
  public var minibatches: Int { batchCount }

  /// Products with the Hessian of a minibatch that are planned, without extensions.
  public var plannedProducts: Int {
    let each: Int =
      switch settings.solver {
      case .lanczos: settings.steps
      case .power: settings.top * settings.maximumIterations
      }
    let density = settings.densityProbes * max(settings.steps, 40)
    return (each + settings.traceProbes + density) * numbers.count * subjects.count
  }

  /// A line a model on what will be done.
  public var plan: [String] {
    zip(subjects, parameters).map { subject, parameters in
      "\(subject.label): \(parameters.count) parameters in \(parameters.selected.count) tensors, "
        + "\(batchCount) minibatches of \(batches.batchSize), \(settings.scope.rawValue) scope"
    }
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
        subjects: zip(subjects, parameters).map { subject, parameters in
          HessianRecords.Settings.Model(
            settings: SubjectSettings(subject, inputs), family: subject.family,
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
  /// A Hessian of the whole data set is one piece: when the run is stopped, models that are finished
  /// are kept, and the one in hand begins again next time.
  ///
  /// - Parameters:
  ///   - log: where records are kept as they come, and those of an earlier run are found.
  ///   - shouldStop: asked before each minibatch, which is finished; on the whole data set, before
  ///     each product.
  ///   - progress: told of products made and planned.
  /// - Throws: ``Interruption`` if it was stopped.
  public func collect(
    keeping log: RecordLog? = nil, shouldStop: () -> Bool = { false },
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> HessianRecords {
    var records = emptyRecords(log?.provenance.inputs ?? [])
    for entry in log?.earlier ?? [] { try records.restore(entry, from: "the records") }
    let units = settings.scope == .batch ? numbers : [0]
    let total = units.count * subjects.count
    var done = records.count
    let each = plannedProducts / max(1, total)
    var made = each * done
    func stopped() throws -> Interruption {
      try log?.sync()
      return Interruption(
        done: done, total: total,
        unit: settings.scope == .batch ? "minibatches, counted for each model" : "models",
        isKept: log?.isKept ?? false)
    }
    for (index, (subject, vector)) in zip(subjects, parameters).enumerated() {
      for unit in units where !records.has(unit, subject: index) {
        if shouldStop() { throw try stopped() }
        let numbers = settings.scope == .batch ? [unit] : Array(0..<batchCount)
        let found = try record(
          subject, vector, numbers.map { try lossBatch($0, subject) },
          number: settings.scope == .batch ? unit : nil
        ) {
          if settings.scope == .dataset, shouldStop() { throw try stopped() }
          made += numbers.count
          progress(made, max(plannedProducts, made))
        }
        records.add(found, unit: unit, subject: index)
        try log?.append(records.entry(unit, subject: index))
        done += 1
      }
    }
    return records
  }

  private func record(
    _ subject: ModelSubject, _ vector: ParameterVector, _ batches: [LossBatch], number: Int?,
    progress: () throws -> Void
  ) throws -> HessianRecord {
    let images = batches.reduce(0) { $0 + $1.count }
    let hessian = try NetworkHessian(
      subject.loaded, parameters: vector, batches: batches, memory: memory)
    let which = number.map { "minibatch \($0)" } ?? "the data set"
    guard hessian.loss.isFinite else {
      return HessianRecord(
        undefined: "nan_input", batch: number, images: images, loss: hessian.loss,
        note: "the loss of \(which) is not finite")
    }
    do {
      return try HessianRecord(
        solving: hessian, settings: settings, batch: number, images: images, loss: hessian.loss,
        threads: Threads.count, progress: progress)
    } catch let error as SpectrumError {
      return HessianRecord(
        undefined: "nan_input", batch: number, images: images, loss: hessian.loss,
        note: "\(which): \(error)")
    }
  }

  private func lossBatch(_ number: Int, _ subject: ModelSubject) throws -> LossBatch {
    let batch = Minibatch(try data.batch(number, of: batches))
    let labels = batch.labels.compactMap(\.self)
    let images = try subject.images(of: batch)
    let (mixed, targets) = loss.prepare(
      images, labels: labels, classes: subject.loaded.model.classCount ?? 0, batch: number)
    return LossBatch(images: mixed, targets: targets)
  }
}
