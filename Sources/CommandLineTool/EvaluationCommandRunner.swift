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
    output.apply()
    let (command, path) = (Evaluation.Study.name, output.path(for: Evaluation.Study.name))
    try long.check(output: path)
    var job = job
    job.order.options.shard = try long.share()
    let prepared = try job.prepare()
    let run = prepared.run
    Terminal.announce(run.subjects, on: run.data, notes: run.notes)
    let estimate = try run.estimate()
    if options.dryRun {
      Terminal.data(plan(run, estimate))
      try run.checkSizes(all: true)
    }
    try options.checkMemory(estimate)
    let place = path == "-" ? nil : try long.open(path, of: prepared, for: command, output)
    if options.dryRun { return }
    let execution = RunExecution(
      prepared: prepared, place: place, unit: "images", long: long, output: output)
    let (result, skipped) = try execution { log, bar in
      try run.collect(keeping: log, shouldStop: { Interrupts.isRequested }) {
        bar.update($0, of: $1)
      }
    }
    place?.log.remove()
    if let result, let folder = place?.folder {
      Terminal.data(
        output.json
          ? result.outcome.json(
            [.init("data", .string(run.data.name))], folder: folder.path, files: result.files
          ).pretty
          : result.outcome.summaries + "\(result.files.count) files in \(folder.path)\n")
      Terminal.cost(seconds: result.seconds)
    }
    if skipped > 0 { throw ExitCode(1) }
  }

  private func plan(_ run: EvaluationRun<Evaluation>, _ estimate: RunEstimate) -> String {
    if output.json {
      return JSONValue.object([
        .init("images", .integer(estimate.images)), .init("variants", .integer(run.variantCount)),
        .init("units", .integer(estimate.batches)), .init("workers", .integer(estimate.workers)),
        .init("peak_memory_bytes", .integer(estimate.totalBytes)),
      ]).pretty
    }
    var table = Table("plan", columns: [.text("what"), .text("value")])
    func row(_ what: String, _ value: String) { table.append([.text(what), .text(value)]) }
    row("images", "\(estimate.images)")
    row("variants of all models", "\(run.variantCount)")
    row("minibatches of variants", "\(estimate.batches), \(estimate.workers) at once")
    row("parameters", mebibytes(estimate.parameterBytes))
    row("one forward pass", mebibytes(estimate.passBytes))
    row("kept beside it", mebibytes(estimate.analysisBytes))
    row("peak memory", mebibytes(estimate.totalBytes))
    return table.plainText(width: Terminal.width())
  }
}
