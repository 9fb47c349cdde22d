import ArgumentParser
import Diagnostics
import Reports
import StrictJSON
import VitProbe

/// What commands do that ask variants of a network: plan, run, write, print.
struct EvaluationCommandRunner<Evaluation: VariantEvaluation> {
  var job: EvaluationJob<Evaluation>
  let options: RunOptions
  let long: LongRunOptions
  let output: OutputOptions

  func callAsFunction() throws {
    try output.apply()
    let (command, path) = (Evaluation.Study.name, output.path(for: Evaluation.Study.name))
    try long.check(output: path)
    var job = job
    job.order.options.shard = try long.share()
    let prepared = try job.prepare()
    let run = prepared.run
    Terminal.announce(run.subjects, on: run.data, notes: run.notes)
    let estimate = try run.estimate()
    let plan = plan(run, estimate)
    if options.dryRun {
      if !output.json { Terminal.data(plan.text) }
      try run.checkSizes(all: true)
    }
    try options.checkMemory(estimate)
    let place = path == "-" ? nil : try long.open(path, of: prepared, for: command, output)
    if options.dryRun {
      if output.json { Terminal.json(plan.members) }
      return
    }
    let execution = RunExecution(
      prepared: prepared, place: place, unit: "images", long: long, output: output)
    let (result, skipped) = try execution { log, bar in
      try run.collect(keeping: log, shouldStop: { Interrupts.isRequested }) {
        bar.update($0, of: $1)
      }
    }
    place?.log.remove()
    if let result, let folder = place?.folder {
      if output.json {
        Terminal.json(
          result.outcome.json(
            [.init("data", .string(run.data.name))], folder: folder.path, files: result.files))
      } else {
        Terminal.data(
          result.outcome.summaries + "\(result.files.count) files in \(folder.path)\n")
      }
      Terminal.cost(seconds: result.seconds)
    }
    if skipped > 0 { throw ExitCode(1) }
  }

  private func plan(_ run: EvaluationRun<Evaluation>, _ estimate: RunEstimate) -> RunPlan {
    var plan = RunPlan(run.subjects, images: "\(estimate.images)")
    plan.row("variants of all models", "\(run.variantCount)")
    plan.row("minibatches of variants", "\(estimate.batches), \(estimate.workers) at once")
    plan.add("data", .string(run.data.name))
    plan.add("images", .integer(estimate.images))
    plan.add("variants", .integer(run.variantCount))
    plan.add("units", .integer(estimate.batches))
    plan.row("records until the report", mebibytes(estimate.recordBytes))
    plan.row("minibatches in hand", mebibytes(estimate.sharedBytes))
    plan.add("record_bytes", .integer(estimate.recordBytes))
    plan.add("shared_bytes", .integer(estimate.sharedBytes))
    plan.memory(estimate, kept: "kept beside it")
    return plan
  }
}
