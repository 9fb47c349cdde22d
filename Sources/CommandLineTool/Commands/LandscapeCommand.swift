import ArgumentParser
import Diagnostics
import VitProbe

extension LandscapeStudy.Direction: ExpressibleByArgument {
  /// Those that a user may ask for by `--norm`.
  static let named: [LandscapeStudy.Direction] = [.li, .hdvw, .layer, .none, .hessian]
}

/// Directions and grid, as a user gives them.
struct GridOptions: ParsableArguments {
  @Option(
    help:
      "Random directions: li (filter by filter), hdvw (the authors' code), layer or none; or hessian: its leading eigenvectors."
  )
  var norm = LandscapeStudy.Direction.li

  @Flag(help: "One direction instead of two.")
  var line = false

  @Option(
    help: ArgumentHelp(
      "A line to another checkpoint of the network; twice: the plane through three.",
      valueName: "SUBJECT"), completion: Completion.subjects)
  var to: [String] = []

  @Option(
    help: ArgumentHelp("Places along an axis (default 21; 25 to a checkpoint).", valueName: "N"))
  var grid: Int?

  @Option(
    help: ArgumentHelp(
      "Both ends of an axis (default -1,1; -0.25,1.25 to a checkpoint).", valueName: "A,B"))
  var extent: String?

  func validate() throws {
    guard LandscapeStudy.Direction.named.contains(norm) else {
      throw ValidationError("--norm \(norm.rawValue): give --to SUBJECT for a checkpoint")
    }
    guard to.count <= 2 else {
      throw ValidationError("--to is there \(to.count) times; a plane has two axes")
    }
    if let grid, !(2...1001).contains(grid) {
      throw ValidationError("--grid \(grid): 2 to 1001 places are needed")
    }
    _ = try range
  }

  private var range: ClosedRange<Double> {
    get throws {
      guard let extent else { return to.isEmpty ? -1...1 : -0.25...1.25 }
      let parts = extent.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
      guard parts.count == 2, let low = parts[0], let high = parts[1], low < high, low.isFinite,
        high.isFinite
      else {
        throw ValidationError(
          "--extent \"\(extent)\": expected two numbers, the lower first, as in -0.5,0.5")
      }
      return low...high
    }
  }

  func plan(_ parameters: [String], seed: UInt64) throws -> LandscapeEvaluation.Plan {
    let axis = LandscapeStudy.axis(try range, count: grid ?? (to.isEmpty ? 21 : 25))
    var plan = LandscapeEvaluation.Plan(
      axes: [[Double]](repeating: axis, count: to.isEmpty ? (line ? 1 : 2) : to.count))
    (plan.direction, plan.parameters, plan.seed) = (norm, parameters, seed)
    return plan
  }
}

/// `vitprobe landscape`
struct LandscapeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "landscape",
    abstract: "Loss and accuracy over a line or a plane of weights.",
    discussion: HelpText.examples([
      .init("landscape demo:vit --limit 256 --grid 11", "a plane of two random directions"),
      .init("landscape a.pth --to b.pth --data val", "the line from one checkpoint to another"),
    ]))

  @Argument(help: "Models with a head, [LABEL=][ARCH@]SOURCE.", completion: Completion.subjects)
  var subject: [String]

  @OptionGroup(title: "Grid") var grid: GridOptions
  @OptionGroup(title: "Grid") var move: WeightMoveOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func validate() throws { try move.requireWay(!grid.to.isEmpty) }

  func run() throws {
    let plan = try grid.plan(move.params, seed: options.seed)
    let order = try options.job(subject, analyses: [])
    let ends = try options.job(grid.to, analyses: []).subjects
    let (batches, statistics) = (move.batches, move.statistics)
    var job = EvaluationJob(order) { models in
      var plan = plan
      plan.statistics = try statistics(order)
      if plan.direction == .hessian, ends.isEmpty {
        return try LandscapeEvaluation(
          models, hessianOn: order.data[0], plan, batchSize: order.options.batchSize,
          batchLimit: batches, memory: order.options.maximumMemory)
      }
      let targets = try ends.map {
        try order.openModel($0, for: "a line leads to a model's weights")
      }
      return try LandscapeEvaluation(models, to: targets, plan)
    }
    job.batchLimit = batches
    try EvaluationCommandRunner(job: job, options: options, long: long, output: output)()
  }
}
