import Diagnostics
import DurableFiles
import Images
import Reports
import StrictJSON
import Tensors

/// A run as a user orders it: names of subjects and data, analyses and options. It is resolved into
/// a ``FeatureRun`` for each data set, and what comes of them is written.
public struct FeatureJob: Sendable {
  /// The command and its arguments, for the manifest.
  public var arguments: [String]
  /// The subjects.
  public var subjects: [SubjectArgument]
  /// The data sets; the same analyses are done on each.
  public var data: [DataArgument]
  /// The analyses.
  public var analyses: [any Analyzer]
  /// Which taps are looked at.
  public var taps = TapSelection()
  /// How the run is carried out.
  public var options = FeatureRun.Options()
  /// Changes to the subjects' own preprocessing.
  public var preprocessing = PreprocessingOverrides()
  /// Layout of feature files that do not say it themselves.
  public var features = FeatureLayout()
  /// The seed, for the manifest.
  public var seed: UInt64 = 0

  /// A job.
  public init(
    arguments: [String], subjects: [SubjectArgument], data: [DataArgument],
    analyses: [any Analyzer]
  ) {
    self.arguments = arguments
    self.subjects = subjects
    self.data = data
    self.analyses = analyses
  }

  /// Opens subjects and data and plans a run for each data set.
  ///
  /// - Throws: ``VitProbeError`` before anything is computed.
  public func prepare() throws -> [PreparedRun] {
    let subjects = try openSubjects()
    return try openSamples(for: subjects).map { argument, samples in
      let run = try FeatureRun(
        subjects, on: samples, analyses: analyses, taps: taps, options: options)
      return PreparedRun(job: self, run: run, data: argument)
    }
  }

  /// Opens the subjects, in order.
  func openSubjects() throws -> [any Subject] {
    var ready: [any Subject] = []
    for argument in subjects {
      ready.append(
        try openSubject(
          argument, label: argument.label, preprocessing: preprocessing, features: features))
    }
    try checkLabels(ready.map(\.label))
    return ready
  }

  /// Opens each data set. Where all subjects are feature files and no data are named, the samples are
  /// those of the files.
  func openSamples(
    for ready: [any Subject]
  ) throws -> [(argument: DataArgument, samples: SampleSet)] {
    try data.map { argument in
      if argument.path == nil {
        if !ready.contains(where: \.needsImages), let first = ready.first as? FeatureSubject {
          guard argument.labels == nil else {
            throw VitProbeError(
              .usage, "--labels goes with --data; feature files carry labels of their own")
          }
          return (
            argument, first.samples(limit: argument.limit, shuffleSeed: argument.shuffleSeed)
          )
        }
        try requireBundled(ready)
      }
      return (argument, try argument.samples())
    }
  }

  private func requireBundled(_ ready: [any Subject]) throws(VitProbeError) {
    for (argument, subject) in zip(subjects, ready) where subject.needsImages {
      if case .demo = argument.source { continue }
      throw VitProbeError(
        .usage,
        "--data is missing; the bundled images serve bundled checkpoints only, not "
          + "\(argument.text)")
    }
  }
}

/// A run on one data set, ready to go.
public struct PreparedRun: Sendable {
  /// The job that it belongs to.
  public let job: FeatureJob
  /// The run.
  public let run: FeatureRun
  /// Where its samples come from.
  public let data: DataArgument

  /// A short name of the data set.
  public var dataName: String { run.data.name }

  /// What the run is given: every setting, and every input with its digest.
  func provenance() throws -> Provenance {
    var configuration = job.configuration(of: run.subjects, on: run.data, from: data)
    configuration += [
      JSONValue.Member("classes", ClassMapping.json(run.classes, of: run.subjects)),
      JSONValue.Member("analyses", run.settings),
      JSONValue.Member(
        "taps",
        .object(
          run.plans.map { name, plan in
            JSONValue.Member(
              name,
              .object(
                plan.subjects.map { subject in
                  JSONValue.Member(
                    subject.label, .array(subject.taps.map { .string($0.tap.name) }))
                }))
          })),
    ]
    if let shard = job.options.shard {
      configuration.append(JSONValue.Member("shard", .string(shard.description)))
    }
    return Provenance(
      arguments: job.arguments, configuration: .object(configuration),
      inputs: try Manifest.Input.reading(
        run.subjects.flatMap(\.inputFiles), data: run.data.inputFiles),
      seed: job.seed,
      estimators: job.analyses.map { "\(type(of: $0).name): \($0.settings.compact)" },
      notes: run.subjects.flatMap(\.labelledNotes) + run.notes)
  }

  /// Opens the records of the run in its output folder; reads every input for its digest.
  ///
  /// - Parameter resuming: whether to go on from what an interrupted run left there.
  /// - Throws: ``VitProbeError`` for damaged records, or those of another run.
  public func openRecords(in folder: OutputFolder, resuming: Bool = false) throws -> RecordLog {
    let provenance = try provenance()
    return try RecordLog(
      in: folder.path, header: run.recordHeader(provenance), provenance: provenance,
      resuming: resuming)
  }

  /// Writes what came of the run into a folder opened before it began: all files appear, or none.
  ///
  /// - Parameter log: the records of the run.
  /// - Returns: the names of the files.
  @discardableResult
  public func write(
    _ outcome: FeatureRun.Outcome, to folder: OutputFolder, formats: Set<ReportFormat>,
    wallSeconds: Double, log: RecordLog
  ) throws -> [String] {
    for (_, report) in outcome.reports { try report.write(to: folder, as: formats) }
    return try folder.finish(
      log.provenance.manifest(
        images: outcome.images, skipped: outcome.skipped.map(Manifest.Skip.init),
        notes: outcome.notes
          + outcome.reports.flatMap { name, report in report.notes.map { "\(name): \($0)" } },
        wallSeconds: wallSeconds))
  }

  /// Writes the one file of a shard: its records.
  ///
  /// - Returns: the names of the files.
  public func writeShard(
    _ records: FeatureRecords, to folder: OutputFolder, wallSeconds: Double, log: RecordLog
  ) throws -> [String] {
    try folder.write(log.sealed(), to: log.shardFileName)
    return try folder.finish(
      log.provenance.manifest(
        images: records.images, skipped: records.skipped.map(Manifest.Skip.init),
        notes: records.notes, wallSeconds: wallSeconds))
  }
}

extension OutputFolder {
  /// Puts everything in its place.
  ///
  /// - Returns: the names of the files.
  func finish(_ manifest: Manifest) throws(FileError) -> [String] {
    try commit(manifest).outputs.map(\.name) + ["run.json"]
  }
}
