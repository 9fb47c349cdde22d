import ArgumentParser
import Diagnostics
import VitProbe

/// `vitprobe trajectory`
struct TrajectoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trajectory",
    abstract: "Snapshots of a training on their principal plane, over the loss of the last one.",
    discussion: HelpText.examples([
      .init(
        "trajectory epoch1.pt epoch2.pt epoch3.pt --data DIR --labels FILE",
        "three snapshots, in their order")
    ]))

  @Argument(
    help: "Snapshots of one training in its order, [LABEL=][ARCH@]SOURCE.",
    completion: Completion.subjects)
  var checkpoint: [String]

  @Option(help: ArgumentHelp("Places along an axis of the plane.", valueName: "N"))
  var grid = 15

  @Option(help: ArgumentHelp("Minibatches, from the first (default: all).", valueName: "N"))
  var batches: Int?

  @Option(
    help: ArgumentHelp(
      "Only tensors whose names match count and move; !GLOB leaves out. By default every parameter.",
      valueName: "GLOB"))
  var params: [String] = []

  @Option(
    help: ArgumentHelp(
      "Running statistics: recompute (estimated anew at each place; default: those of the last snapshot).",
      valueName: "RULE"))
  var batchnorm: StatisticsRule?

  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func validate() throws {
    if !(3...1001).contains(grid) {
      throw ValidationError("--grid \(grid): 3 to 1001 places are needed")
    }
    if batchnorm == .interpolate {
      throw ValidationError(
        "--batchnorm interpolate is of the way to a checkpoint (landscape --to); give recompute")
    }
    if let batches, batches < 1 {
      throw ValidationError("--batches \(batches): at least 1 is needed")
    }
  }

  func run() throws {
    var order = try options.job(checkpoint, analyses: [])
    let snapshots = order.subjects
    order.subjects = Array(snapshots.suffix(1))
    let (job, batches) = (order, batches)
    var plan = TrajectoryEvaluation.Plan()
    (plan.grid, plan.parameters) = (grid, params)
    if let memory = order.options.maximumMemory { plan.memory = memory / 2 }
    let recomputes = batchnorm == .recompute
    let planned = plan
    var evaluation = EvaluationJob(job) { models in
      var plan = planned
      if recomputes { plan.statistics = try job.statisticsImages(batchLimit: batches) }
      return try TrajectoryEvaluation(to: models[0], of: snapshots.count, plan) { place in
        try job.openModel(snapshots[place], for: "a trajectory is of a model's weights")
      }
    }
    evaluation.batchLimit = batches
    try EvaluationCommandRunner(job: evaluation, options: options, long: long, output: output)()
  }
}
