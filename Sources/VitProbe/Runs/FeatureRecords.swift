import Diagnostics
import Images
import Reports
import Synchronization
import Tensors

/// What analyses of features have found out so far, by minibatch: all that their reports need, and
/// all that a file of records holds.
public final class FeatureRecords: Sendable {
  /// What is known of a minibatch besides the records of the analyses.
  private struct Minibatch: Codable {
    /// Images that could be read.
    var images: Int
    /// Whether they were too few for the analyses.
    var isLeftOut: Bool
    var skipped: [SkippedImage]
    /// What decoding the images has shown.
    var remarks: [ImageRemark]
    var metrics: [ClassificationMetrics.Part]
    /// Where NaN or infinities appear, a value for each subject that has some.
    var nonfinite: [NonfiniteValue]
  }

  /// The document of a minibatch itself; the others have the names of their analyses.
  private static let minibatchName = "minibatch"
  private static let absent = Array("null".utf8)

  let slots: [any AnalysisState]
  private let labels: [String]
  private let classes: [ClassMapping?]
  private let minimumBatch: Int
  private let batches = Mutex<[Int: Minibatch]>([:])

  init(_ slots: [any AnalysisState], labels: [String], classes: [ClassMapping?]) {
    self.slots = slots
    self.labels = labels
    self.classes = classes
    minimumBatch = slots.map(\.minimumBatch).max() ?? 1
  }

  /// The records that a file with these settings holds; none yet.
  convenience init(_ settings: FeatureSettings) throws(VitProbeError) {
    let slots = settings.analyses.map(\.slot)
    guard let plan = slots.first?.plan, slots.allSatisfy({ $0.plan.batchSizes == plan.batchSizes })
    else { throw VitProbeError(.badData, "its analyses have no plan in common") }
    guard settings.subjects.count == plan.subjects.count else {
      throw VitProbeError(.badData, "its plan and its subjects differ")
    }
    self.init(
      slots, labels: plan.subjects.map(\.label), classes: settings.subjects.map(\.classes))
  }

  /// The documents that make a minibatch complete.
  var parts: [String] { [Self.minibatchName] + slots.map(\.name) }

  /// Takes in what is known of a minibatch once its analyses are finished.
  func add(
    _ number: Int, images: Int, skipped: [SkippedImage], remarks: [ImageRemark],
    metrics: [ClassificationMetrics.Part], nonfinite: [NonfiniteValue]
  ) {
    let batch = Minibatch(
      images: images, isLeftOut: images < minimumBatch, skipped: skipped, remarks: remarks,
      metrics: metrics, nonfinite: nonfinite)
    batches.withLock { $0[number] = batch }
  }

  /// A minibatch for a file.
  func entry(_ number: Int) throws -> RecordEntry {
    let batch = batches.withLock { $0[number] }
    var documents = [
      RecordEntry.Document(name: Self.minibatchName, json: try RecordCoding.encode(batch))
    ]
    for slot in slots {
      documents.append(
        .init(name: slot.name, json: try slot.document(batch: number) ?? Self.absent))
    }
    return RecordEntry(batch: number, documents: documents)
  }

  /// Takes in a minibatch from a file.
  ///
  /// - Throws: ``VitProbeError`` `.badData`.
  func restore(_ entry: RecordEntry, from path: String) throws(VitProbeError) {
    var name = ""
    do {
      guard entry.documents.map(\.name) == parts else { throw InvalidRecord() }
      for document in entry.documents {
        name = document.name
        if name == Self.minibatchName {
          let batch = try RecordCoding.decode(Minibatch.self, from: document.json)
          guard slots.allSatisfy({ $0.plan.canHold(batch.images) }),
            batch.metrics.allSatisfy({ $0.isValid(subjects: labels.count) })
          else { throw InvalidRecord() }
          batches.withLock { $0[entry.batch] = batch }
        } else if document.json != Self.absent {
          try slots.first { $0.name == name }?.restore(batch: entry.batch, from: document.json)
        }
      }
    } catch {
      throw VitProbeError(
        .badData,
        "\(path): minibatch \(entry.batch): \(name): \(RecordCoding.reason(error))")
    }
  }

  /// Images analysed.
  var images: Int {
    batches.withLock { $0.values.reduce(0) { $0 + ($1.isLeftOut ? 0 : $1.images) } }
  }

  /// Images left out, in order.
  public var skipped: [SkippedImage] {
    batches.withLock { $0.values.flatMap(\.skipped) }.sorted { $0.position < $1.position }
  }

  /// Tables and figures of all that is there.
  ///
  /// - Throws: ``VitProbeError`` `.badData` if no minibatch counts.
  public func outcome() throws -> FeatureRun.Outcome {
    let ordered = batches.withLock { $0.sorted { $0.key < $1.key } }
    let images = images
    guard images > 0 else {
      throw VitProbeError(.badData, "no minibatch has \(minimumBatch) images that can be read")
    }
    var reports: [(analysis: String, report: Report)] = []
    for slot in slots { reports.append((slot.name, try slot.report())) }
    let metrics = ordered.flatMap(\.value.metrics)
    if let report = ClassificationMetrics.report(metrics, labels: labels, classes: classes) {
      reports.append(("metrics", report))
    }
    return FeatureRun.Outcome(reports: reports, skipped: skipped, images: images, notes: notes)
  }

  /// Remarks: minibatches left out, images that are not as they seem, values that are not finite.
  var notes: [String] {
    let ordered = batches.withLock { $0.sorted { $0.key < $1.key } }
    var notes = ordered.filter(\.value.isLeftOut).map {
      "minibatch \($0.key) has fewer than \(minimumBatch) images that can be read and was left out"
    }
    notes += ImageRemark.merged(ordered.flatMap(\.value.remarks)).map(\.description)
    let nonfinite = ordered.flatMap { number, batch in batch.nonfinite.map { (number, $0) } }
    return notes + NonfiniteValue.notes(nonfinite, labels: labels)
  }
}
