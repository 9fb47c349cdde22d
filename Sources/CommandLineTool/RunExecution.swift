import ArgumentParser
import Diagnostics
import Images
import Reports
import StrictJSON
import VitProbe

/// What every command does with a run once it is planned: records, report or shard, files, words.
struct RunExecution<Work: RecordedJob> {
  let prepared: PreparedRun<Work>
  /// Where files go, and the records of the run in it; nil to stream the main table.
  let place: (folder: OutputFolder, log: RecordLog)?
  /// What progress counts.
  let unit: String
  let long: LongRunOptions
  let output: OutputOptions
  /// What starts several processes, if one did.
  var launcher: [String] = []

  /// What came of it; nil where it was a shard or a stream of one table, which are printed.
  struct Result {
    let outcome: RunOutcome
    let files: [String]
    let seconds: Double
  }

  /// - Parameters:
  ///   - collect: carries the run out.
  /// - Returns: what is to be printed, and how many images were left out.
  func callAsFunction(
    _ collect: (RecordLog?, ProgressBar) throws -> RunRecords<Work.Kind>
  ) throws -> (result: Result?, skipped: Int) {
    let log = place?.log
    let bar = ProgressBar(unit: unit, isEnabled: !output.noProgress)
    for note in log?.notes ?? [] { Terminal.note("note: \(note)") }
    Interrupts.catchSignals(throughLauncher: !launcher.isEmpty)
    let records = try Interrupts.guarding(log, launchedBy: launcher) {
      defer { bar.finish() }
      return try collect(log, bar)
    }
    for note in log?.lateNotes ?? [] { Terminal.note("note: \(note)") }
    let skipped = try records.tally().skipped
    for image in skipped { Terminal.note("skipped \(image.id): \(image.reason)") }
    if let (folder, log) = place, let shard = prepared.run.shard {
      let files = try prepared.writeShard(
        records, to: folder, wallSeconds: bar.elapsed, log: log)
      long.summarize(shard, files, folder.path, isJSON: output.json)
      return (nil, skipped.count)
    }
    let outcome = try records.outcome()
    for note in try outcome.allNotes + output.remarks(on: outcome.reports.map(\.report)) {
      Terminal.note("note: \(note)")
    }
    guard let (folder, log) = place else {
      outcome.stream()
      return (nil, skipped.count)
    }
    let files = try Interrupts.guarding(log, launchedBy: launcher) {
      try prepared.write(
        outcome, to: folder, formats: try output.formats, wallSeconds: bar.elapsed, log: log)
    }
    return (Result(outcome: outcome, files: files, seconds: bar.elapsed), skipped.count)
  }
}

extension RunOutcome {
  /// Prints the main table of the first analysis, and says which others there are.
  func stream() {
    let tables = reports.flatMap(\.report.tables)
    guard let main = tables.first else { return }
    if tables.count > 1 {
      Terminal.note(
        "note: -o - streams \(main.name).csv; a folder would have "
          + tables.dropFirst().map { $0.name + ".csv" }.joined(separator: ", ") + " too")
    }
    Terminal.data(main.csv)
  }

  /// The short table of each analysis.
  var summaries: String {
    reports.map { "\($0.analysis)\n\($0.report.summary.plainText(width: Terminal.width()))\n" }
      .joined()
  }

  /// What came of the run for a program.
  ///
  /// - Parameter head: members that say what was run.
  func json(
    _ head: [JSONValue.Member] = [], folder: String, files: [String]
  ) -> [JSONValue.Member] {
    head + [
      .init("images", .integer(images)), .init("total", .integer(total)),
      .init("skipped", .integer(skipped.count)), .init("output", .string(folder)),
      .init("files", .array(files.map(JSONValue.string))),
      .init(
        "analyses",
        .object(reports.map { JSONValue.Member($0.analysis, $0.report.summary.json) })),
      .init("notes", .array(allNotes.map(JSONValue.string))),
    ]
  }
}
