import ArgumentParser
import Diagnostics
import VitProbe

extension LesionStudy.Replacement: ExpressibleByArgument {}

/// `vitprobe lesion`
struct LesionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lesion",
    abstract: "What each residual branch, or each head, is worth: accuracy without it.",
    discussion: HelpText.examples([
      .init("lesion demo:vit demo:resnet --limit 256", "every residual branch in turn"),
      .init("lesion demo:vit --heads --layers '*attn_branch*'", "attentions, and their heads"),
    ]))

  @Argument(help: "Models with a head, [LABEL=][ARCH@]SOURCE.", completion: Completion.subjects)
  var subject: [String]

  @Option(help: "What stands in for a branch: zero, or its mean over the images of a minibatch.")
  var by = LesionStudy.Replacement.zero

  @Flag(help: "Remove each attention head, too.")
  var heads = false

  @Option(
    help: ArgumentHelp(
      "Only branches whose names match, as in 'blocks.*.attn_branch' ('…#2': a head); !GLOB leaves out.",
      valueName: "GLOB"))
  var layers: [String] = []

  @Flag(
    name: .customLong("build-up"),
    help: "Rank convolutions by what a self-attention would do in their place (AlterNet's rule).")
  var buildUp = false

  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let (replacement, heads, layers, buildUp) = (by, heads, layers, buildUp)
    let job = EvaluationJob(try options.job(subject, analyses: [])) { models in
      try LesionEvaluation(models, by: replacement, heads: heads, layers: layers, buildUp: buildUp)
    }
    try EvaluationCommandRunner(job: job, options: options, long: long, output: output)()
  }
}
