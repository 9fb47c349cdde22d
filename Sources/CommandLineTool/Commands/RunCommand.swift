import ArgumentParser

/// `vitprobe run`
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Several analyses in one forward pass.")

  @Argument(help: "Models or feature files, [LABEL=][ARCH@]SOURCE.")
  var subject: [String]

  @Option(help: ArgumentHelp("Which, separated by commas.", valueName: "LIST"))
  var analyses = "cka,fourier,variance"

  @OptionGroup var settings: Analyses
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let analyzers = try settings.analyzers(analyses.split(separator: ","), seed: options.seed)
    let job = try options.job(subject, analyses: analyzers)
    try FeatureCommandRunner(job: job, run: options, long: long, output: output)()
  }
}
