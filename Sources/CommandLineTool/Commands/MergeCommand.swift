import ArgumentParser
import Diagnostics
import Reports
import StrictJSON
import VitProbe

/// `vitprobe merge`
struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "The partial results of shards as one; needs neither the models nor the data.",
    discussion: HelpText.examples(
      [.init("merge parts/* -o out", "the run whose shards the folders hold")],
      after: """
        PART is a .vpart file that --shard left, or a folder that holds some. The files that come out \
        are those of one run over all minibatches, to the last byte.
        """))

  @Argument(
    help: ArgumentHelp("Files or folders that shards left.", valueName: "part"), completion: .file()
  )
  var parts: [String]

  @Flag(help: "Report on what is there although minibatches are missing.")
  var allowPartial = false

  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    try output.apply()
    let start = ContinuousClock.now
    var job = MergeJob(
      arguments: Array(CommandLine.arguments.dropFirst()), parts: parts,
      analyses: try Analyses.types)
    job.allowsPartial = allowPartial
    let merged = try job()
    let outcome = merged.run
    for note in outcome.allNotes { Terminal.note("note: \(note)") }
    let path = output.path(for: "merge")
    if path == "-" {
      // Metrics go with any analysis, and are named when they are left out.
      try OutputOptions.requireOne(outcome.reports.map(\.analysis).filter { $0 != "metrics" })
      outcome.stream()
    } else {
      let folder = try OutputFolder(
        path, identity: merged.identity, replace: output.replace, force: output.force)
      folder.sayWhatIsReplaced()
      let files = try merged.write(
        to: folder, formats: try output.formats,
        wallSeconds: (ContinuousClock.now - start) / .seconds(1))
      if output.json {
        Terminal.json(outcome.json(folder: folder.path, files: files))
      } else {
        Terminal.data(
          outcome.summaries + "\(outcome.images) of \(outcome.total) images, "
            + "\(files.count) files in \(folder.path)\n")
      }
    }
    if !outcome.skipped.isEmpty { throw ExitCode(1) }
  }
}
