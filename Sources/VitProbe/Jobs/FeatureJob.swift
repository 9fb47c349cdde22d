import Diagnostics
import Images
import Reports
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

  /// What the run did, with what.
  func manifest(_ outcome: FeatureRun.Outcome, wallSeconds: Double) throws -> Manifest {
    var configuration = job.configuration(of: run.subjects, on: run.data, from: data)
    configuration += [
      JSONText.Member("analyses", run.settings),
      JSONText.Member(
        "taps",
        .object(
          run.plans.map { name, plan in
            JSONText.Member(
              name,
              .object(
                plan.subjects.map { subject in
                  JSONText.Member(
                    subject.label, .array(subject.taps.map { .string($0.tap.name) }))
                }))
          })),
    ]
    var manifest = try job.manifest(
      of: run.subjects, on: run.data, configuration: .object(configuration),
      images: outcome.images, skipped: outcome.skipped, wallSeconds: wallSeconds)
    manifest.estimators = job.analyses.map { "\(type(of: $0).name): \($0.settings.compact)" }
    return manifest
  }

  /// Writes what came of the run into a folder opened before it began: all files appear, or none.
  ///
  /// - Returns: the names of the files.
  @discardableResult
  public func write(
    _ outcome: FeatureRun.Outcome, to folder: OutputFolder, formats: Set<ReportFormat>,
    wallSeconds: Double
  ) throws -> [String] {
    let manifest = try manifest(outcome, wallSeconds: wallSeconds)
    for (_, report) in outcome.reports { try report.write(to: folder, as: formats) }
    return try folder.commit(manifest).outputs.map(\.name) + ["run.json"]
  }
}

/// The version of the program.
public enum VitProbeVersion {
  /// Major, minor, patch.
  public static let current = "0.1.0"
}
