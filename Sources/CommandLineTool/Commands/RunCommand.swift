import ArgumentParser
import Diagnostics

/// `vitprobe run`
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Several analyses in one forward pass.",
    discussion: HelpText.examples([
      .init("run demo:vit demo:resnet --limit 256", "CKA, Fourier and variance of two models"),
      .init(
        "run deit.pth --data val --analyses fourier,attention --fourier-variant radial",
        "the analyses named; options that several have carry the analysis's name"),
      .init("run deit.pth --data val --dry-run", "plan, memory and layers, without the work"),
    ]))

  @Argument(
    help: "Models or feature files, [LABEL=][ARCH@]SOURCE.", completion: Completion.subjects)
  var subject: [String]

  @Option(
    help: ArgumentHelp(
      "Of cka, fourier, variance, attention and relations, separated by commas.", valueName: "LIST"),
    completion: Completion.lists(of: ["cka", "fourier", "variance", "attention", "relations"]))
  var analyses = "cka,fourier,variance"

  @OptionGroup var settings: Analyses
  @OptionGroup(title: "Layers") var layers: LayerOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  private var analyzers: [any Analyzer] {
    get throws { try settings.analyzers(analyses.split(separator: ","), seed: options.seed) }
  }

  func validate() throws {
    let names = try analyzers.map { type(of: $0).name }
    if output.path(for: "run") == "-" { try OutputOptions.requireOne(names) }
  }

  func run() throws {
    let job = try options.job(subject, analyses: try analyzers, layers: layers)
    try FeatureCommandRunner(
      command: "run", job: job, run: options, long: long, output: output)()
  }
}
