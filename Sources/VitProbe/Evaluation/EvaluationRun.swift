import Diagnostics
import Images
import Models
import Reports
import Tensors

/// How the variants of a study are run.
public protocol VariantEvaluation: Sendable {
  /// What is asked.
  associatedtype Study: EvaluationStudy

  /// What is asked.
  var study: Study { get }

  /// What should be known before anything is computed, a sentence each.
  var notes: [String] { get }

  /// Files that were read besides those of the models.
  var inputFiles: [String] { get }

  /// The taps of a model that are looked at.
  func taps(of model: Int) -> Set<String>

  /// Bytes that a thread holds for a variant of a model beside its pass.
  func heldBytes(of model: Int, images: Int) throws -> Int

  /// Minibatches that one variant after the other is run on before the next are read: more of them where a
  /// variant is costly to make.
  var batchesAtOnce: Int { get }

  /// Runs a model as it is, where more is made of it than class scores; nil where not.
  func runWhole(_ model: Int, on batch: BatchInHand) throws -> VariantOutput?

  /// Runs a variant of a model; called from any thread.
  func run(_ variant: Int, of model: Int, on batch: BatchInHand) throws -> VariantOutput
}

extension VariantEvaluation {
  /// None.
  public var notes: [String] { [] }
  /// None.
  public var inputFiles: [String] { [] }
  /// None.
  public func taps(of model: Int) -> Set<String> { [] }
  /// None.
  public func heldBytes(of model: Int, images: Int) throws -> Int { 0 }
  /// One.
  public var batchesAtOnce: Int { 1 }
  /// Class scores alone.
  public func runWhole(_ model: Int, on batch: BatchInHand) throws -> VariantOutput? { nil }

  /// Minibatches that are kept: threads may be at the end of some and the beginning of the next.
  var keptBatches: Int { 2 * batchesAtOnce }
}

/// What came of a variant.
public struct VariantOutput {
  /// Class scores `[N, classes]`.
  public let logits: Tensor
  /// The mean square over the input of what was added to each image; nil where nothing was.
  public let inputChanges: [Double]?

  /// How large the weights are; nil where they are the network's own.
  public let weights: WeightNorms?

  /// Further numbers of the minibatch, as many as the study says.
  public let measures: [Double]?

  /// Class scores, and what was done to images and weights.
  public init(
    _ logits: Tensor, inputChanges: [Double]? = nil, weights: WeightNorms? = nil,
    measures: [Double]? = nil
  ) {
    (self.logits, self.inputChanges) = (logits, inputChanges)
    (self.weights, self.measures) = (weights, measures)
  }
}

/// Many variants of several models on the same labelled images: a unit is a variant on a minibatch.
public struct EvaluationRun<Evaluation: VariantEvaluation>: RecordedJob {
  /// The models.
  public let subjects: [ModelSubject]
  /// The images.
  public let data: SampleSet
  /// The variants.
  public let evaluation: Evaluation
  /// Which outputs of each model's head the labels are.
  let classes: [ClassMapping]
  /// What is done to each model, nothing first.
  private let interventions: [[Intervention]]
  private let batches: BatchPlan
  private let batchCount: Int
  private let options: FeatureRun.Options
  private let inHand: InHand<ModelBatch, BatchInHand>

  /// Plans a run.
  ///
  /// - Parameter batchLimit: minibatches looked at, from the first; nil for all.
  /// - Throws: ``VitProbeError``: labels that clash, images without any label, heads that do not fit them.
  public init(
    _ subjects: [ModelSubject], on data: SampleSet, _ evaluation: Evaluation,
    options: FeatureRun.Options, batchLimit: Int? = nil
  ) throws(VitProbeError) {
    precondition(!subjects.isEmpty, "A run needs models")
    try checkLabels(subjects.map(\.label))
    for subject in subjects { try subject.require(data) }
    batches = BatchPlan(count: data.count, batchSize: options.batchSize)
    batchCount = min(batches.batches.count, batchLimit ?? .max)
    let looked = batches.batches.prefix(batchCount).last?.upperBound ?? 0
    guard let largest = (0..<looked).compactMap(data.label).max(), largest >= 0 else {
      throw VitProbeError(
        .badData,
        "\(data.name): no image that is looked at has a label, and accuracy needs them; put images "
          + "in class folders or give `labels`")
    }
    var classes: [ClassMapping] = []
    for subject in subjects {
      classes.append(
        try subject.lossClasses(data.naming, largest: largest, of: data.name))
    }
    self.classes = classes
    interventions = subjects.indices.map {
      EvaluationRecords<Evaluation.Study>.interventions(evaluation.study, $0)
    }
    self.subjects = subjects
    self.data = data
    self.evaluation = evaluation
    self.options = options
    inHand = InHand(limit: evaluation.keptBatches)
  }

  /// What is known before anything is computed: of the data, of what labels mean to each model, and of
  /// the variants.
  public var notes: [String] {
    data.notes + ClassMapping.notes(classes, of: subjects, on: data) + evaluation.notes
  }

  /// Variants of all models, the networks as they are among them.
  public var variantCount: Int {
    interventions.reduce(0) { $0 + $1.count }
  }

  /// Makes sure that images have the sizes that models take.
  ///
  /// - Parameter all: whether each image is looked at; otherwise the first.
  /// - Throws: ``VitProbeError`` that names the first that does not fit, or cannot be read.
  public func checkSizes(all: Bool) throws {
    for model in subjects {
      try model.require(sizesOf: data, all: all, onBadImage: options.badImages)
    }
  }

  /// A loss and whether it is a hit, in the record and once more in the report.
  private static var bytesOfAScore: Int { 2 * 9 }

  /// What the run will cost, from abstract passes.
  public func estimate() throws -> RunEstimate {
    let largest = batches.largestBatch
    var (pass, held, parameters) = (0, 0, 0)
    for (index, subject) in subjects.enumerated() {
      let memory = try subject.memory(images: largest, wanting: evaluation.taps(of: index))
      pass = max(pass, memory.pass)
      held = max(held, try evaluation.heldBytes(of: index, images: largest))
      parameters += memory.parameters
    }
    let images = numbers.reduce(0) { $0 + batches.batches[$1].count }
    return RunEstimate(
      images: images, batches: units.count,
      largestBatch: largest, passBytes: pass, parameterBytes: parameters, analysisBytes: held,
      recordBytes: variantCount * images * Self.bytesOfAScore, threads: Threads.count,
      maximumMemory: options.maximumMemory)
  }

  // MARK: The job

  /// Which share of the minibatches is looked at, if not all.
  public var shard: Shard? { options.shard }

  /// The minibatches of the run or its shard.
  private var numbers: [Int] { (0..<batchCount).filter { shard?.contains($0) ?? true } }

  /// A few minibatches after the other, so that one is decoded once for all variants, and variant by variant
  /// within these, so that a variant is made once for all of them.
  public var units: [WorkUnit] {
    let (all, step) = (numbers, evaluation.batchesAtOnce)
    return stride(from: 0, to: all.count, by: step).flatMap { start in
      let group = all[start..<min(start + step, all.count)]
      return subjects.indices.flatMap { model in
        interventions[model].flatMap { intervention in
          group.map { WorkUnit(point: model, intervention: intervention, batch: $0) }
        }
      }
    }
  }

  /// What units are called.
  public var unitName: String { "minibatches, counted for each variant" }

  /// Images.
  public func cost(of unit: WorkUnit) -> Int { batches.batches[unit.batch].count }

  /// As many as fit the memory, if there are enough of them.
  public func width(of count: Int) throws -> Int { try estimate().workers }

  /// What the records depend on.
  public func kind(_ inputs: [Manifest.Input]) throws -> EvaluationRecords<Evaluation.Study> {
    let dataFiles = Set(data.inputFiles.map(\.path))
    return try EvaluationRecords(
      EvaluationRecords.Settings(
        subjects: zip(subjects, classes).map {
          .init(
            settings: SubjectSettings($0, inputs, classes: $1), family: $0.family,
            outputs: $0.classCount ?? 0)
        },
        dataName: data.name,
        data: DataSettings(
          count: data.count, files: inputs.filter { dataFiles.contains($0.path) }
        ) { (data.id($0), data.label($0)) },
        batchSize: options.batchSize,
        batchImages: batches.batches.prefix(batchCount).map(\.count),
        onBadImage: options.badImages.rawValue, study: evaluation.study))
  }

  /// Runs a variant of a model on a minibatch.
  public func compute(_ unit: WorkUnit, _ hand: UnitInHand) throws -> EvaluationRecord {
    let model = unit.point
    let batch = try inHand(ModelBatch(model: model, batch: unit.batch)) {
      try prepare(unit.batch, model)
    }
    var (scores, output) = (ImageScores(), VariantOutput?.none)
    if batch.labels.contains(where: { $0 != nil }) {
      let made = try run(unit.intervention, of: model, on: batch)
      scores = ImageScores(made.logits, labels: batch.labels, inputChanges: made.inputChanges)
      output = made
    }
    return EvaluationRecord(
      images: batch.minibatch.count, scores: scores, weights: output?.weights,
      measures: output?.measures, skipped: batch.skipped, remarks: batch.minibatch.remarks)
  }

  private func run(
    _ intervention: Intervention, of model: Int, on batch: BatchInHand
  ) throws -> VariantOutput {
    guard let place = interventions[model].firstIndex(of: intervention), place > 0 else {
      return try evaluation.runWhole(model, on: batch)
        ?? VariantOutput(subjects[model].network(batch.images))
    }
    return try evaluation.run(place - 1, of: model, on: batch)
  }

  private func prepare(_ number: Int, _ model: Int) throws -> BatchInHand {
    let (batch, skipped) = try data.batch(
      number, of: batches, decoding: true, onBadImage: options.badImages
    ) { Threads.forEach($0, $1) }
    return BatchInHand(
      batch, images: try subjects[model].images(of: batch),
      labels: batch.labels.map { classes[model]($0) }, skipped: skipped)
  }
}
