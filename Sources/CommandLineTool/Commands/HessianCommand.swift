import ArgumentParser
import Diagnostics
import Images
import Reports
import StrictJSON
import Tensors
import VitProbe

extension HessianSettings.Solver: ExpressibleByArgument {}
extension HessianSettings.Scope: ExpressibleByArgument {}

/// What is computed of a Hessian.
struct HessianOptions: ParsableArguments {
  @Option(help: "Eigenvalue solver: lanczos (both ends) or power (as PyHessian).")
  var solver = HessianSettings.Solver.lanczos

  @Option(help: ArgumentHelp("Values of largest magnitude.", valueName: "K"))
  var top = 5

  @Option(help: ArgumentHelp("Lanczos steps; doubled once if not converged.", valueName: "M"))
  var steps = 30

  @Option(help: ArgumentHelp("Relative residual of a converged value.", valueName: "T"))
  var tol = 1e-3

  @Option(help: ArgumentHelp("Most power iterations a value.", valueName: "N"))
  var maxIter = 100

  @Option(help: "Of which loss: each minibatch's, or the whole data set's.")
  var scope = HessianSettings.Scope.batch

  @Option(help: ArgumentHelp("Minibatches (default 16; data set scope: all).", valueName: "N"))
  var batches: Int?

  @Option(help: ArgumentHelp("Weight decay: half the squared norm times this.", valueName: "WD"))
  var l2 = 0.0

  @Option(help: ArgumentHelp("Label smoothing.", valueName: "S"))
  var smoothing = 0.0

  @Option(help: ArgumentHelp("Mixup: parameter of the Beta distribution.", valueName: "A"))
  var mixup = 0.0

  @Option(help: ArgumentHelp("CutMix: parameter of the Beta distribution.", valueName: "A"))
  var cutmix = 0.0

  @Option(
    help: ArgumentHelp("Only parameters whose names match; !GLOB leaves out.", valueName: "GLOB"))
  var params: [String] = []

  @Option(help: ArgumentHelp("Products for the trace; 0: none.", valueName: "PROBES"))
  var trace = 0

  @Flag(help: "Estimate the trace by Hutch++.")
  var hutchPlusPlus = false

  @Option(help: ArgumentHelp("Probes of the spectral density; 0: none.", valueName: "PROBES"))
  var density = 0

  @Option(
    help: ArgumentHelp(
      "Most disk for products in hand, for --resume (data set scope; default: half of what is free).",
      valueName: "SIZE"))
  var keep: String?

  /// The disk that products may take.
  var keptBytes: Int? {
    get throws { try keep.map { $0 == "0" ? 0 : try byteCount($0, of: "--keep") } }
  }

  func validate() throws {
    _ = try keptBytes
    for (name, value) in [("--top", top), ("--steps", steps), ("--max-iter", maxIter)]
    where value < 1 {
      throw ValidationError("\(name) \(value): at least 1 is needed")
    }
    for (name, value) in [("--trace", trace), ("--density", density)] where value < 0 {
      throw ValidationError("\(name) \(value): at least 0 is needed")
    }
    for (name, value) in [("--l2", l2), ("--mixup", mixup), ("--cutmix", cutmix)]
    where !(value >= 0 && value.isFinite) {
      throw ValidationError("\(name) \(value): a number of at least 0 is needed")
    }
    if !(tol > 0 && tol < 1) { throw ValidationError("--tol \(tol): a number in 0...1 is needed") }
    if !(smoothing >= 0 && smoothing < 1) {
      throw ValidationError("--smoothing \(smoothing): a number of at least 0, below 1, is needed")
    }
    if let batches, batches < 1 {
      throw ValidationError("--batches \(batches): at least 1 is needed")
    }
    if trace > 0, trace < 3, hutchPlusPlus {
      throw ValidationError("--hutch-plus-plus needs a --trace of at least 3")
    }
  }

  func settings(seed: UInt64) -> HessianSettings {
    var settings = HessianSettings()
    settings.solver = solver
    settings.top = top
    settings.steps = steps
    settings.tolerance = tol
    settings.maximumIterations = maxIter
    settings.scope = scope
    settings.weightDecay = l2
    settings.parameters = params
    settings.traceProbes = trace
    settings.usesHutchPlusPlus = hutchPlusPlus
    settings.densityProbes = density
    settings.seed = seed
    return settings
  }

  func loss(seed: UInt64) -> TrainingLoss {
    var loss = TrainingLoss()
    loss.smoothing = smoothing
    loss.mixup = mixup
    loss.cutmix = cutmix
    loss.seed = seed
    return loss
  }
}

/// `vitprobe hessian`
struct HessianCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hessian",
    abstract: "Curvature of the loss: eigenvalues at both ends, trace, spectral density.",
    discussion: HelpText.examples([
      .init("hessian demo:vit demo:resnet --batches 4", "eigenvalues of four minibatches"),
      .init(
        "hessian deit.pth --data val --scope dataset --limit 1024 --density 4",
        "the Hessian of all images, with its spectral density"),
    ]))

  @Argument(
    help: "Models, [LABEL=][ARCH@]SOURCE; several checkpoints of one model are several.",
    completion: Completion.subjects)
  var subject: [String]

  @OptionGroup(title: "Hessian") var hessian: HessianOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func validate() throws {
    if options.compute != .float32 {
      throw ValidationError(
        "hessian has no --compute \(options.compute.rawValue), since a second derivative differs by more than the "
          + "rounding of its products; leave it out")
    }
    if options.onBadImage == .skip {
      throw ValidationError(
        "hessian has no --on-bad-image skip, since a minibatch without one of its images has "
          + "another Hessian; take the image out of the data")
    }
  }

  func run() throws {
    try output.apply()
    let ranks = try join()
    let prepared = try ranks.together { try prepare(ranks) }
    let run = prepared.run
    for subject in run.subjects {
      Terminal.note("\(subject.label): \(subject.summary)")
      for note in subject.notes { Terminal.note("note: \(subject.label): \(note)") }
    }
    for line in run.plan { Terminal.note(line) }
    Terminal.note("\(run.plannedProducts) products with a Hessian planned")
    if ranks.count > 1 {
      Terminal.note("\(ranks.count) ranks of \(Threads.count) threads share the minibatches")
    }
    if options.dryRun {
      try run.checkSizes(all: true)
      guard ranks.rank == 0 else { return }
      _ = try open(prepared)
      if output.json {
        var plan = RunPlan(run.subjects, images: "\(run.imageCount)")
        plan.add("data", .string(run.data.name))
        plan.add("images", .integer(run.imageCount))
        plan.add("minibatches", .integer(run.minibatches))
        plan.add("products", .integer(run.plannedProducts))
        plan.add("models", run.costsJSON)
        Terminal.json(plan.members)
      }
      return
    }
    if ranks.rank > 0 {
      Interrupts.ignoreSignals()
      // The first opens the output folder meanwhile.
      try ranks.together {}
      return try run.assist(ranks)
    }
    try solve(prepared, ranks, in: try ranks.together { try open(prepared) })
  }

  private var path: String { output.path(for: "hessian") }

  /// The processes that share the run.
  private func join() throws -> any Ranks {
    if hessian.scope == .batch {
      try long.check(output: path)
      return SingleRank()
    }
    try long.checkFolder(output: path)
    return try Launch.join()
  }

  private func prepare(_ ranks: any Ranks) throws -> PreparedRun<HessianRun> {
    var job = try job()
    job.ranks = ranks
    return try job.prepare()
  }

  private func open(
    _ prepared: PreparedRun<HessianRun>
  ) throws -> (folder: OutputFolder, log: RecordLog)? {
    guard path != "-" else { return nil }
    return try long.open(path, of: prepared, for: "hessian", output)
  }

  /// What the first rank does, or the only one.
  private func solve(
    _ prepared: PreparedRun<HessianRun>, _ ranks: any Ranks,
    in place: (folder: OutputFolder, log: RecordLog)?
  ) throws {
    let execution = RunExecution(
      prepared: prepared, place: place, unit: "products", long: long, output: output,
      launcher: Launch.words(ranks))
    let (result, _) = try execution { log, bar in
      try prepared.run.collect(
        keeping: log, sharing: ranks, shouldStop: { Interrupts.isRequested }
      ) { bar.update($0, of: $1) }
    }
    place?.log.remove()
    guard let result, let folder = place?.folder else { return }
    let (outcome, files) = (result.outcome, result.files)
    if output.json {
      let summary = outcome.reports.first?.report.summary.json ?? .null
      Terminal.json(
        outcome.json([.init("hessian", summary)], folder: folder.path, files: files))
    } else {
      Terminal.data(outcome.summaries + "\(files.count) files in \(folder.path)\n")
    }
  }

  private func job() throws -> HessianJob {
    let shared = try options.job(subject, analyses: [], defaultBatch: 16)
    if shared.data.count > 1 {
      throw VitProbeError(.usage, "hessian takes one --data; run it again for the other")
    }
    var job = HessianJob(
      arguments: shared.arguments, subjects: shared.subjects, data: shared.data[0])
    job.settings = hessian.settings(seed: options.seed)
    job.loss = hessian.loss(seed: options.seed)
    job.batchSize = shared.options.batchSize
    job.batchLimit = hessian.batches ?? (hessian.scope == .batch ? 16 : nil)
    job.shard = try long.share()
    job.keptBytes = try hessian.keptBytes
    job.memory = shared.options.maximumMemory
    job.preprocessing = shared.preprocessing
    return job
  }
}
