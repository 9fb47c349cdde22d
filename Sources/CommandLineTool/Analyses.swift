import ArgumentParser
import Diagnostics
import Models
import VitProbe

/// The place where analyses of features are listed: a new one gets an option group and a place in
/// ``all`` for `run`, and a command of its own in ``commands``.
struct Analyses: ParsableArguments {
  @OptionGroup(title: CKAOptions.title) var cka: CKAOptions
  @OptionGroup(title: "Fourier") var fourier: FourierOptions<Prefixed>
  @OptionGroup(title: "Variance") var variance: VarianceOptions<Prefixed>
  @OptionGroup(title: "Attention") var attention: AttentionOptions<Prefixed>
  @OptionGroup(title: "Relations") var relations: RelationsOptions<Prefixed>

  private var all: [any AnalysisOptions] { [cka, fourier, variance, attention, relations] }

  static let commands: [any ParsableCommand.Type] = [
    AnalysisCommand<CKAOptions>.self, AnalysisCommand<FourierOptions<Unprefixed>>.self,
    AnalysisCommand<VarianceOptions<Unprefixed>>.self,
    AnalysisCommand<AttentionOptions<Unprefixed>>.self,
    AnalysisCommand<RelationsOptions<Unprefixed>>.self,
  ]

  /// The types of all analyses, for records that were made with them.
  static var types: [any Analyzer.Type] {
    get throws { try parse([]).analyzers(seed: 0).map { type(of: $0) } }
  }

  /// Every analysis.
  func analyzers(seed: UInt64) -> [any Analyzer] { all.map { $0.analyzer(seed: seed) } }

  /// The analyses by name, in the order of the names.
  ///
  /// - Throws: `ValidationError` for a name that is unknown, given twice, or missing.
  func analyzers(_ names: [Substring], seed: UInt64) throws -> [any Analyzer] {
    let known = analyzers(seed: seed)
    var chosen: [any Analyzer] = []
    for name in names {
      guard let analyzer = known.first(where: { type(of: $0).name == name }) else {
        let names = known.map { type(of: $0).name }
        let question = NearMatch.question(String(name), among: names)
        throw ValidationError(
          "--analyses: \"\(name)\" is not one of " + names.joined(separator: ", ")
            + (question.isEmpty ? "" : ". " + question))
      }
      guard !chosen.contains(where: { type(of: $0).name == name }) else {
        throw ValidationError("--analyses: \"\(name)\" is there twice")
      }
      chosen.append(analyzer)
    }
    guard !chosen.isEmpty else { throw ValidationError("--analyses names no analysis") }
    return chosen
  }
}

/// The settings of one analysis, as a user gives them.
protocol AnalysisOptions: ParsableArguments {
  associatedtype Analysis: Analyzer

  /// The heading of its options.
  static var title: String { get }
  /// What it is, in a line.
  static var abstract: String { get }
  /// Calls, each with what it does.
  static var examples: [HelpText.Example] { get }
  /// Whether accuracy and calibration go with it.
  static var reportsMetrics: Bool { get }

  func analyzer(seed: UInt64) -> Analysis
}

extension AnalysisOptions {
  static var reportsMetrics: Bool { true }
}

/// Where options stand. Some have the same name in several analyses.
protocol AnalysisPlace {
  static func name<A: Analyzer>(_ name: String, of analysis: A.Type) -> NameSpecification
}

/// The options of a command for one analysis: `--variant`; by their name in `run` as well.
enum Unprefixed: AnalysisPlace {
  static func name<A: Analyzer>(_ name: String, of analysis: A.Type) -> NameSpecification {
    [.customLong(name), .customLong("\(A.name)-\(name)")]
  }
}

/// The options of a command for several: `--fourier-variant`.
enum Prefixed: AnalysisPlace {
  static func name<A: Analyzer>(_ name: String, of analysis: A.Type) -> NameSpecification {
    .customLong("\(A.name)-\(name)")
  }
}

/// The command of one analysis: `vitprobe cka`, `vitprobe fourier`.
struct AnalysisCommand<Options: AnalysisOptions>: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: Options.Analysis.name, abstract: Options.abstract,
      discussion: HelpText.examples(Options.examples))
  }

  @Argument(
    help: "Models or feature files, [LABEL=][ARCH@]SOURCE.", completion: Completion.subjects)
  var subject: [String]

  @OptionGroup(title: Options.title) var settings: Options
  @OptionGroup(title: "Layers") var layers: LayerOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    var job = try options.job(
      subject, analyses: [settings.analyzer(seed: options.seed)], layers: layers)
    job.options.reportsMetrics = Options.reportsMetrics
    try FeatureCommandRunner(
      command: Options.Analysis.name, job: job, run: options, long: long, output: output)()
  }
}
