import ArgumentParser
import Diagnostics

/// `vitprobe run`
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Several analyses in one forward pass.")

  @Argument(help: "Models or feature files, [LABEL=][ARCH@]SOURCE.")
  var subject: [String]

  @Option(
    help: ArgumentHelp(
      "Of cka, fourier, variance and attention, separated by commas.", valueName: "LIST"))
  var analyses = "cka,fourier,variance"

  @OptionGroup var settings: Analyses
  @OptionGroup(title: "Layers") var layers: LayerOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  private var analyzers: [any Analyzer] {
    get throws { try settings.analyzers(analyses.split(separator: ","), seed: options.seed) }
  }

  func validate() throws { _ = try analyzers }

  func run() throws {
    let job = try options.job(subject, analyses: try analyzers, layers: layers)
    try FeatureCommandRunner(
      command: "run", job: job, run: options, long: long, output: output)()
  }
}
