import Diagnostics
import DurableFiles
import Reports

/// A job with what it was made of, ready to go; what comes of it is written.
public struct PreparedRun<Work: RecordedJob>: Sendable {
  /// The job.
  public let run: Work
  /// Whether, and how, the products of long solvers are kept.
  var products: ProductKeeping?
  /// Every setting, and every input with its digest: all inputs are read.
  let provenance: @Sendable () throws -> Provenance

  /// Opens the output folder of the run and the records in it; reads every input for its digest.
  ///
  /// - Parameters:
  ///   - command: whose results they will be; those of another, or of other settings, are not replaced.
  ///   - found: what becomes of records that are there.
  ///   - replace: whether results of another command or of other settings may be replaced.
  ///   - force: whether files that no run wrote may be replaced.
  /// - Throws: ``VitProbeError`` for damaged records, or those of another run; `FileError`.
  public func open(
    _ path: String, for command: String, found: RecordsFound = .goOn, replace: Bool = false,
    force: Bool = false
  ) throws -> (folder: OutputFolder, log: RecordLog) {
    let provenance = try provenance()
    let header = try run.recordHeader(provenance)
    let folder = try OutputFolder(
      path,
      identity: RunIdentity(
        command: command, settingsSHA256: header.outline.digest,
        shard: header.outline.shard?.description),
      replace: replace, force: force)
    let log = try RecordLog(
      in: folder.path, header: header, provenance: provenance, found: found, products: products)
    return (folder, log)
  }

  /// Writes what came of the run into a folder opened before it began: all files appear, or none.
  ///
  /// - Parameter log: the records of the run.
  /// - Returns: the names of the files.
  @discardableResult
  public func write(
    _ outcome: RunOutcome, to folder: OutputFolder, formats: ReportFormats,
    wallSeconds: Double, log: RecordLog
  ) throws -> [String] {
    try outcome.write(
      to: folder, formats: formats, manifest: manifest(log), wallSeconds: wallSeconds)
  }

  /// Writes the one file of a shard: its records.
  ///
  /// - Returns: the names of the files.
  public func writeShard(
    _ records: RunRecords<Work.Kind>, to folder: OutputFolder, wallSeconds: Double, log: RecordLog
  ) throws -> [String] {
    try folder.write(log.sealed(), to: log.shardFileName)
    let tally = try records.tally()
    var manifest = manifest(log)
    manifest.imageCount = tally.images
    manifest.skipped = tally.skipped.map(Manifest.Skip.init)
    manifest.wallSeconds = wallSeconds
    return try folder.finish(manifest)
  }

  private func manifest(_ log: RecordLog) -> Manifest {
    var manifest = log.provenance.manifest()
    if let products { manifest.ranks = products.ranks }
    return manifest
  }
}

extension RunOutcome {
  /// Writes every report and the manifest: all files appear, or none.
  ///
  /// - Parameters:
  ///   - manifest: what the run was given, with remarks that stand before those of the outcome.
  /// - Returns: the names of the files.
  func write(
    to folder: OutputFolder, formats: ReportFormats, manifest: Manifest, wallSeconds: Double
  ) throws -> [String] {
    for (_, report) in reports { try report.write(to: folder, as: formats) }
    var manifest = manifest
    manifest.imageCount = images
    manifest.skipped = skipped.map(Manifest.Skip.init)
    manifest.notes += allNotes
    manifest.networks = NetworkOutline.merged(reports.flatMap(\.report.networks))
    manifest.wallSeconds = wallSeconds
    return try folder.finish(manifest)
  }
}

extension OutputFolder {
  /// Puts everything in its place.
  ///
  /// - Returns: the names of the files.
  func finish(_ manifest: Manifest) throws(FileError) -> [String] {
    try commit(manifest).outputs.map(\.name) + ["run.json"]
  }
}
