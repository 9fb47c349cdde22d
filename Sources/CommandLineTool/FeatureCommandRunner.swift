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
  /// The command's name.
  let command: String
  let job: FeatureJob
  let run: RunOptions
  let long: LongRunOptions
  let output: OutputOptions

  func callAsFunction() throws {
    try output.apply()
    let root = output.path(for: command)
    try long.check(output: root)
    var job = job
    job.options.shard = try long.share()
    let prepared = try job.prepare()
    for one in prepared {
      Terminal.announce(one.run.subjects, on: one.run.data, notes: one.run.notes)
    }
    guard root != "-" || prepared.count == 1 else {
      throw ValidationError("-o - streams one table; name a folder for several data sets")
    }
    if run.dryRun {
      let plans = try prepared.map { try plan($0.run) }
      for (one, plan) in zip(prepared, plans) {
        if !output.json { Terminal.data(plan.text) }
        try one.run.checkSizes(all: true)
        try run.checkMemory(try one.run.estimate())
      }
      _ = try places(of: prepared, in: root)
      if output.json { Terminal.json(joined(plans.map(\.members))) }
      return
    }
    for one in prepared { try run.checkMemory(try one.run.estimate()) }
    // Opened before anything is computed: a folder that may not be written to is an error now.
    let places = try places(of: prepared, in: root)
    var skipped = 0
    var objects: [[JSONValue.Member]] = []
    var logs: [RecordLog] = []
    for (one, place) in zip(prepared, places) {
      let execution = RunExecution(
        prepared: one, place: place, unit: "images", long: long, output: output)
      let (result, left) = try execution { log, bar in
        try one.run.collect(keeping: log, shouldStop: { Interrupts.isRequested }) {
          bar.update($0, of: $1)
        }
      }
      skipped += left
      logs += place.map { [$0.log] } ?? []
      // Kept until the last: a run that is interrupted on the second data set need not repeat the
      // first. Nothing is left once all is written, even if nobody reads what is printed.
      if logs.count == prepared.count { for log in logs { log.remove() } }
      guard let result, let folder = place?.folder else { continue }
      let (outcome, files) = (result.outcome, result.files)
      if output.json {
        objects.append(
          outcome.json(
            [.init("data", .string(one.run.data.name))], folder: folder.path, files: files))
      } else {
        if prepared.count > 1 {
          Terminal.data("\(one.run.data.name.displayable), \(outcome.images) images\n\n")
        }
        Terminal.data(outcome.summaries + "\(files.count) files in \(folder.path)\n")
      }
      Terminal.cost(seconds: result.seconds)
    }
    if output.json, !objects.isEmpty { Terminal.json(joined(objects)) }
    if skipped > 0 { throw ExitCode(1) }
  }

  /// One object for several data sets.
  private func joined(_ objects: [[JSONValue.Member]]) -> [JSONValue.Member] {
    objects.count == 1 ? objects[0] : [.init("runs", .array(objects.map(JSONValue.object)))]
  }

  /// The folder and the records of each run; nil where one table is streamed.
  private func places(
    of prepared: [PreparedRun<FeatureRun>], in root: String
  ) throws -> [(folder: OutputFolder, log: RecordLog)?] {
    try zip(prepared, folderNames(prepared.map(\.run.data.name), in: root)).map { one, path in
      root == "-" ? nil : try long.open(path, of: one, for: command, output)
    }
  }

  /// The output folder; with several data sets, one of its own for each.
  private func folderNames(_ data: [String], in root: String) -> [String] {
    guard data.count > 1 else { return [root] }
    let names = data.map(slug)
    return names.indices.map { place in
      let same = names[..<place].count { $0 == names[place] }
      return root + "/" + names[place] + (same == 0 ? "" : "-\(same + 1)")
    }
  }

  private func plan(_ one: FeatureRun) throws -> RunPlan {
    let estimate = try one.estimate()
    var plan = RunPlan(
      one.subjects,
      images: estimate.images == one.data.count ? one.data.extent : "\(estimate.images)")
    plan.row("minibatches", "\(estimate.batches), \(estimate.workers) at once")
    for (name, looked) in one.plans {
      for subject in looked.subjects {
        plan.row(
          "\(name): \(subject.label)",
          "\(subject.taps.count) taps, \(subject.taps.first?.tap.name ?? "") … "
            + "\(subject.taps.last?.tap.name ?? "")")
      }
    }
    plan.add("data", .string(one.data.name))
    plan.add("images", .integer(estimate.images))
    plan.add("images_of_data", .integer(one.data.wholeCount))
    plan.add("batches", .integer(estimate.batches))
    plan.add("taps", one.tapNames)
    plan.memory(estimate, kept: "analyses of a minibatch")
    return plan
  }
}

extension Terminal {
  /// Says what was detected.
  static func announce(_ subjects: [any Subject], on data: SampleSet, notes: [String]) {
    for subject in subjects {
      note("\(subject.label): \(subject.summary)")
      if let model = subject as? ModelSubject {
        detail("\(model.label): images \(model.preparation)")
      }
      for remark in subject.notes { note("note: \(subject.label): \(remark)") }
    }
    for remark in notes { note("note: \(remark)") }
    note("\(data.name): \(data.extent) images")
  }
}

extension SampleSet {
  /// How many samples there are, and how many of the whole they are.
  var extent: String {
    count == wholeCount ? "\(count)" : "\(count) of \(wholeCount)"
  }
}
