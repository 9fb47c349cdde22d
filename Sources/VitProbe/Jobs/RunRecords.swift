import Diagnostics
import Images
import Reports

/// The records of a job so far, by unit: held, or where there may be many and they are saved, left in their file
/// until they are asked for.
public struct RunRecords<Kind: RecordKind>: Sendable {
  let kind: Kind
  /// Every unit of the whole run, in the order in which records are reported.
  public let units: UnitPlan
  /// The place among the units' rows of what a document belongs to.
  private let owners: [String: Int]
  /// The place among the units' rows of what is done.
  private let rows: [WorkUnit: Int]
  /// Where the record of each unit is in the log; empty where records are held.
  private var places: [RecordPlace]
  private var held: [Int: Kind.Record] = [:]
  private let log: RecordLog?

  init(_ kind: Kind, savedIn log: RecordLog? = nil) {
    (self.kind, self.log) = (kind, log)
    let units = kind.units
    self.units = units
    owners = Dictionary(
      units.rows.enumerated().flatMap { place, row in
        kind.documents(of: row).map { ($0, place) }
      }, uniquingKeysWith: { first, _ in first })
    rows = Dictionary(
      units.rows.enumerated().map { ($1.onAnyMinibatch, $0) },
      uniquingKeysWith: { first, _ in first })
    places = Array(repeating: .none, count: log != nil && Kind.leavesRecords ? units.count : 0)
  }

  /// Bytes of what a run keeps of the record of a unit until the report, beside its plan.
  static var bytesOfAUnit: Int { MemoryLayout<RecordPlace>.stride + MemoryLayout<Int>.stride }

  /// Minibatches of the whole run.
  var batches: Int { units.batches.count }

  /// The documents that make a minibatch complete.
  var parts: [String] {
    var known: Set<String> = []
    return units.rows.flatMap { row in
      kind.documents(of: row).filter { known.insert($0).inserted }
    }
  }

  /// Records in memory.
  var heldCount: Int { held.count }

  // MARK: Taking in

  private func place(of unit: WorkUnit) -> Int? {
    guard let row = rows[unit.onAnyMinibatch], (0..<batches).contains(unit.batch) else {
      return nil
    }
    return row * batches + unit.batch
  }

  private func isKnown(_ place: Int) -> Bool {
    places.isEmpty ? held[place] != nil : !places[place].isEmpty
  }

  /// Whether the record of a unit is there.
  public func contains(_ unit: WorkUnit) -> Bool { place(of: unit).map(isKnown) ?? false }

  private mutating func keep(_ record: Kind.Record, of unit: WorkUnit, savedAt saved: RecordPlace?)
  {
    guard let place = place(of: unit) else { preconditionFailure("A unit of another run") }
    if let saved, !places.isEmpty { places[place] = saved } else { held[place] = record }
  }

  /// Takes in a record, which is saved where there is a log.
  mutating func add(_ record: Kind.Record, of unit: WorkUnit) throws {
    keep(record, of: unit, savedAt: try log?.append(entry(record, of: unit)))
  }

  /// Takes in a record from a file.
  ///
  /// - Parameter saved: where it is in the log of this run; nil for another file.
  /// - Throws: ``VitProbeError`` `.badData`.
  mutating func restore(
    _ entry: RecordEntry, from path: String, savedAt saved: RecordPlace? = nil
  ) throws(VitProbeError) {
    let (unit, record) = try decoded(entry, from: path)
    keep(record, of: unit, savedAt: saved)
  }

  /// Takes in the records that an earlier run left in the log.
  ///
  /// - Throws: ``VitProbeError`` `.badData`; `FileError`.
  mutating func restoreEarlier() throws {
    guard let log else { return }
    for place in log.earlier {
      try restore(log.entry(at: place), from: "the records", savedAt: place)
    }
  }

  private func entry(_ record: Kind.Record, of unit: WorkUnit) throws -> RecordEntry {
    RecordEntry(batch: unit.batch, documents: try kind.encode(record, of: unit))
  }

  private func decoded(
    _ entry: RecordEntry, from path: String
  ) throws(VitProbeError) -> (WorkUnit, Kind.Record) {
    func failure(_ name: String, _ reason: String) -> VitProbeError {
      VitProbeError(.badData, "\(path): minibatch \(entry.batch): \(name): \(reason)")
    }
    guard let row = owners[entry.firstName], (0..<batches).contains(entry.batch),
      entry.documents.map(\.name) == kind.documents(of: units.rows[row])
    else { throw failure(entry.firstName, InvalidRecord().description) }
    var unit = units.rows[row]
    unit.batch = entry.batch
    do {
      return (unit, try kind.decode(entry.documents, of: unit))
    } catch let error as InvalidDocument {
      throw failure(error.name, error.reason)
    } catch {
      throw failure(entry.firstName, RecordCoding.reason(error))
    }
  }

  // MARK: Looking at

  /// The units whose records are there, in order.
  public var known: some Sequence<WorkUnit> { units.indices.lazy.filter(isKnown).map { units[$0] } }

  /// The record of a unit; nil if it is not there.
  ///
  /// - Throws: ``VitProbeError`` and `FileError`, if it was saved and cannot be read any more.
  public func record(of unit: WorkUnit) throws -> Kind.Record? {
    guard let place = place(of: unit), isKnown(place) else { return nil }
    if let record = held[place] { return record }
    guard let log else { return nil }
    return try decoded(log.entry(at: places[place]), from: log.path).1
  }

  /// Shows each record that is there, in the order of units, one after the other.
  ///
  /// - Throws: as ``record(of:)``.
  public func forEach(_ body: (WorkUnit, Kind.Record) throws -> Void) throws {
    for unit in known {
      if let record = try record(of: unit) { try body(unit, record) }
    }
  }

  /// All records that are there, in the order of units: for those whose report needs them side by side.
  ///
  /// - Throws: as ``record(of:)``.
  public func all() throws -> [(unit: WorkUnit, record: Kind.Record)] {
    var all: [(unit: WorkUnit, record: Kind.Record)] = []
    try forEach { all.append(($0, $1)) }
    return all
  }

  /// The record of a unit for a file.
  func entry(_ unit: WorkUnit) throws -> RecordEntry {
    guard let record = try record(of: unit) else { throw InvalidRecord() }
    return try entry(record, of: unit)
  }

  /// The images behind what is there.
  ///
  /// - Throws: as ``record(of:)``.
  public func tally() throws -> RunTally { try kind.tally(self) }

  /// Tables and figures of all that is there.
  ///
  /// - Throws: ``VitProbeError`` `.badData` if that is too little.
  public func outcome() throws -> RunOutcome {
    var report = try kind.report(self)
    if let compute = kind.compute { report.mark(compute) }
    return RunOutcome(report, try tally())
  }
}

extension RunReport {
  /// Tables and remarks say how products were computed.
  fileprivate mutating func mark(_ compute: String) {
    let column = Column.text("compute", note: "how products of the models were computed")
    for place in reports.indices {
      reports[place].report.tables = reports[place].report.tables.map {
        $0.adding(column, .text(compute))
      }
    }
    notes.append(
      "products of the models were computed in \(compute): operands of 8 significant bits, sums of Float32"
    )
  }
}

extension WorkUnit {
  /// What is done, whatever the minibatch.
  fileprivate var onAnyMinibatch: WorkUnit {
    WorkUnit(point: point, intervention: intervention, batch: 0)
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
