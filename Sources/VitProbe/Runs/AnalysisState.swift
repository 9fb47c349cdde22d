import Diagnostics
import Reports
import StrictJSON
import Synchronization
import Tensors

/// One analysis of a run, whatever its record type: what it looks at, and the records so far.
protocol AnalysisState: AnyObject, Sendable {
  var name: String { get }
  var plan: Plan { get }
  /// The fewest images of a minibatch.
  var minimumBatch: Int { get }
  var settings: JSONValue { get }
  var configuration: any Codable & Sendable { get }
  /// Bytes of values kept from one tap to the next.
  func keptBytes(images: Int) -> Int
  /// Starts on a minibatch.
  func begin(batch: Int) -> any BatchState
  /// The record of a minibatch as JSON; nil if there is none.
  func document(batch: Int) throws -> [UInt8]?
  /// Takes in the record of a minibatch from JSON.
  ///
  /// - Throws: a text that says what is wrong with it.
  func restore(batch: Int, from document: [UInt8]) throws
  /// Tables and figures from all records.
  func report() throws -> Report
}

/// One analysis at work on one minibatch.
protocol BatchState: AnyObject {
  func index(subject: Int, tap: String) -> Int?
  func observe(subject: Int, tap: Int, value: Tensor)
  func finish()
}

final class AnalysisRecords<A: Analyzer>: AnalysisState {
  let analyzer: A
  let plan: Plan
  private let places: [[String: Int]]
  private let records = Mutex<[Int: A.Record]>([:])

  init(_ analyzer: A, plan: Plan) {
    self.analyzer = analyzer
    self.plan = plan
    places = plan.subjects.map { subject in
      Dictionary(
        subject.taps.enumerated().map { ($1.tap.name, $0) }, uniquingKeysWith: { a, _ in a })
    }
  }

  var name: String { A.name }
  var minimumBatch: Int { A.minimumBatch }
  var settings: JSONValue { analyzer.settings }
  var configuration: any Codable & Sendable { analyzer.configuration }

  func keptBytes(images: Int) -> Int { analyzer.keptBytes(plan, images: images) }

  func begin(batch: Int) -> any BatchState { Batch(self, batch) }

  func document(batch: Int) throws -> [UInt8]? {
    try records.withLock { $0[batch] }.map { try RecordCoding.encode($0) }
  }

  func restore(batch: Int, from document: [UInt8]) throws {
    let record = try RecordCoding.decode(A.Record.self, from: document)
    guard analyzer.isValid(record, plan: plan) else { throw InvalidRecord() }
    records.withLock { $0[batch] = record }
  }

  func report() throws -> Report {
    let ordered = records.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
    return try analyzer.report(ordered, plan: plan)
  }

  private final class Batch: BatchState {
    private let owner: AnalysisRecords<A>
    private let number: Int
    private let observer: any BatchObserver<A.Record>

    init(_ owner: AnalysisRecords<A>, _ number: Int) {
      self.owner = owner
      self.number = number
      observer = owner.analyzer.begin(owner.plan)
    }

    func index(subject: Int, tap: String) -> Int? { owner.places[subject][tap] }
    func observe(subject: Int, tap: Int, value: Tensor) {
      observer.observe(subject: subject, tap: tap, value: value)
    }
    func finish() {
      let record = observer.finish()
      owner.records.withLock { $0[number] = record }
    }
  }
}

/// A record that can be read and does not fit the plan.
struct InvalidRecord: Error, CustomStringConvertible {
  var description: String { "it does not fit the layers and minibatches of the run" }
}

/// Hands each tap of one subject to the analyses that look at it.
final class DispatchProbe: Probe {
  private let subject: Int
  private let samples: [String]
  private let slots: [any BatchState]
  /// The first value that is not finite.
  private(set) var nonfinite: NonfiniteValue?

  /// - Parameter samples: the names of the samples of the minibatch.
  init(subject: Int, samples: [String], slots: [any BatchState]) {
    self.subject = subject
    self.samples = samples
    self.slots = slots
  }

  /// Looks for values that are not finite, unless some were found before.
  func check(_ value: Tensor, of layer: String) {
    if nonfinite == nil {
      nonfinite = NonfiniteValue(in: value, subject: subject, layer: layer, samples: samples)
    }
  }

  func wants(_ tap: Tap) -> Bool {
    slots.contains { $0.index(subject: subject, tap: tap.name) != nil }
  }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    check(value, of: tap.name)
    for slot in slots {
      if let index = slot.index(subject: subject, tap: tap.name) {
        slot.observe(subject: subject, tap: index, value: value)
      }
    }
    return value
  }
}
