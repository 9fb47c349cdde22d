import Diagnostics
import Images
import Models
import Reports
import Tensors

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
  /// The places of the interventions of each model.
  private let places: [[Intervention: Int]]
  private let batches: BatchPlan
  private let batchCount: Int
  private let options: FeatureRun.Options
  /// Minibatches that variants are run on one after the other.
  private let batchNotes: [String]
  private let batchesAtOnce: Int
  /// Bytes of all minibatches in hand.
  private let bytesInHand: Int
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
    (batchCount, batchNotes) = batches.limited(to: batchLimit)
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
    places = interventions.map { own in
      Dictionary(
        own.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }
    self.subjects = subjects
    self.data = data
    self.evaluation = evaluation
    self.options = options
    let images = batches.largestBatch
    let each =
      subjects.enumerated().map { place, subject in
        let shape = subject.network.inputShape
        return 4 * images * shape.height * shape.width * shape.channels
          + evaluation.bytesInHand(of: place, images: images)
      }.max() ?? 0
    batchesAtOnce = min(batchCount, evaluation.batchesAtOnce(of: each))
    // Threads may be at the end of some and the beginning of the next.
    let kept = batchesAtOnce + min(batchesAtOnce, Threads.count)
    bytesInHand = each * kept
    inHand = InHand(limit: kept)
  }

  /// What is known before anything is computed: of the data, of what labels mean to each model, and of
  /// the variants.
  public var notes: [String] {
    data.notes + batchNotes + ClassMapping.notes(classes, of: subjects, on: data)
      + evaluation.notes
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
    let units = units
    return RunEstimate(
      images: units.batches.reduce(0) { $0 + batches.batches[$1].count },
      batches: units.count,
      largestBatch: largest, passBytes: pass, parameterBytes: parameters, analysisBytes: held,
      sharedBytes: bytesInHand, recordBytes: recordBytes, threads: Threads.count,
      maximumMemory: options.maximumMemory)
  }

  /// Bytes that are kept of all variants until the report.
  private var recordBytes: Int {
    let (units, study) = (units, evaluation.study)
    return units.rows.reduce(0) { sum, row in
      let place = places[row.point][row.intervention] ?? 0
      return sum
        + EvaluationRecords<Evaluation.Study>.bytes(
          minibatches: units.batches.count,
          measures: study.measureCount(of: row.point, variant: place > 0 ? place - 1 : nil))
    }
  }

  // MARK: The job

  /// Which share of the minibatches, or of the variants, is looked at, if not all.
  public var shard: Shard? { options.shard }

  /// A few minibatches after the other, so that one is decoded once for all variants, and variant by variant
  /// within these, so that a variant is made once for all of them.
  public var units: UnitPlan {
    let share = shard?.share(ofMinibatches: batchCount)
    let rows = subjects.indices.flatMap { model in
      interventions[model].map { WorkUnit(point: model, intervention: $0) }
    }
    return UnitPlan(
      rows.indices.filter { share?.contains(variant: $0) ?? true }.map { rows[$0] },
      on: (0..<batchCount).filter { share?.contains(minibatch: $0) ?? true },
      atOnce: batchesAtOnce)
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
    let batch = try batch(unit.batch, for: model)
    let found = try look(at: unit, on: batch)
    var sums = ScoreSums()
    if let found {
      let isCompared = Evaluation.Study.isPaired && unit.intervention != .none
      let before =
        isCompared
        ? try ImageScores(whole(model, batch).output.logits, labels: batch.labels) : nil
      sums = ScoreSums(found.scores, against: before)
    }
    return EvaluationRecord(
      images: batch.minibatch.count, scores: sums, weights: found?.output.weights,
      measures: found?.output.measures, skipped: batch.skipped, remarks: batch.minibatch.remarks)
  }

  /// The scores of each image that has a label; nil where none has.
  func look(
    at unit: WorkUnit, on batch: BatchInHand
  ) throws -> (output: VariantOutput, scores: ImageScores)? {
    let model = unit.point
    guard batch.labels.contains(where: { $0 != nil }) else { return nil }
    let place = places[model][unit.intervention] ?? 0
    let output =
      place == 0
      ? try whole(model, batch).output
      : try evaluation.run(place - 1, of: model, on: batch) { try whole(model, batch) }
    return (
      output,
      ImageScores(output.logits, labels: batch.labels, inputChanges: output.inputChanges)
    )
  }

  private func whole(_ model: Int, _ batch: BatchInHand) throws -> WholePass {
    try batch.whole {
      try evaluation.runWhole(model, on: batch)
        ?? WholePass(VariantOutput(subjects[model].network(batch.images)))
    }
  }

  /// A minibatch prepared for a model; in hand for a while.
  func batch(_ number: Int, for model: Int) throws -> BatchInHand {
    try inHand(ModelBatch(model: model, batch: number)) {
      let (batch, skipped) = try data.batch(
        number, of: batches, decoding: true, onBadImage: options.badImages
      ) { Threads.forEach($0, $1) }
      return BatchInHand(
        batch, images: try subjects[model].images(of: batch),
        labels: batch.labels.map { classes[model]($0) }, skipped: skipped)
    }
  }
}
