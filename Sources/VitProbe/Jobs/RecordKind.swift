import Diagnostics
import Images
import Reports

/// The records of a job as far as they can be told from its settings alone: merging reads, checks and
/// reports with it, without models and without data.
public protocol RecordKind: Sendable {
  /// Everything that records and reports depend on; a file of records holds it.
  associatedtype Settings: Codable & Sendable
  /// What a unit becomes.
  associatedtype Record: Sendable

  /// The word for it in files: `features`, `hessian`.
  static var name: String { get }
  /// Whether shards may have shares of what is done on a minibatch, and not of minibatches alone.
  static var sharesVariants: Bool { get }
  /// Whether records may be so many that saved ones are left in their file until the report, and read one by one.
  static var leavesRecords: Bool { get }

  /// - Throws: ``VitProbeError`` `.badData` for settings that no run could have had.
  init(_ settings: Settings) throws(VitProbeError)
  /// What the records depend on.
  var settings: Settings { get }
  /// How the models' products were computed, for tables; nil if exactly.
  var compute: String? { get }
  /// Every unit of the whole run, in the order in which records are reported: of minibatches from 0 on.
  var units: UnitPlan { get }

  /// The names of the documents that make the record of a unit.
  func documents(of unit: WorkUnit) -> [String]
  /// The documents of a record, in that order.
  func encode(_ record: Record, of unit: WorkUnit) throws -> [RecordEntry.Document]
  /// The record of documents that were read from a file.
  ///
  /// - Throws: `InvalidDocument`.
  func decode(_ documents: [RecordEntry.Document], of unit: WorkUnit) throws -> Record
  /// Whether a record that was read from a file is one that a run could have made.
  func isValid(_ record: Record, of unit: WorkUnit) -> Bool

  /// The images behind some records.
  ///
  /// - Throws: what reading a record throws.
  func tally(_ records: RunRecords<Self>) throws -> RunTally
  /// Tables and figures from records.
  ///
  /// - Throws: ``VitProbeError`` `.badData` if they are too few.
  func report(_ records: RunRecords<Self>) throws -> RunReport
}

extension RecordKind {
  /// Exactly.
  public var compute: String? { nil }
  /// Of minibatches alone.
  public static var sharesVariants: Bool { false }
  /// They are few.
  public static var leavesRecords: Bool { false }
}

extension RecordKind where Record: Codable {
  /// One, with the unit's own name.
  public func documents(of unit: WorkUnit) -> [String] { [unit.part] }

  /// The record as JSON.
  public func encode(_ record: Record, of unit: WorkUnit) throws -> [RecordEntry.Document] {
    [.init(name: documents(of: unit)[0], json: try RecordCoding.encode(record))]
  }

  /// The record, if it is valid.
  public func decode(_ documents: [RecordEntry.Document], of unit: WorkUnit) throws -> Record {
    try documents[0].decoded { json in
      let record = try RecordCoding.decode(Record.self, from: json)
      guard isValid(record, of: unit) else { throw InvalidRecord() }
      return record
    }
  }
}

/// How much some records stand on.
public struct RunTally: Sendable {
  /// Images that every part of the run has been looked at on.
  public var images: Int
  /// Images of the whole run.
  public var total: Int
  /// Images left out, in order.
  public var skipped: [SkippedImage] = []

  /// So many images of so many.
  public init(images: Int, total: Int, skipped: [SkippedImage] = []) {
    self.images = images
    self.total = total
    self.skipped = skipped
  }
}

/// What a run has to say.
public struct RunReport: Sendable {
  /// One report an analysis, in the order asked for.
  public var reports: [(analysis: String, report: Report)]
  /// Remarks on the run as a whole.
  public var notes: [String]

  /// Reports and remarks.
  public init(_ reports: [(analysis: String, report: Report)], notes: [String] = []) {
    self.reports = reports
    self.notes = notes
  }
}

/// A document that can be read and does not fit the plan.
struct InvalidRecord: Error, CustomStringConvertible {
  var description: String { "it does not fit the layers and minibatches of the run" }
}

/// A document of a file that means nothing, and why.
struct InvalidDocument: Error {
  let name: String
  let reason: String
}

extension RecordEntry.Document {
  /// What the document says.
  ///
  /// - Throws: `InvalidDocument`.
  func decoded<Value>(_ body: ([UInt8]) throws -> Value) throws(InvalidDocument) -> Value {
    do {
      return try body(json)
    } catch {
      throw InvalidDocument(name: name, reason: RecordCoding.reason(error))
    }
  }
}
