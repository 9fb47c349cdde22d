import Diagnostics
import Reports
import StrictJSON
import Tensors

/// Accuracy, likelihood and calibration, from class scores and labels.
struct MetricsAnalyzer: Analyzer {
  typealias Record = [ClassificationMetrics.Part]

  /// What labels mean to each subject; nil without a head.
  struct Configuration: Codable, Sendable {
    var classes: [ClassMapping?] = []

    func mapping(_ subject: Int) -> ClassMapping? {
      classes.indices.contains(subject) ? classes[subject] : nil
    }
  }

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
    Observer(batch, configuration)
  }

  func isValid(_ record: Record, plan: Plan) -> Bool {
    record.allSatisfy { $0.isValid(subjects: plan.subjects.count) }
  }

  func report(_ records: [Record], plan: Plan) -> Report {
    ClassificationMetrics.report(
      records.flatMap(\.self), labels: plan.subjects.map(\.label), on: plan.data,
      classes: plan.subjects.indices.map(configuration.mapping))
      ?? Report(tables: [], figures: [], summary: Table("metrics", columns: []))
  }

  private final class Observer: BatchObserver {
    private let batch: BatchIdentity
    private let configuration: Configuration
    private var parts: [Int: ClassificationMetrics.Part] = [:]

    init(_ batch: BatchIdentity, _ configuration: Configuration) {
      (self.batch, self.configuration) = (batch, configuration)
    }

    func observe(subject: Int, tap: Int, value: Tensor) {
      // The output is the last: scores before it are those of auxiliary heads.
      let mapping = configuration.mapping(subject) ?? .numbers
      parts[subject] = ClassificationMetrics.Part(
        value, labels: batch.labels.map { mapping($0) }, subject: subject)
    }

    func finish() -> Record { parts.sorted { $0.key < $1.key }.map(\.value) }
  }
}
