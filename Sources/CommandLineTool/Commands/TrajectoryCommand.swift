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

  @OptionGroup var move: WeightMoveOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func validate() throws {
    if !(3...1001).contains(grid) {
      throw ValidationError("--grid \(grid): 3 to 1001 places are needed")
    }
    try move.requireWay(false)
  }

  func run() throws {
    var order = try options.job(checkpoint, analyses: [])
    let snapshots = order.subjects
    order.subjects = Array(snapshots.suffix(1))
    let (job, statistics) = (order, move.statistics)
    var plan = TrajectoryEvaluation.Plan()
    (plan.grid, plan.parameters) = (grid, move.params)
    if let memory = order.options.maximumMemory { plan.memory = memory / 2 }
    let planned = plan
    var evaluation = EvaluationJob(job) { models in
      var plan = planned
      plan.statistics = try statistics(job)
      return try TrajectoryEvaluation(to: models[0], of: snapshots.count, plan) { place in
        try job.openModel(snapshots[place], for: "a trajectory is of a model's weights")
      }
    }
    evaluation.batchLimit = move.batches
    try EvaluationCommandRunner(job: evaluation, options: options, long: long, output: output)()
  }
}
