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
    let opened = try data.map { try $0.open() }
    let labels = subjects.map { $0.label ?? $0.defaultLabel }
    try checkLabels(labels)
    var ready: [any Subject] = []
    for (argument, label) in zip(subjects, labels) {
      ready.append(
        try openSubject(
          argument, label: label, preprocessing: preprocessing, features: features))
    }
    var runs: [PreparedRun] = []
    for (argument, set) in zip(data, opened) {
      if argument.path == nil,
        let other = subjects.first(where: { if case .demo = $0.source { false } else { true } })
      {
        throw VitProbeError(
          .usage,
          "--data is missing; the bundled images serve bundled checkpoints only, not "
            + "\(other.text)")
      }
      let run = try FeatureRun(ready, on: set, analyses: analyses, taps: taps, options: options)
      runs.append(PreparedRun(job: self, run: run, data: argument, dataName: set.name))
    }
    return runs
  }
}

/// A run on one data set, ready to go.
public struct PreparedRun: Sendable {
  /// The job that it belongs to.
  public let job: FeatureJob
  /// The run.
  public let run: FeatureRun
  /// Where its images come from.
  public let data: DataArgument
  /// A short name of the data set.
  public let dataName: String

  /// What the run did, with what.
  private func manifest(_ outcome: FeatureRun.Outcome, wallSeconds: Double) throws -> Manifest {
    var manifest = Manifest(
      version: VitProbeVersion.current, arguments: job.arguments, configuration: configuration,
      seed: Int(truncatingIfNeeded: job.seed), imageCount: outcome.images,
      threads: Threads.count)
    for file in Set(run.subjects.flatMap(\.inputFiles)).sorted() {
      manifest.inputs.append(try Manifest.Input(reading: file))
    }
    for file in run.data.inputFiles {
      let digest = SHA256()
      var size = 0
      try file.readChunks {
        digest.update($0)
        size += $0.count
      }
      manifest.inputs.append(.init(path: file.path, sha256: digest.finish(), size: size))
    }
    manifest.estimators = job.analyses.map { "\(type(of: $0).name): \($0.settings.compact)" }
    manifest.skipped = outcome.skipped.map { .init(image: $0.id, reason: $0.reason) }
    manifest.kernels = ["OpenBLAS \(Threads.blasKernels)"]
    manifest.wallSeconds = wallSeconds
    return manifest
  }

  /// Every setting as it was resolved.
  private var configuration: JSONText {
    [
      "subjects": .array(run.subjects.map(\.description)),
      "data": [
        "path": data.path.map(JSONText.string) ?? "bundled", "images": .integer(run.data.count),
        "labels": data.labels.map(JSONText.string) ?? .null,
        "shuffle_seed": data.shuffleSeed.map { .integer(Int(truncatingIfNeeded: $0)) } ?? .null,
      ],
      "batch_size": .integer(job.options.batchSize),
      "on_bad_image": .string(job.options.badImages.rawValue),
      "analyses": run.settings,
      "taps": .object(
        run.plans.map { name, plan in
          JSONText.Member(
            name,
            .object(
              plan.subjects.map { subject in
                JSONText.Member(
                  subject.label, .array(subject.taps.map { .string($0.tap.name) }))
              }))
        }),
    ]
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
