import Diagnostics
import Images
import Reports

/// The records of a job so far, by unit.
public struct RunRecords<Kind: RecordKind>: Sendable {
  let kind: Kind
  private let units: [WorkUnit]
  /// The unit of the first minibatch that a document belongs to; all minibatches have the same.
  private let owners: [String: WorkUnit]
  private var records: [WorkUnit: Kind.Record] = [:]

  init(_ kind: Kind) {
    self.kind = kind
    units = kind.units
    batches = (units.map(\.batch).max() ?? -1) + 1
    owners = Dictionary(
      units.filter { $0.batch == 0 }.flatMap { unit in
        kind.documents(of: unit).map { ($0, unit) }
      }, uniquingKeysWith: { first, _ in first })
  }

  /// The units whose records are there.
  var done: Set<WorkUnit> { Set(records.keys) }

  /// Minibatches of the whole run.
  let batches: Int

  /// The documents that make a minibatch complete.
  var parts: [String] {
    var parts: [String] = []
    var known: Set<String> = []
    for unit in units where unit.batch == 0 {
      parts += kind.documents(of: unit).filter { known.insert($0).inserted }
    }
    return parts
  }

  mutating func add(_ record: Kind.Record, of unit: WorkUnit) { records[unit] = record }

  /// The record of a unit for a file.
  func entry(_ unit: WorkUnit) throws -> RecordEntry {
    guard let record = records[unit] else { throw InvalidRecord() }
    return RecordEntry(batch: unit.batch, documents: try kind.encode(record, of: unit))
  }

  /// Takes in a record from a file.
  ///
  /// - Throws: ``VitProbeError`` `.badData`.
  mutating func restore(_ entry: RecordEntry, from path: String) throws(VitProbeError) {
    func failure(_ name: String, _ reason: String) -> VitProbeError {
      VitProbeError(.badData, "\(path): minibatch \(entry.batch): \(name): \(reason)")
    }
    guard var unit = owners[entry.firstName], (0..<batches).contains(entry.batch),
      entry.documents.map(\.name) == kind.documents(of: unit)
    else { throw failure(entry.firstName, InvalidRecord().description) }
    unit.batch = entry.batch
    do {
      add(try kind.decode(entry.documents, of: unit), of: unit)
    } catch let error as InvalidDocument {
      throw failure(error.name, error.reason)
    } catch {
      throw failure(entry.firstName, RecordCoding.reason(error))
    }
  }

  private var ordered: [(unit: WorkUnit, record: Kind.Record)] {
    units.compactMap { unit in records[unit].map { (unit, $0) } }
  }

  /// The images behind what is there.
  public var tally: RunTally { kind.tally(ordered) }

  /// Tables and figures of all that is there.
  ///
  /// - Throws: ``VitProbeError`` `.badData` if that is too little.
  public func outcome() throws -> RunOutcome {
    RunOutcome(try kind.report(ordered), tally)
  }
}

/// What came of a run.
public struct RunOutcome: Sendable {
  /// One report an analysis, in the order asked for.
  public let reports: [(analysis: String, report: Report)]
  /// Remarks on the run as a whole: minibatches left out, values that are not finite.
  public internal(set) var notes: [String]
  /// Images that the reports stand on.
  public let images: Int
  /// Images of the whole run.
  public let total: Int
  /// Images left out, in order.
  public let skipped: [SkippedImage]

  init(_ report: RunReport, _ tally: RunTally) {
    reports = report.reports
    notes = report.notes
    images = tally.images
    total = tally.total
    skipped = tally.skipped
  }

  /// All remarks, those on an analysis with its name in front where there are several.
  public var allNotes: [String] {
    notes
      + reports.flatMap { name, report in
        report.notes.map { reports.count > 1 ? "\(name): \($0)" : $0 }
      }
  }
}
