import Checkpoints
import Diagnostics
import Images
import Models
import Reports
import StrictJSON
import Tensors

/// Features of one subject, written to a file as they come.
///
/// Layers are stored as other software has them: tokens `[N, T, C]`, maps `[N, C, H, W]`, vectors
/// `[N, C]`, in 32-bit floats. Minibatches are run one after the other, each on all threads, so that
/// they are written in order and no more than one is in memory.
public struct FeatureCapture: Sendable {
  /// What came of it.
  public struct Outcome: Sendable {
    /// Images whose features were written.
    public let images: Int
    /// Images left out, in order.
    public let skipped: [SkippedImage]
    /// Remarks on images.
    public let notes: [String]
  }

  /// Whose features.
  public let subject: any Subject
  /// On what.
  public let data: SampleSet
  /// Which layers.
  public let taps: [PlannedTap]
  /// Which outputs of the subject's head the labels are; nil without a head.
  let classes: ClassMapping?
  private let batches: BatchPlan
  private let options: FeatureRun.Options

  /// Plans a capture.
  ///
  /// - Parameters:
  ///   - taps: which layers; those of the sequence, and class scores, unless something is asked for.
  /// - Throws: ``VitProbeError`` for globs that match nothing, or no image.
  public init(
    _ subject: any Subject, on data: SampleSet, taps: TapSelection = TapSelection(),
    options: FeatureRun.Options = FeatureRun.Options()
  ) throws(VitProbeError) {
    try subject.require(data)
    classes = try subject.classes(data.naming)
    guard data.count > 0 else {
      throw VitProbeError(.badData, "\(data.name) has no image; at least 1 is needed")
    }
    let chosen = try taps.taps(of: subject, standard: .sequence, for: "capture")
    let names = Set(chosen.map(\.tap.name))
    // Class scores are small, and accuracy can be told from them later.
    self.taps = subject.taps.filter {
      names.contains($0.tap.name) || (taps.layers.isEmpty && $0.tap.name == "logits")
    }
    self.subject = subject
    self.data = data
    self.options = options
    // As a run cuts them, so that values are the same to the last bit.
    batches = BatchPlan(count: data.count, batchSize: options.batchSize)
  }

  /// Makes sure that images have the size that a model takes.
  ///
  /// - Parameter all: whether each image is looked at; otherwise the first.
  /// - Throws: ``VitProbeError`` that names the first that does not fit, or cannot be read.
  public func checkSizes(all: Bool) throws {
    try (subject as? ModelSubject)?.require(
      sizesOf: data, all: all, onBadImage: options.badImages)
  }

  /// What is known before anything is computed: of the data, and of what labels mean.
  public var notes: [String] {
    data.notes + ClassMapping.notes([classes], of: [subject], on: data)
  }

  /// The number of minibatches.
  public var batchCount: Int { batches.batches.count }

  /// The size of the features in bytes, nothing skipped; nil if it does not fit 64 bits.
  public var byteCount: Int? {
    var sum = 0
    for tap in taps {
      var bytes = 4
      for extent in tap.shape + [data.count] {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
        if overflow { return nil }
        bytes = product
      }
      let (total, overflow) = sum.addingReportingOverflow(bytes)
      if overflow { return nil }
      sum = total
    }
    return sum
  }

  /// What the capture will cost.
  public func estimate() throws -> RunEstimate {
    let memory = try subject.memory(
      images: batches.largestBatch, wanting: Set(taps.map(\.tap.name)))
    // A map is put in the order of the file while the pass goes on.
    let copy = taps.map { $0.shape.reduce(1, *) }.max() ?? 0
    return RunEstimate(
      images: data.count, batches: 1, largestBatch: batches.largestBatch, passBytes: memory.pass,
      parameterBytes: memory.parameters, analysisBytes: copy * batches.largestBatch * 4,
      threads: Threads.count, maximumMemory: options.maximumMemory)
  }

  /// Carries the capture out.
  ///
  /// - Parameters:
  ///   - path: the file; it appears whole or not at all.
  ///   - progress: told after each minibatch of images done and in all.
  /// - Throws: the error of the first image that cannot be read, or of the file.
  public func callAsFunction(
    to path: String, format: FeatureFileFormat = .safetensors,
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> Outcome {
    let skipped = try unreadable()
    let gone = Set(skipped.map(\.position))
    let kept = (0..<data.count).filter { !gone.contains($0) }
    guard !kept.isEmpty else {
      throw VitProbeError(.badData, "no image of \(data.name) can be read")
    }
    let writer = try FeatureFileWriter(
      creating: path, format: format,
      shapes: taps.map { ($0.tap.name, [kept.count] + Self.storedShape($0)) },
      metadata: metadata(of: kept))
    let job = Writing(capture: self, absent: gone, writer: writer, shown: Shown())
    try UnitLoop(job: job, log: nil).run(progress: progress) { _, _ in }
    try writer.finish()
    return Outcome(
      images: kept.count, skipped: skipped, notes: job.shown.remarks.map(\.description))
  }

  /// The minibatches, written one after the other: each has all threads, and its place in the file.
  private struct Writing: Job, @unchecked Sendable {
    let capture: FeatureCapture
    /// Places of images that are left out.
    let absent: Set<Int>
    /// Used by one unit at a time.
    let writer: FeatureFileWriter
    let shown: Shown

    var units: UnitPlan { UnitPlan([WorkUnit()], on: Array(capture.batches.batches.indices)) }
    func cost(of unit: WorkUnit) -> Int { capture.batches.batches[unit.batch].count }
    func width(of count: Int) -> Int { 1 }

    func compute(_ unit: WorkUnit, _ hand: UnitInHand) throws {
      let (batch, missing) = try capture.batch(unit.batch)
      if let image = missing.first(where: { !absent.contains($0.position) }) {
        throw VitProbeError(
          .inputOutput, "\(image.id) could be read before, and now: \(image.reason)")
      }
      shown.remarks = ImageRemark.merged(shown.remarks + batch.remarks)
      guard batch.count > 0 else { return }
      let probe = CaptureProbe(writer, capture.taps)
      try capture.subject.forward(batch, probe: probe)
      if let failure = probe.failure { throw failure }
    }
  }

  /// What decoding the images has shown so far; used by one unit at a time.
  private final class Shown {
    var remarks: [ImageRemark] = []
  }

  private func batch(
    _ number: Int
  ) throws(ImageDataError) -> (batch: Minibatch, skipped: [SkippedImage]) {
    try data.batch(
      number, of: batches, decoding: subject.needsImages, onBadImage: options.badImages
    ) { Threads.forEach($0, $1) }
  }

  /// The images that will be left out. The number of samples stands at the start of the file: where
  /// some may be skipped, all are looked at once before.
  private func unreadable() throws -> [SkippedImage] {
    guard options.badImages == .skip, subject.needsImages else { return [] }
    var skipped: [SkippedImage] = []
    for number in batches.batches.indices { skipped += try batch(number).skipped }
    return skipped
  }

  private static func storedShape(_ planned: PlannedTap) -> [Int] {
    guard planned.tap.layout == .featureMap, planned.shape.count == 3 else { return planned.shape }
    return [planned.shape[2], planned.shape[0], planned.shape[1]]
  }

  private func metadata(of kept: [Int]) -> FeatureMetadata {
    var metadata = FeatureMetadata()
    metadata.label = subject.label
    metadata.family = subject.family
    metadata.data = data.name
    metadata.architecture = subject.architecture
    metadata.preprocessing = subject.description["preprocessing"]?.compact
    metadata.compute = subject.description["compute"]?.stringValue
    metadata.imageSize = subject.imageSize
    if data.hasIDs { metadata.ids = kept.map(data.id) }
    // As numbers of outputs: who reads them knows no names.
    let labels = kept.map { place in
      let label = data.label(place)
      return classes.map { $0(label) } ?? (data.naming.names.isEmpty ? label : nil)
    }
    if labels.contains(where: { $0 != nil }) { metadata.labels = labels }
    // Of layers chosen among those of the network, and of a file that was chosen from before.
    let plan = SubjectPlan(
      label: subject.label, family: subject.family, taps: taps, of: subject.taps)
    metadata.layers = zip(taps, plan.positions).map { planned, position in
      .init(
        tap: planned.tap, hasLayout: true, isChannelsFirst: planned.tap.layout == .featureMap,
        position: position)
    }
    return metadata
  }
}

/// Writes each value as it passes.
private final class CaptureProbe: Probe {
  private let writer: FeatureFileWriter
  private let indices: [String: Int]
  private(set) var failure: CheckpointError?

  init(_ writer: FeatureFileWriter, _ taps: [PlannedTap]) {
    self.writer = writer
    indices = Dictionary(
      taps.enumerated().map { ($1.tap.name, $0) }, uniquingKeysWith: { a, _ in a })
  }

  func wants(_ tap: Tap) -> Bool { indices[tap.name] != nil }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    guard let index = indices[tap.name], failure == nil else { return value }
    let stored = tap.layout == .featureMap ? value.permuted([0, 3, 1, 2]) : value
    do throws(CheckpointError) {
      try stored.withValues { values throws(CheckpointError) in
        try writer.append(values, to: index)
      }
    } catch {
      failure = error
    }
    return value
  }
}
