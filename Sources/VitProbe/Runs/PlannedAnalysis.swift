import Diagnostics
import Reports
import StrictJSON
import Tensors

/// An analysis with its plan, whatever its type of record.
protocol PlannedAnalysis: Sendable {
  var name: String { get }
  var plan: Plan { get }
  /// The fewest images of a minibatch.
  var minimumBatch: MinimumBatch { get }
  var settings: JSONValue { get }
  var configuration: any Codable & Sendable { get }
  /// Bytes that it holds while it looks at a minibatch.
  func keptBytes(images: Int) -> Int
  /// Starts on a minibatch.
  func begin(_ batch: BatchIdentity) -> any BatchAnalysis
  /// A record as JSON.
  func encode(_ record: any Sendable) throws -> [UInt8]
  /// A record from JSON.
  ///
  /// - Throws: a text that says what is wrong with it.
  func decode(_ document: [UInt8]) throws -> any Sendable
  /// Tables and figures from the records of all minibatches, in batch order.
  func report(_ records: [any Sendable]) throws -> Report
}

/// One analysis at work on one minibatch.
protocol BatchAnalysis: AnyObject {
  /// The place of a tap among those that it looks at.
  func place(of tap: String, subject: Int) -> Int?
  func observe(subject: Int, tap: Int, value: Tensor)
  /// The record.
  func finish() -> any Sendable
}

struct TypedAnalysis<A: Analyzer>: PlannedAnalysis {
  let analyzer: A
  let plan: Plan
  private let places: [[String: Int]]

  init(_ analyzer: A, plan: Plan) {
    self.analyzer = analyzer
    self.plan = plan
    places = plan.subjects.map { subject in
      Dictionary(
        subject.taps.enumerated().map { ($1.tap.name, $0) }, uniquingKeysWith: { a, _ in a })
    }
  }

  var name: String { A.name }
  var minimumBatch: MinimumBatch { analyzer.minimumBatch }
  var settings: JSONValue { analyzer.settings }
  var configuration: any Codable & Sendable { analyzer.configuration }

  func keptBytes(images: Int) -> Int { analyzer.keptBytes(plan, images: images) }

  func begin(_ batch: BatchIdentity) -> any BatchAnalysis {
    Batch(analyzer.begin(batch, plan: plan), places)
  }

  func encode(_ record: any Sendable) throws -> [UInt8] {
    guard let record = record as? A.Record else { throw InvalidRecord() }
    return try RecordCoding.encode(record)
  }

  func decode(_ document: [UInt8]) throws -> any Sendable {
    let record = try RecordCoding.decode(A.Record.self, from: document)
    guard analyzer.isValid(record, plan: plan) else { throw InvalidRecord() }
    return record
  }

  func report(_ records: [any Sendable]) throws -> Report {
    try analyzer.report(records.compactMap { $0 as? A.Record }, plan: plan)
  }

  private final class Batch: BatchAnalysis {
    private let observer: any BatchObserver<A.Record>
    private let places: [[String: Int]]

    init(_ observer: any BatchObserver<A.Record>, _ places: [[String: Int]]) {
      self.observer = observer
      self.places = places
    }

    func place(of tap: String, subject: Int) -> Int? { places[subject][tap] }
    func observe(subject: Int, tap: Int, value: Tensor) {
      observer.observe(subject: subject, tap: tap, value: value)
    }
    func finish() -> any Sendable { observer.finish() }
  }
}

/// Hands each tap of one subject to the analyses that look at it.
final class DispatchProbe: Probe {
  private let subject: Int
  private let samples: [String]
  private let analyses: [any BatchAnalysis]
  /// The first value that is not finite.
  private(set) var nonfinite: NonfiniteValue?

  /// - Parameter samples: the names of the samples of the minibatch.
  init(subject: Int, samples: [String], analyses: [any BatchAnalysis]) {
    self.subject = subject
    self.samples = samples
    self.analyses = analyses
  }

  /// Class scores are wanted in any case: they tell whether the pass went well to its end.
  func wants(_ tap: Tap) -> Bool {
    tap.isClassScores
      || analyses.contains { $0.place(of: tap.name, subject: subject) != nil }
  }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    if nonfinite == nil {
      nonfinite = NonfiniteValue(in: value, subject: subject, layer: tap.name, samples: samples)
    }
    for analysis in analyses {
      if let place = analysis.place(of: tap.name, subject: subject) {
        analysis.observe(subject: subject, tap: place, value: value)
      }
    }
    return value
  }
}

extension Tap {
  /// Whether the value is `[N, classes]`.
  var isClassScores: Bool { kind == .logits && layout == .vector }
}
