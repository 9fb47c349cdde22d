import ArgumentParser
import Reports
import StrictJSON
import VitProbe

/// Runs that take longer than a job may, or that are shared out.
struct LongRunOptions: ParsableArguments {
  @Flag(
    help: """
      Go on from what an interrupted run left in the output folder; a run that finds its own records \
      does so unasked. With --shard, also from a finished one.
      """)
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Only every N-th minibatch, from the I-th, into one file for vitprobe merge.",
      valueName: "I/N|slurm"))
  var shard: String?

  /// The share of this run, if it is one of several.
  func share() throws -> Shard? { try shard.map { text throws(VitProbeError) in try Shard(text) } }

  /// Makes sure that there is a folder to keep records in.
  func check(output: String) throws {
    if shard == nil {
      try Launch.refuse(
        "give each its --shard, or start one process with --threads; mpirun serves "
          + "hessian --scope dataset alone")
    }
    try checkFolder(output: output)
  }

  /// As ``check(output:)``, for a run that several processes may share.
  func checkFolder(output: String) throws {
    guard output == "-", resume || shard != nil else { return }
    throw ValidationError("--resume and --shard keep files; -o - has no folder for them")
  }

  /// The output folder of a run and its records, with a word on what is replaced there.
  func open<Work: RecordedJob>(
    _ path: String, of prepared: PreparedRun<Work>, for command: String, _ output: OutputOptions
  ) throws -> (folder: OutputFolder, log: RecordLog) {
    let place = try prepared.open(
      path, for: command, found: output.restarts ? .replace : resume ? .resume : .goOn,
      replace: output.replace, force: output.force)
    place.folder.sayWhatIsReplaced()
    return place
  }

  /// Says what was written of a shard.
  func summarize(_ shard: Shard, _ files: [String], _ folder: String, isJSON: Bool) {
    guard isJSON else {
      return Terminal.data("shard \(shard): \(files.joined(separator: ", ")) in \(folder)\n")
    }
    Terminal.json([
      .init("shard", .string(shard.description)), .init("output", .string(folder)),
      .init("files", .array(files.map(JSONValue.string))),
    ])
  }
}

extension OutputFolder {
  /// Results that stand in the folder and will be replaced.
  func sayWhatIsReplaced() {
    if let replaced { Terminal.note("note: \(path): the results of \(replaced) will be replaced") }
  }
}
