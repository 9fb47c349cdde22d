import Diagnostics
import Images
import Reports
import StrictJSON
import Tensors

/// Several analyses of several subjects on the same images, in one forward pass a subject.
public struct FeatureRun: RecordedJob {
  /// How a run is carried out; none of it changes a result but the batch size.
  public struct Options: Sendable {
    /// Images in a minibatch.
    public var batchSize = 64
    /// What to do with an image that cannot be read.
    public var badImages = BadImagePolicy.fail
    /// The most memory to use, in bytes; fewer minibatches run at once to stay below it.
    public var maximumMemory: Int?
    /// Whether accuracy and calibration are reported where samples have labels and models a head.
    public var reportsMetrics = true
    /// Which share of the minibatches is looked at, if not all.
    public var shard: Shard?

    /// The defaults.
    public init() {}
  }

  /// The subjects.
  public let subjects: [any Subject]
  /// The images, or the samples of feature files.
  public let data: SampleSet
  /// Which outputs of each subject's head the labels are; nil without a head.
  let classes: [ClassMapping?]
  private let batches: BatchPlan
  private let analyses: [any PlannedAnalysis]
  private let options: Options

  /// Plans a run.
  ///
  /// - Throws: ``VitProbeError``: labels that clash, globs that match nothing, too few images, samples
  ///   that a feature file does not have.
  public init(
    _ subjects: [any Subject], on data: SampleSet, analyses: [any Analyzer],
    taps: TapSelection = TapSelection(), options: Options = Options()
  ) throws(VitProbeError) {
    precondition(!subjects.isEmpty && !analyses.isEmpty, "A run needs subjects and analyses")
    try checkLabels(subjects.map(\.label))
    for subject in subjects { try subject.require(data) }
    var classes: [ClassMapping?] = []
    for subject in subjects {
      classes.append(options.reportsMetrics ? try subject.classes(data.naming) : nil)
    }
    self.classes = classes
    self.subjects = subjects
    self.data = data
    self.options = options
    batches = BatchPlan(count: data.count, batchSize: options.batchSize)
    var planned: [any PlannedAnalysis] = []
    for analyzer in analyses {
      planned.append(try Self.plan(analyzer, subjects, on: data, taps, batches: batches))
    }
    if options.reportsMetrics, (0..<data.count).contains(where: { data.label($0) ?? -1 >= 0 }),
      subjects.contains(where: { $0.taps.contains { $0.tap.isClassScores } })
    {
      planned.append(
        try Self.plan(
          MetricsAnalyzer(.init(classes: classes)), subjects, on: data, TapSelection(),
          batches: batches))
    }
    self.analyses = planned
    let minimum = planned.minimumBatch
    guard data.count >= minimum.count else {
      let needed = "at least \(minimum.count) are needed: \(minimum.reason)"
      guard data.wholeCount < minimum.count else {
        throw VitProbeError(
          .usage,
          "`limit` \(data.count) of the \(data.wholeCount) images of \(data.name) is too few; \(needed)"
        )
      }
      throw VitProbeError(
        .badData, "\(data.name) has \(data.wholeCount) image(s); \(needed)")
    }
    guard options.batchSize >= minimum.count else {
      throw VitProbeError(
        .usage,
        "`batchSize` \(options.batchSize) is too small; at least \(minimum.count) images are "
          + "needed in a minibatch: \(minimum.reason)")
    }
  }

  private static func plan<A: Analyzer>(
    _ analyzer: A, _ subjects: [any Subject], on data: SampleSet, _ selection: TapSelection,
    batches: BatchPlan
  ) throws(VitProbeError) -> any PlannedAnalysis {
    var plans: [SubjectPlan] = []
    for subject in subjects {
      plans.append(try selection.plan(of: subject, beside: subjects, for: analyzer))
    }
    return TypedAnalysis(
      analyzer,
      plan: Plan(
        subjects: plans, batchSizes: batches.batches.map(\.count), batchSize: batches.batchSize,
        data: data.name))
  }

  /// What each analysis looks at, in the order asked for.
  public var plans: [(analysis: String, plan: Plan)] { analyses.map { ($0.name, $0.plan) } }

  /// The names of the taps that each analysis looks at, subject by subject.
  public var tapNames: JSONValue {
    .object(
      plans.map { name, plan in
        JSONValue.Member(
          name,
          .object(
            plan.subjects.map { subject in
              JSONValue.Member(subject.label, .array(subject.taps.map { .string($0.tap.name) }))
            }))
      })
  }

  /// What is known before anything is computed: of the data, and of what labels mean to each subject.
  public var notes: [String] {
    data.notes + ClassMapping.notes(classes, of: subjects, on: data)
  }

  /// The settings of each analysis, for the manifest.
  public var settings: JSONValue {
    .object(analyses.map { JSONValue.Member($0.name, $0.settings) })
  }

  /// Makes sure that images have the sizes that models take.
  ///
  /// - Parameter all: whether each image is looked at; otherwise the first.
  /// - Throws: ``VitProbeError`` that names the first that does not fit, or cannot be read.
  public func checkSizes(all: Bool) throws {
    for case let model as ModelSubject in subjects {
      try model.require(sizesOf: data, all: all, onBadImage: options.badImages)
    }
  }

  /// What the run will cost, from abstract passes.
  public func estimate() throws -> RunEstimate {
    var passes: [Int] = []
    var parameters = 0
    for (index, subject) in subjects.enumerated() {
      let wanted = Set(analyses.flatMap { $0.plan.subjects[index].taps.map(\.tap.name) })
      let memory = try subject.memory(images: batches.largestBatch, wanting: wanted)
      passes.append(memory.pass)
      parameters += memory.parameters
    }
    return RunEstimate(
      images: units.reduce(0) { $0 + cost(of: $1) }, batches: units.count,
      largestBatch: batches.largestBatch, passBytes: passes.max() ?? 0, parameterBytes: parameters,
      analysisBytes: analyses.reduce(0) { $0 + $1.keptBytes(images: batches.largestBatch) },
      threads: Threads.count, maximumMemory: options.maximumMemory)
  }

  // MARK: The job

  /// Which share of the minibatches is looked at, if not all.
  public var shard: Shard? { options.shard }

  /// The minibatches of the run or its shard.
  public var units: UnitPlan {
    UnitPlan([WorkUnit()], on: batches.batches.indices.filter { shard?.contains($0) ?? true })
  }

  /// Images.
  public func cost(of unit: WorkUnit) -> Int { batches.batches[unit.batch].count }

  /// As many as fit the memory, if there are enough of them.
  public func width(of count: Int) throws -> Int { try estimate().workers }

  /// What the records depend on.
  public func kind(_ inputs: [Manifest.Input]) throws -> FeatureRecords {
    let dataFiles = Set(data.inputFiles.map(\.path))
    return try FeatureRecords(
      FeatureSettings(
        subjects: zip(subjects, classes).map { SubjectSettings($0, inputs, classes: $1) },
        data: DataSettings(
          count: data.count, files: inputs.filter { dataFiles.contains($0.path) }
        ) { (data.id($0), data.label($0)) },
        batchSize: options.batchSize, onBadImage: options.badImages.rawValue,
        analyses: analyses.map { FeatureSettings.Analysis($0) }))
  }

  /// Looks at a minibatch through all subjects.
  public func compute(_ unit: WorkUnit, _ hand: UnitInHand) throws -> FeatureRecord {
    let (batch, skipped) = try data.batch(
      unit.batch, of: batches, decoding: subjects.contains(where: \.needsImages),
      onBadImage: options.badImages
    ) { Threads.forEach($0, $1) }
    var minibatch = FeatureRecord.Minibatch(
      images: batch.count, isLeftOut: batch.count < analyses.minimumBatch.count, skipped: skipped,
      remarks: batch.remarks, nonfinite: [])
    guard !minibatch.isLeftOut else { return FeatureRecord(minibatch: minibatch, analyses: []) }
    let atWork = analyses.map { $0.begin(batch.identity) }
    for (index, subject) in subjects.enumerated() {
      let probe = DispatchProbe(subject: index, samples: batch.ids, analyses: atWork)
      try subject.forward(batch, probe: probe)
      if let found = probe.nonfinite { minibatch.nonfinite.append(found) }
    }
    return FeatureRecord(minibatch: minibatch, analyses: atWork.map { $0.finish() })
  }

  /// Carries the run out and reports on it.
  ///
  /// - Parameter progress: told after each minibatch, from any thread, of images done and in all.
  /// - Throws: the error of the first minibatch that failed.
  public func callAsFunction(progress: (Int, Int) -> Void = { _, _ in }) throws -> RunOutcome {
    try collect(progress: progress).outcome()
  }
}
