import Diagnostics
import Images
import Models
import Reports
import Tensors

/// Hessian spectra of several models on the same labelled images.
public struct HessianRun: RecordedJob {
  /// The models.
  public let subjects: [ModelSubject]
  /// The images.
  public let data: ImageDataSet
  /// What is computed.
  public let settings: HessianSettings
  /// The loss.
  public let loss: TrainingLoss
  /// Which share of the minibatches is looked at, if not all.
  public let shard: Shard?
  /// Which outputs of each model's head the labels are.
  let classes: [ClassMapping]
  let batches: BatchPlan
  let batchCount: Int
  let batchNotes: [String]
  let parameters: [ParameterVector]
  let memory: Int
  /// What each subject's Hessians cost.
  let costs: [HessianCost]
  /// Who shares the minibatches of a data set; this is the first of them.
  var ranks: any Ranks = SingleRank()

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
        "`shard` shares out minibatches, and `scope` dataset takes one Hessian of all of them; "
          + "give each model a run of its own instead")
    }
    try checkLabels(subjects.map(\.label))
    guard data.count >= batchSize else {
      throw VitProbeError(
        .badData,
        "\(data.name) has \(data.count) images, fewer than one minibatch of \(batchSize); "
          + "lower `batchSize`")
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
              : "put images in class folders or give `labels`"))
      }
      largest = max(largest, label)
    }
    var mappings: [ClassMapping] = []
    for subject in subjects {
      guard subject.precision == .float32 else {
        throw VitProbeError(
          .usage,
          "\(subject.label) computes in \(subject.precision.rawValue), and a second derivative differs by more than "
            + "the rounding of its products; Hessians are computed in float32 alone")
      }
      mappings.append(
        try subject.lossClasses(
          naming ?? ClassNaming(of: data), largest: largest, of: data.name))
    }
    self.classes = mappings
    self.subjects = subjects
    self.data = data
    self.settings = settings
    self.loss = loss
    self.memory = memory
    self.shard = shard
    batches = plan
    (batchCount, batchNotes) = plan.limited(to: batchLimit)
    var parameters: [ParameterVector] = []
    for subject in subjects {
      parameters.append(
        try ParameterVector(
          subject.network, globs: settings.parameters, label: subject.label))
    }
    self.parameters = parameters
    var costs: [HessianCost] = []
    for (subject, vector) in zip(subjects, parameters) {
      costs.append(try HessianCost(of: subject.network, vector, settings))
    }
    self.costs = costs
  }

  /// Makes sure that images have the sizes that models take.
  ///
  /// - Parameter all: whether each image is looked at; otherwise the first.
  /// - Throws: ``VitProbeError`` that names the first that does not fit, or cannot be read.
  public func checkSizes(all: Bool) throws {
    let used = SampleSet(data, limit: imageCount)
    for model in subjects { try model.require(sizesOf: used, all: all) }
  }

  /// Images that take part.
  public var imageCount: Int {
    batches.batches.prefix(batchCount).reduce(0) { $0 + $1.count }
  }

  /// The minibatches that are looked at.
  var numbers: [Int] { (0..<batchCount).filter { shard?.contains($0) ?? true } }

  /// Minibatches that take part.
  public var minibatches: Int { batchCount }

  // MARK: The job

  /// A Hessian for each model and minibatch, or one for each model.
  public var units: UnitPlan {
    UnitPlan(
      subjects.indices.map { WorkUnit(point: $0) }, on: settings.scope == .batch ? numbers : [0])
  }

  /// What units are called.
  public var unitName: String {
    settings.scope == .batch ? "minibatches, counted for each model" : "models"
  }

  /// Minibatches.
  public func cost(of unit: WorkUnit) -> Int { settings.scope == .batch ? 1 : batchCount }

  /// One minibatch a thread, where their recordings and vectors stay within the memory; a data set's
  /// Hessian at a time, in order, since ranks may share it.
  public func width(of count: Int) -> Int {
    guard settings.scope == .batch else { return 1 }
    let largest = costs.map { $0.bytes(images: batches.batchSize) }.max() ?? 1
    return max(1, min(Threads.count, memory / max(1, largest)))
  }

  /// Products with a Hessian.
  public var stepsOfAUnit: Int? { settings.productsOfALoss }

  /// What the records depend on.
  public func kind(_ inputs: [Manifest.Input]) throws -> HessianRecords {
    let dataFiles = Set(data.inputFiles.map(\.path))
    return try HessianRecords(
      HessianRecords.Settings(
        subjects: zip(zip(subjects, classes), parameters).map { subject, parameters in
          let (subject, classes) = subject
          return HessianRecords.Settings.Model(
            settings: SubjectSettings(subject, inputs, classes: classes), family: subject.family,
            checkpoint: subject.sourceName, epoch: subject.epoch, parameters: parameters.count)
        }, dataName: data.name,
        data: DataSettings(
          count: data.count, files: inputs.filter { dataFiles.contains($0.path) }
        ) { (data.id($0), data.label($0)) },
        batchSize: batches.batchSize,
        batchImages: batches.batches.prefix(batchCount).map(\.count), hessian: settings, loss: loss
      ))
  }

  /// Solves for a model on a minibatch, or on all of them.
  public func compute(_ unit: WorkUnit, _ hand: UnitInHand) throws -> HessianRecord {
    switch settings.scope {
    case .batch: try minibatch(unit.batch, of: unit.point, hand)
    case .dataset: try dataset(unit.point, hand)
    }
  }

  /// Carries the run out and reports on it.
  ///
  /// - Parameters:
  ///   - progress: told of products made and planned.
  public func callAsFunction(progress: (Int, Int) -> Void = { _, _ in }) throws -> Report {
    try collect(progress: progress).report()
  }

  private func minibatch(
    _ number: Int, of index: Int, _ hand: UnitInHand
  ) throws -> HessianRecord {
    let subject = subjects[index]
    let batch = try lossBatch(number, index)
    let hessian = try NetworkHessian(
      subject.network, parameters: parameters[index], batches: [batch], memory: memory)
    var found = try record(
      hessian, loss: hessian.loss, gradient: { hessian.gradient }, images: batch.count,
      number: number, threads: hand.threads,
      { blame(subject, imagesAreFinite: batch.images.isFinite) }, hand.step)
    found.notes += batch.remarks
    return found
  }

  func record(
    _ hessian: some SymmetricOperator, loss: Double, gradient: () -> [Double], images: Int,
    number: Int?, threads: Int, _ blame: () -> String, _ step: () throws -> Void
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
        images: images, loss: loss, threads: threads, progress: step)
    } catch SpectrumError.nonFiniteProduct(let solver, let product) {
      let error = SpectrumError.nonFiniteProduct(solver: solver, product: product)
      return HessianRecord(
        undefined: "nan_input", batch: number, images: images, loss: loss,
        note: "\(which): \(error); \(blame())")
    }
  }

  /// Where NaN or infinity came from, as far as it can be said.
  func blame(_ subject: ModelSubject, imagesAreFinite: Bool) -> String {
    let bad = subject.network.parameters.filter { !$0.tensor.isFinite }
    if let first = bad.first {
      let more = bad.count > 1 ? " and \(bad.count - 1) more tensors hold" : " holds"
      return "\(first.specification.name)\(more) NaN or infinity"
    }
    return imagesAreFinite
      ? "weights and images are finite, so the network overflows"
      : "images hold NaN or infinity"
  }

  func lossBatch(_ number: Int, _ index: Int) throws -> LossBatch {
    let subject = subjects[index]
    let batch = Minibatch(try data.batch(number, of: batches))
    let labels = batch.labels.compactMap { classes[index]($0) }
    let images = try subject.images(of: batch)
    let (mixed, targets) = loss.prepare(
      images, labels: labels, classes: subject.network.classCount ?? 0, batch: number)
    return LossBatch(images: mixed, targets: targets, remarks: batch.remarks.map(\.text))
  }
}

extension Tensor {
  var isFinite: Bool { withValues { $0.allSatisfy(\.isFinite) } }
}
