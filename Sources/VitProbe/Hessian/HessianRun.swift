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
  private let parameters: [ParameterVector]
  private let memory: Int

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - batchSize: images in a minibatch.
  ///   - batchLimit: minibatches looked at, from the first; nil for all.
  ///   - memory: bytes for what is recorded of losses and gradients.
  /// - Throws: ``VitProbeError`` for missing labels, too few images, globs that match nothing, and a
  ///   head that does not fit the labels.
  public init(
    _ subjects: [ModelSubject], on data: ImageDataSet, settings: HessianSettings,
    loss: TrainingLoss, batchSize: Int, batchLimit: Int?, memory: Int = 4 << 30
  ) throws(VitProbeError) {
    try checkLabels(subjects.map(\.label))
    guard data.count >= batchSize else {
      throw VitProbeError(
        .badData, "\(data.name) has \(data.count) images, fewer than one minibatch of \(batchSize); "
          + "lower --batch-size")
    }
    var largest = 0
    for index in 0..<data.count {
      guard let label = data.label(index) else {
        throw VitProbeError(
          .badData, "\(data.id(index)) has no label, and the loss needs one; put images in class "
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
          .badData, "labels of \(data.name) go up to \(largest), but the head of \(subject.label) "
            + "has \(classes) classes")
      }
    }
    self.subjects = subjects
    self.data = data
    self.settings = settings
    self.loss = loss
    self.memory = memory
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
    return (each + settings.traceProbes + density) * batchCount * subjects.count
  }

  /// A line a model on what will be done.
  public var plan: [String] {
    zip(subjects, parameters).map { subject, parameters in
      "\(subject.label): \(parameters.count) parameters in \(parameters.selected.count) tensors, "
        + "\(batchCount) minibatches of \(batches.batchSize), \(settings.scope.rawValue) scope"
    }
  }

  /// Carries the run out.
  ///
  /// - Parameters:
  ///   - progress: told of products made and planned.
  public func callAsFunction(progress: (Int, Int) -> Void = { _, _ in }) throws -> Report {
    var results: [HessianReport.Subject] = []
    var made = 0
    let planned = plannedProducts
    for (subject, vector) in zip(subjects, parameters) {
      var records: [HessianRecord] = []
      switch settings.scope {
      case .batch:
        for number in 0..<batchCount {
          let batch = try lossBatch(number, subject)
          records.append(
            try record(subject, vector, [batch], number: number) {
              made += 1
              progress(made, max(planned, made))
            })
        }
      case .dataset:
        var all: [LossBatch] = []
        for number in 0..<batchCount { all.append(try lossBatch(number, subject)) }
        records.append(
          try record(subject, vector, all, number: nil) {
            made += batchCount
            progress(made, max(planned, made))
          })
      }
      results.append(
        HessianReport.Subject(
          label: subject.label, family: subject.family, checkpoint: subject.sourceName,
          epoch: subject.epoch, records: records))
    }
    return try HessianReport(
      results, settings: settings, loss: loss.name, batchSize: batches.batchSize)()
  }

  private func record(
    _ subject: ModelSubject, _ vector: ParameterVector, _ batches: [LossBatch], number: Int?,
    progress: () -> Void
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
