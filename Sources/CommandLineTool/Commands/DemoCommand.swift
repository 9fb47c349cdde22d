import ArgumentParser
import Diagnostics
import Reports
import StrictJSON
import Tensors
import VitProbe

/// `vitprobe demo`
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Every analysis on the bundled checkpoints and images; needs no arguments.",
    discussion: HelpText.examples([.init("demo --limit 128", "of 128 images: half a minute")]))

  @Option(help: ArgumentHelp("How many of the bundled images.", valueName: "N"))
  var limit = 512

  @Option(help: ArgumentHelp("Threads (default: all processors).", valueName: "N"))
  var threads: Int?

  @OptionGroup var settings: Analyses
  @OptionGroup(title: "Output") var output: OutputOptions

  func validate() throws {
    if limit < 64 { throw ValidationError("--limit \(limit): the demo needs at least 64 images") }
    if let threads, threads < 1 {
      throw ValidationError("--threads \(threads): at least 1 is needed")
    }
    if output.path(for: "demo") == "-" {
      throw ValidationError("the demo writes many files; give a folder")
    }
  }

  func run() throws {
    try output.apply()
    if let threads { Threads.configure(count: threads) }
    let demo = try DemoJob(
      arguments: Array(CommandLine.arguments.dropFirst()), analyses: settings.analyzers(seed: 0),
      images: limit)
    let bars = ProgressBars(isEnabled: !output.noProgress)
    let outcome = try demo(
      to: output.path(for: "demo"), replace: output.replace, force: output.force,
      formats: try output.formats, opened: { $0.sayWhatIsReplaced() },
      elapsed: { bars.elapsed }
    ) { unit, done, total in
      bars.update(unit, done, of: total)
    }
    bars.finish()
    for (name, report) in outcome.reports {
      for note in report.notes { Terminal.detail("note: \(name): \(note)") }
    }
    if output.json {
      Terminal.json([
        .init("output", .string(outcome.folder)),
        .init("files", .array(outcome.files.map(JSONValue.string))),
        .init(
          "analyses",
          .object(outcome.reports.map { JSONValue.Member($0.analysis, $0.report.summary.json) })),
      ])
      return
    }
    for (name, report) in outcome.reports {
      Terminal.data("\(name)\n\(report.summary.plainText(width: Terminal.width()))\n")
    }
    Terminal.data("\(outcome.files.count) files in \(outcome.folder)\n")
  }
}
