import Diagnostics
import Reports
import StrictJSON
import Tensors

/// Accuracy, likelihood and calibration, from class scores and labels.
struct MetricsAnalyzer: Analyzer {
  typealias Record = [ClassificationMetrics.Part]

  /// Nothing can be set.
  struct Configuration: Codable, Sendable {}

  static let name = "metrics"
  /// Class scores are of no ordering.
  static let defaultOrdering = TapOrdering.blocks
  /// Backbones have no class scores.
  static let isOptional = true

  let configuration: Configuration
  var settings: JSONValue { [:] }

  init(_ configuration: Configuration = Configuration()) { self.configuration = configuration }

  func accepts(_ tap: Tap) -> Bool { tap.isClassScores }
  func isOfEveryOrdering(_ tap: Tap) -> Bool { true }

  func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record> {
    Observer(batch)
  }

  func isValid(_ record: Record, plan: Plan) -> Bool {
    record.allSatisfy { $0.isValid(subjects: plan.subjects.count) }
  }

  func report(_ records: [Record], plan: Plan) -> Report {
    ClassificationMetrics.report(records.flatMap(\.self), labels: plan.subjects.map(\.label))
      ?? Report(tables: [], figures: [], summary: Table("metrics", columns: []))
  }

  private final class Observer: BatchObserver {
    private let batch: BatchIdentity
    private var parts: [Int: ClassificationMetrics.Part] = [:]

    init(_ batch: BatchIdentity) { self.batch = batch }

    func observe(subject: Int, tap: Int, value: Tensor) {
      // The output is the last: scores before it are those of auxiliary heads.
      parts[subject] = ClassificationMetrics.Part(value, labels: batch.labels, subject: subject)
    }

    func finish() -> Record { parts.sorted { $0.key < $1.key }.map(\.value) }
  }
}
