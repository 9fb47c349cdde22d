import Diagnostics
import Images
import Reports
import Tensors

/// How one variant of a model does on a minibatch.
public struct EvaluationRecord: Codable, Sendable {
  /// Images that could be read.
  let images: Int
  /// How those of them do that have a label.
  let scores: ScoreSums
  /// How large the weights are; nil where they are the network's own.
  let weights: WeightNorms?
  /// Further numbers, as many as the study says; nil where there are none, or no image has a label.
  let measures: [Double]?
  let skipped: [SkippedImage]
  /// What decoding the images has shown.
  let remarks: [ImageRemark]
}

/// The records of a study of variants: a unit is a variant of a model on a minibatch.
public struct EvaluationRecords<Study: EvaluationStudy>: RecordKind {
  /// Everything that records and reports depend on.
  public struct Settings: Sendable, Codable {
    struct Model: Sendable, Codable {
      let settings: SubjectSettings
      let family: String
      /// Classes of its head.
      let outputs: Int
    }
    let subjects: [Model]
    let dataName: String
    let data: DataSettings
    let batchSize: Int
    /// Images in each minibatch before any is skipped.
    let batchImages: [Int]
    let onBadImage: String
    let study: Study
  }

  /// The study's.
  public static var name: String { Study.name }
  /// Variants may be many, and minibatches few.
  public static var sharesVariants: Bool { true }
  /// They are as many as places of a landscape times minibatches.
  public static var leavesRecords: Bool { true }
  /// What the records depend on.
  public let settings: Settings
  /// Model by model, the network as it is first.
  public let units: UnitPlan
  /// How many further numbers a record has, for each thing done to each model.
  private let measureCounts: [[Intervention: Int]]

  /// The records of the study that the settings name.
  public init(_ settings: Settings) throws(VitProbeError) {
    guard !settings.subjects.isEmpty, !settings.batchImages.isEmpty,
      settings.batchImages.count <= 1 << 24,
      settings.batchImages.allSatisfy({ (1...1 << 32).contains($0) }),
      settings.subjects.allSatisfy({ (0...1 << 24).contains($0.outputs) }),
      settings.study.isValid(models: settings.subjects.count)
    else { throw VitProbeError(.badData, "its models, minibatches and variants make no sense") }
    self.settings = settings
    measureCounts = settings.subjects.indices.map { model in
      Dictionary(
        Self.interventions(settings.study, model).enumerated().map { place, intervention in
          (
            intervention,
            settings.study.measureCount(of: model, variant: place > 0 ? place - 1 : nil)
          )
        }, uniquingKeysWith: { first, _ in first })
    }
    units = UnitPlan(
      settings.subjects.indices.flatMap { model in
        Self.interventions(settings.study, model).map {
          WorkUnit(point: model, intervention: $0)
        }
      }, on: Array(settings.batchImages.indices))
  }

  /// What is done to a model, nothing first.
  static func interventions(_ study: Study, _ model: Int) -> [Intervention] {
    [.none] + study.variants(of: model).map { Intervention(name: "\(Study.name):\($0)") }
  }

  /// Whether the scores are of images of the minibatch.
  public func isValid(_ record: EvaluationRecord, of unit: WorkUnit) -> Bool {
    (0...settings.batchImages[unit.batch]).contains(record.images)
      && record.scores.isValid(
        images: record.images, isCompared: Study.isPaired && unit.intervention != .none)
      && record.weights?.isValid ?? true
      && (record.measures?.count ?? 0)
        == (record.scores.count > 0 ? measureCounts[unit.point][unit.intervention] ?? 0 : 0)
  }

  /// Bytes that a variant takes until the report: its place in the plan, sums over all its images, and for each
  /// minibatch where its record is in the file, and further numbers.
  static func bytes(minibatches: Int, measures: Int) -> Int {
    let plan = 2 * MemoryLayout<WorkUnit>.stride + Self.nameBytes
    let sums = 2 * (MemoryLayout<ScoreSums>.stride + MemoryLayout<WeightNorms?>.stride)
    let each = RunRecords<Self>.bytesOfAUnit + (measures > 0 ? 32 + 8 * measures : 0)
    return plan + sums + minibatches * each
  }

  /// Bytes of a variant's name wherever it is listed, by which its records are found.
  private static var nameBytes: Int { 512 }

  /// Minibatches that every variant of every model has been looked at on.
  private func complete(_ records: RunRecords<Self>) -> Set<Int> {
    var found = [Int](repeating: 0, count: settings.batchImages.count)
    for unit in records.known { found[unit.batch] += 1 }
    return Set(found.indices.filter { found[$0] == units.rows.count })
  }

  /// Images that every variant has been looked at on; where there are none, as in a shard that has its share of
  /// the variants, those of any.
  public func tally(_ records: RunRecords<Self>) throws -> RunTally {
    let complete = complete(records)
    var seen: Set<Int> = []
    var tally = RunTally(images: 0, total: settings.batchImages.reduce(0, +))
    for unit in records.known
    where (complete.isEmpty || complete.contains(unit.batch)) && seen.insert(unit.batch).inserted {
      guard let record = try records.record(of: unit) else { continue }
      tally.images += record.images
      tally.skipped += record.skipped
    }
    tally.skipped.sort { $0.position < $1.position }
    return tally
  }

  /// As the models say.
  public var compute: String? { settings.subjects.map(\.settings).compute }

  /// The study's report on the minibatches that are complete, so that all differences are of the same images.
  public func report(_ records: RunRecords<Self>) throws -> RunReport {
    let complete = complete(records)
    guard !complete.isEmpty else {
      throw VitProbeError(.badData, "no minibatch has been looked at with every variant")
    }
    var scores: [Int: [Intervention: ScoreSums]] = [:]
    var weights: [Int: [Intervention: WeightNorms]] = [:]
    var measures: [Int: [Intervention: [[Double]]]] = [:]
    var (labelled, images) = (0, 0)
    var remarks: [ImageRemark] = []
    try records.forEach { unit, record in
      guard complete.contains(unit.batch) else { return }
      scores[unit.point, default: [:]][unit.intervention, default: ScoreSums()]
        .add(record.scores)
      if let norms = record.weights {
        weights[unit.point, default: [:]][unit.intervention] = norms
      }
      if let own = record.measures {
        measures[unit.point, default: [:]][unit.intervention, default: []].append(own)
      }
      guard unit.point == 0, unit.intervention == .none else { return }
      labelled += record.scores.count
      images += record.images
      remarks += record.remarks
    }
    var notes = ImageRemark.merged(remarks).map(\.description)
    let models = settings.subjects.enumerated().map { index, model in
      let interventions = Self.interventions(settings.study, index)
      let all = interventions.map { scores[index]?[$0] ?? ScoreSums() }
      let chance = ClassificationMetrics.chance(
        hits: all[0].isFinite ? all[0].hits : nil, of: all[0].count,
        classes: model.outputs, label: model.settings.label)
      if let chance { notes.append(chance) }
      return EvaluatedModel(
        label: model.settings.label, family: model.family,
        labelStatus: model.settings.classes?.status ?? "ok", isAtChance: chance != nil,
        baseline: all[0], variants: Array(all.dropFirst()),
        weights: interventions.dropFirst().map { weights[index]?[$0] },
        measures: interventions.map { measures[index]?[$0] ?? [] })
    }
    if labelled < images {
      notes.append("\(images - labelled) of \(images) images have no label and were left out")
    }
    return RunReport(
      [
        (
          Study.name,
          try Study.report(on: StudyResults(settings.study, models, on: settings.dataName))
        )
      ], notes: notes)
  }
}

extension ImageScores {
  /// The scores of those images of a minibatch that have a label.
  ///
  /// - Parameters:
  ///   - logits: `[N, classes]`.
  ///   - labels: the output that each image's class is; below `classes`.
  ///   - changes: of each image, what was added to it.
  init(_ logits: Tensor, labels: [Int?], inputChanges changes: [Double]? = nil) {
    let classes = logits.shape.last
    var scores = ImageScores(inputChanges: changes.map { _ in [] })
    logits.withValues { values in
      for (row, label) in labels.enumerated() {
        guard let label, label >= 0, label < classes else { continue }
        var one = ClassificationMetrics()
        one.add(values[(row * classes)..<((row + 1) * classes)], label: label)
        scores.losses.append(one.count == 1 ? one.negativeLogLikelihood : .nan)
        scores.hits.append(one.hits == 1)
        if let change = changes?[row] { scores.inputChanges?.append(change) }
      }
    }
    self = scores
  }
}
