import Diagnostics
import Images
import Reports
import StrictJSON
import Synchronization
import Tensors

/// Several analyses of several subjects on the same images, in one forward pass a subject.
public final class FeatureRun: Sendable {
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

  /// What the caller is told while a run goes on.
  public struct Progress: Sendable {
    /// Images done.
    public let images: Int
    /// Images in all, of the shard if it is one.
    public let total: Int
  }

  /// What came of a run.
  public struct Outcome: Sendable {
    /// One report an analysis, in the order asked for.
    public let reports: [(analysis: String, report: Report)]
    /// Images left out, in order.
    public let skipped: [SkippedImage]
    /// Images analysed.
    public let images: Int
    /// Remarks: minibatches left out.
    public let notes: [String]
  }

  /// The subjects.
  public let subjects: [any Subject]
  /// The images, or the samples of feature files.
  public let data: SampleSet
  /// Which outputs of each subject's head the labels are; nil without a head.
  let classes: [ClassMapping?]
  private let batches: BatchPlan
  private let slots: [any AnalysisState]
  private let minimumBatch: Int
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
    let minimum = analyses.map { type(of: $0).minimumBatch }.max() ?? 1
    guard data.count >= minimum else {
      throw VitProbeError(
        .badData, "\(data.name) has \(data.count) image(s); at least \(minimum) are needed")
    }
    guard options.batchSize >= minimum else {
      throw VitProbeError(
        .usage,
        "--batch-size \(options.batchSize) is too small; the unbiased estimator needs at "
          + "least \(minimum) images in a minibatch")
    }
    for subject in subjects { try subject.require(data) }
    var classes: [ClassMapping?] = []
    for subject in subjects {
      classes.append(options.reportsMetrics ? try subject.classes(data.naming) : nil)
    }
    self.classes = classes
    self.subjects = subjects
    self.data = data
    self.options = options
    minimumBatch = minimum
    batches = BatchPlan(count: data.count, batchSize: options.batchSize, minimum: max(minimum, 4))
    var slots: [any AnalysisState] = []
    for analyzer in analyses {
      slots.append(
        try Self.slot(analyzer, subjects, taps, batches: batches, batchSize: options.batchSize))
    }
    self.slots = slots
  }

  private static func slot<A: Analyzer>(
    _ analyzer: A, _ subjects: [any Subject], _ selection: TapSelection, batches: BatchPlan,
    batchSize: Int
  ) throws(VitProbeError) -> any AnalysisState {
    var plans: [SubjectPlan] = []
    for subject in subjects {
      let taps = try selection.taps(
        of: subject, beside: subjects, standard: A.defaultOrdering, accepts: analyzer.accepts,
        always: analyzer.isOfEveryOrdering, analysis: A.name)
      plans.append(
        SubjectPlan(
          label: subject.label, family: subject.family, taps: taps, imageSize: subject.imageSize))
    }
    let plan = Plan(
      subjects: plans, batchSizes: batches.batches.map(\.count), batchSize: batchSize)
    return AnalysisRecords(analyzer, plan: plan)
  }

  /// What each analysis looks at, in the order asked for.
  public var plans: [(analysis: String, plan: Plan)] { slots.map { ($0.name, $0.plan) } }

  /// What is known before anything is computed: of the data, and of what labels mean to each subject.
  public var notes: [String] {
    data.notes + ClassMapping.notes(classes, of: subjects, on: data)
  }

  /// The settings of each analysis, for the manifest.
  public var settings: JSONValue {
    .object(slots.map { JSONValue.Member($0.name, $0.settings) })
  }

  /// What the run will cost, from abstract passes.
  public func estimate() throws -> RunEstimate {
    var passes: [Int] = []
    var parameters = 0
    for (index, subject) in subjects.enumerated() {
      let wanted = Set(slots.flatMap { $0.plan.subjects[index].taps.map(\.tap.name) })
      let memory = try subject.memory(images: batches.largestBatch, wanting: wanted)
      passes.append(memory.pass)
      parameters += memory.parameters
    }
    return RunEstimate(
      images: images(in: numbers), batches: numbers.count, largestBatch: batches.largestBatch,
      passBytes: passes.max() ?? 0, parameterBytes: parameters,
      analysisBytes: slots.reduce(0) {
        $0 + Self.analysisBytes($1.plan, images: batches.largestBatch)
          + $1.keptBytes(images: batches.largestBatch)
      }, threads: Threads.count, maximumMemory: options.maximumMemory)
  }

  /// Centred vectors of all layers and one Gram matrix of CKA; other analyses need less.
  private static func analysisBytes(_ plan: Plan, images n: Int) -> Int {
    let layers = plan.subjects.reduce(0) { $0 + $1.taps.count }
    return layers * n * (n + 1) / 2 * 8 + n * (8192 * 4 + 10 * n * 8)
  }

  /// The minibatches that are looked at.
  var numbers: [Int] {
    batches.batches.indices.filter { options.shard?.contains($0) ?? true }
  }

  private func images(in numbers: [Int]) -> Int {
    numbers.reduce(0) { $0 + batches.batches[$1].count }
  }

  /// What the records depend on.
  ///
  /// - Parameter inputs: the files of subjects and data with their digests.
  func recordHeader(_ provenance: Provenance) throws -> RecordHeader {
    let dataFiles = Set(data.inputFiles.map(\.path))
    let settings = FeatureSettings(
      subjects: zip(subjects, classes).map { SubjectSettings($0, provenance.inputs, classes: $1) },
      data: DataSettings(
        count: data.count, files: provenance.inputs.filter { dataFiles.contains($0.path) }
      ) { (data.id($0), data.label($0)) },
      batchSize: options.batchSize, onBadImage: options.badImages.rawValue,
      reportsMetrics: options.reportsMetrics,
      analyses: slots.map { FeatureSettings.Analysis($0) })
    return try RecordHeader(
      kind: FeatureSettings.kind, batches: batches.batches.count, parts: emptyRecords().parts,
      shard: options.shard, settings: settings, provenance: provenance)
  }

  private func emptyRecords() -> FeatureRecords {
    FeatureRecords(slots, labels: subjects.map(\.label), classes: classes)
  }

  /// Carries the run out and reports on it.
  ///
  /// - Parameter progress: told after each minibatch, from any thread.
  /// - Throws: the error of the first minibatch that failed.
  public func callAsFunction(
    progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) throws -> Outcome {
    try collect(progress: progress).outcome()
  }

  /// Looks at every minibatch that is not among the records yet.
  ///
  /// - Parameters:
  ///   - log: where records are kept as they come, and those of an earlier run are found.
  ///   - shouldStop: asked before each minibatch; those in hand are finished.
  ///   - progress: told after each minibatch, from any thread.
  /// - Throws: ``Interruption`` if it was stopped; the error of the first minibatch that failed.
  public func collect(
    keeping log: RecordLog? = nil, shouldStop: @escaping @Sendable () -> Bool = { false },
    progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) throws -> FeatureRecords {
    struct State {
      var failure: (batch: Int, error: any Error)?
      var images: Int
      var done: Int
    }
    let records = emptyRecords()
    for entry in log?.earlier ?? [] { try records.restore(entry, from: "the records") }
    let known = Set(log?.earlier.map(\.batch) ?? [])
    let all = numbers
    let todo = all.filter { !known.contains($0) }
    let total = images(in: all)
    let estimate = try estimate()
    let state = Mutex(
      State(images: images(in: all.filter(known.contains)), done: all.count - todo.count))
    let stop = Atomic<Bool>(false)
    Threads.perform(todo.count, width: estimate.workers) { place in
      if stop.load(ordering: .relaxed) || shouldStop() { return }
      let number = todo[place]
      do {
        try look(at: number, records)
        try log?.append(records.entry(number))
        let images = state.withLock { state in
          state.images += batches.batches[number].count
          state.done += 1
          return state.images
        }
        progress(Progress(images: images, total: total))
      } catch {
        stop.store(true, ordering: .relaxed)
        state.withLock { state in
          if state.failure.map({ number < $0.batch }) ?? true { state.failure = (number, error) }
        }
      }
    }
    let end = state.withLock { $0 }
    if let failure = end.failure { throw failure.error }
    if end.done < all.count {
      try log?.sync()
      throw Interruption(
        done: end.done, total: all.count, unit: "minibatches", isKept: log?.isKept ?? false)
    }
    return records
  }

  private func look(at number: Int, _ records: FeatureRecords) throws {
    let (batch, skipped) = try data.batch(
      number, of: batches, decoding: subjects.contains(where: \.needsImages),
      onBadImage: options.badImages
    ) { Threads.forEach($0, $1) }
    var metrics: [ClassificationMetrics.Part] = []
    var nonfinite: [NonfiniteValue] = []
    if batch.count >= minimumBatch {
      let at = slots.map { $0.begin(batch: number) }
      for (index, subject) in subjects.enumerated() {
        let probe = DispatchProbe(subject: index, samples: batch.ids, slots: at)
        let logits = try subject.forward(batch, probe: probe)
        if let logits { probe.check(logits, of: "logits") }
        if let found = probe.nonfinite { nonfinite.append(found) }
        if options.reportsMetrics, let logits,
          let part = ClassificationMetrics.Part(
            logits, labels: batch.labels.map { label in classes[index].map { $0(label) } ?? label },
            subject: index)
        {
          metrics.append(part)
        }
      }
      for slot in at { slot.finish() }
    }
    records.add(
      number, images: batch.count, skipped: skipped, remarks: batch.remarks, metrics: metrics,
      nonfinite: nonfinite)
  }
}
