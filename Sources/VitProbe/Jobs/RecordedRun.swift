import Reports

/// A job carried out with its records: those of an earlier run are taken, the others made and kept as
/// they come.
struct RecordedRun<Work: RecordedJob> {
  let job: Work
  /// Where records are kept, and those of an earlier run are found.
  let log: RecordLog?

  /// - Parameters: as of ``UnitLoop/run(_:shouldStop:progress:keep:)``.
  func callAsFunction(
    shouldStop: () -> Bool = { false }, progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> RunRecords<Work.Kind> {
    var records = RunRecords(try job.kind(log?.provenance.inputs ?? []), savedIn: log)
    try records.restoreEarlier()
    let units = job.units
    let todo = units.indices.filter { !records.contains(units[$0]) }
    try UnitLoop(job: job, log: log).run(todo, shouldStop: shouldStop, progress: progress) {
      unit, record in
      try records.add(record, of: unit)
    }
    return records
  }
}

extension RecordedJob {
  /// Looks at every unit that is not among the records yet.
  ///
  /// - Parameters:
  ///   - log: where records are kept as they come, and those of an earlier run are found.
  ///   - shouldStop: asked before each unit, and each step of a long one; what is in hand is finished.
  ///   - progress: told what is done and what there is to do; from any thread, one call at a time.
  /// - Throws: ``Interruption`` if it was stopped; the error of the first unit that failed.
  public func collect(
    keeping log: RecordLog? = nil, shouldStop: () -> Bool = { false },
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> RunRecords<Kind> {
    try RecordedRun(job: self, log: log)(shouldStop: shouldStop, progress: progress)
  }

  /// What the file of records begins with.
  ///
  /// - Parameter provenance: what the run is given.
  func recordHeader(_ provenance: Provenance) throws -> RecordHeader {
    let records = RunRecords(try kind(provenance.inputs))
    return try RecordHeader(
      kind: Kind.name, batches: records.batches, parts: records.parts,
      sharesVariants: Kind.sharesVariants, shard: shard,
      settings: records.kind.settings, provenance: provenance)
  }
}
