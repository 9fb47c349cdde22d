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
    discussion: """
      PART is a .vpart file that --shard left, or a folder that holds some. The files that come out \
      are those of one run over all minibatches, to the last byte.
      """)

  @Argument(help: ArgumentHelp("Files or folders that shards left.", valueName: "part"))
  var parts: [String]

  @Flag(help: "Report on what is there although minibatches are missing.")
  var allowPartial = false

  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    output.apply()
    let start = ProgressBar.now()
    var job = MergeJob(
      arguments: Array(CommandLine.arguments.dropFirst()), parts: parts,
      analyses: try Analyses.types)
    job.allowsPartial = allowPartial
    let outcome = try job()
    for note in outcome.notes { Terminal.note("note: \(note)") }
    for (name, report) in outcome.reports {
      for note in report.notes { Terminal.note("note: \(name): \(note)") }
    }
    if output.output == "-" {
      Terminal.data(outcome.reports.first?.report.tables.first?.csv ?? "")
    } else {
      let folder = try OutputFolder(output.output, force: output.force)
      let files = try outcome.write(
        to: folder, formats: try output.formats, wallSeconds: ProgressBar.now() - start)
      if output.json {
        Terminal.data(summary(outcome, folder.path, files).pretty)
      } else {
        for (name, report) in outcome.reports {
          Terminal.data("\(name)\n\(report.summary.plainText(width: Terminal.width()))\n")
        }
        Terminal.data(
          "\(outcome.images) of \(outcome.total) images, \(files.count) files in \(folder.path)\n")
      }
    }
    if outcome.skipped > 0 { throw ExitCode(1) }
  }

  private func summary(_ outcome: MergeJob.Outcome, _ folder: String, _ files: [String])
    -> JSONValue
  {
    [
      "images": .integer(outcome.images), "total": .integer(outcome.total),
      "skipped": .integer(outcome.skipped), "output": .string(folder),
      "files": .array(files.map(JSONValue.string)),
      "analyses": .object(
        outcome.reports.map { JSONValue.Member($0.analysis, $0.report.summary.json) }),
      "notes": .array(
        (outcome.notes + outcome.reports.flatMap(\.report.notes)).map(JSONValue.string)),
    ]
  }
}
