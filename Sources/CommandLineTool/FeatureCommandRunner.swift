import ArgumentParser
import Diagnostics
import Images
import Models
import Reports
import StrictJSON
import Tensors
import VitProbe

/// What all commands on features do once their analyses are known: plan, run, write, print.
struct FeatureCommandRunner {
  let job: FeatureJob
  let run: RunOptions
  let long: LongRunOptions
  let output: OutputOptions

  func callAsFunction() throws {
    output.apply()
    try long.check(output: output.output)
    var job = job
    job.options.shard = try long.share()
    let prepared = try job.prepare()
    for one in prepared { announce(one) }
    if run.dryRun {
      for one in prepared { Terminal.data(try plan(one)) }
      return
    }
    guard output.output != "-" || prepared.count == 1 else {
      throw ValidationError("-o - streams one table; name a folder for several data sets")
    }
    for one in prepared { try run.checkMemory(try one.run.estimate()) }
    var skipped = 0
    var objects: [JSONValue] = []
    // Opened before anything is computed: a folder that may not be written to is an error now.
    var folders: [OutputFolder?] = []
    for one in prepared {
      folders.append(
        output.output == "-"
          ? nil : try OutputFolder(folderName(one, in: prepared), force: output.force))
    }
    var logs: [RecordLog] = []
    for (one, folder) in zip(prepared, folders) {
      let log = try folder.map { try one.openRecords(in: $0, resuming: long.resume) }
      for note in log?.notes ?? [] { Terminal.note("note: \(note)") }
      let bar = ProgressBar(unit: "images", isEnabled: !output.noProgress)
      Interrupts.catchSignals()
      let records = try Interrupts.guarding(log) {
        defer { bar.finish() }
        return try one.run.collect(keeping: log, shouldStop: { Interrupts.isRequested }) {
          bar.update($0.images, of: $0.total)
        }
      }
      skipped += records.skipped.count
      for image in records.skipped { Terminal.note("skipped \(image.id): \(image.reason)") }
      if let folder, let log, let shard = job.options.shard {
        let files = try one.writeShard(records, to: folder, wallSeconds: bar.elapsed, log: log)
        logs.append(log)
        if logs.count == prepared.count { for log in logs { log.remove() } }
        Terminal.data(long.summary(of: shard, files, folder.path, isJSON: output.json))
        continue
      }
      let outcome = try records.outcome()
      for note in outcome.notes { Terminal.note("note: \(note)") }
      for (name, report) in outcome.reports {
        for note in report.notes { Terminal.note("note: \(name): \(note)") }
      }
      guard let folder, let log else {
        Terminal.data(outcome.reports.first?.report.tables.first?.csv ?? "")
        continue
      }
      let files = try Interrupts.guarding(log) {
        try one.write(
          outcome, to: folder, formats: try output.formats, wallSeconds: bar.elapsed, log: log)
      }
      logs.append(log)
      // Kept until the last: a run that is interrupted on the second data set need not repeat the
      // first. Nothing is left once all is written, even if nobody reads what is printed.
      if logs.count == prepared.count { for log in logs { log.remove() } }
      if output.json {
        objects.append(summary(outcome, one, folder.path, files))
      } else {
        print(outcome, one, folder.path, files, isOneOfSeveral: prepared.count > 1)
      }
      Terminal.cost(seconds: bar.elapsed)
    }
    if output.json, let first = objects.first {
      Terminal.data((objects.count == 1 ? first : .array(objects)).pretty)
    }
    if skipped > 0 { throw ExitCode(1) }
  }

  /// Says what was detected.
  private func announce(_ one: PreparedRun) {
    for subject in one.run.subjects {
      Terminal.note("\(subject.label): \(subject.summary)")
      if let model = subject as? ModelSubject {
        Terminal.detail("\(model.label): images \(model.preparation)")
      }
      for note in subject.notes { Terminal.note("note: \(subject.label): \(note)") }
    }
    for note in one.run.notes { Terminal.note("note: \(note)") }
    Terminal.note("\(one.dataName): \(one.run.data.count) images")
  }

  /// The output folder; with several data sets, one of its own for each.
  private func folderName(_ one: PreparedRun, in all: [PreparedRun]) -> String {
    guard all.count > 1, let place = all.firstIndex(where: { $0.data == one.data }) else {
      return output.output
    }
    let names = all.map { slug($0.dataName) }
    let same = names[..<place].count { $0 == names[place] }
    return output.output + "/" + names[place] + (same == 0 ? "" : "-\(same + 1)")
  }

  private func plan(_ one: PreparedRun) throws -> String {
    let estimate = try one.run.estimate()
    var table = Table("plan", columns: [.text("what"), .text("value")])
    func row(_ what: String, _ value: String) { table.append([.text(what), .text(value)]) }
    row("images", "\(estimate.images)")
    for subject in one.run.subjects {
      if let model = subject as? ModelSubject { row("images: \(model.label)", model.preparation) }
    }
    row("minibatches", "\(estimate.batches), \(estimate.workers) at once")
    for (name, plan) in one.run.plans {
      for subject in plan.subjects {
        row(
          "\(name): \(subject.label)",
          "\(subject.taps.count) taps, \(subject.taps.first?.tap.name ?? "") … "
            + "\(subject.taps.last?.tap.name ?? "")")
      }
    }
    row("parameters", mebibytes(estimate.parameterBytes))
    row("one forward pass", mebibytes(estimate.passBytes))
    row("analyses of a minibatch", mebibytes(estimate.analysisBytes))
    row("peak memory", mebibytes(estimate.totalBytes))
    if output.json {
      return JSONValue.object([
        .init("images", .integer(estimate.images)), .init("batches", .integer(estimate.batches)),
        .init("workers", .integer(estimate.workers)),
        .init("peak_memory_bytes", .integer(estimate.totalBytes)),
        .init("parameter_bytes", .integer(estimate.parameterBytes)),
        .init("pass_bytes", .integer(estimate.passBytes)),
        .init("analysis_bytes", .integer(estimate.analysisBytes)),
      ]).pretty
    }
    return table.plainText(width: Terminal.width())
  }

  private func print(
    _ outcome: FeatureRun.Outcome, _ one: PreparedRun, _ folder: String, _ files: [String],
    isOneOfSeveral: Bool
  ) {
    if isOneOfSeveral { Terminal.data("\(one.dataName.displayable), \(outcome.images) images\n\n") }
    for (name, report) in outcome.reports {
      Terminal.data("\(name)\n\(report.summary.plainText(width: Terminal.width()))\n")
    }
    Terminal.data("\(files.count) files in \(folder)\n")
  }

  private func summary(
    _ outcome: FeatureRun.Outcome, _ one: PreparedRun, _ folder: String, _ files: [String]
  ) -> JSONValue {
    [
      "data": .string(one.dataName), "images": .integer(outcome.images),
      "skipped": .integer(outcome.skipped.count), "output": .string(folder),
      "files": .array(files.map(JSONValue.string)),
      "analyses": .object(
        outcome.reports.map { JSONValue.Member($0.analysis, $0.report.summary.json) }),
      "notes": .array(
        (outcome.notes + outcome.reports.flatMap(\.report.notes)).map(JSONValue.string)),
    ]
  }
}
