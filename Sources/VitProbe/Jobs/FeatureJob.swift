import Diagnostics
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
  /// How exactly models compute their products.
  public var precision = ProductPrecision.float32
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
  public func prepare() throws -> [PreparedRun<FeatureRun>] {
    let subjects = try openSubjects()
    return try openSamples(for: subjects).map { argument, samples in
      let run = try FeatureRun(
        subjects, on: samples, analyses: analyses, taps: taps, options: options)
      try run.checkSizes(all: false)
      return PreparedRun(
        run: run,
        provenance: { try provenance(of: run, from: argument) })
    }
  }

  /// Opens the subjects, in order.
  func openSubjects() throws -> [any Subject] {
    var ready: [any Subject] = []
    for argument in subjects { ready.append(try open(argument)) }
    try checkLabels(ready.map(\.label), of: subjects.map(\.unlabelled))
    return ready
  }

  /// Opens a subject; a model computes as the job says.
  func open(_ argument: SubjectArgument) throws -> any Subject {
    let subject = try openSubject(
      argument, label: argument.label, preprocessing: preprocessing, features: features)
    return try (subject as? ModelSubject)?.computing(in: precision) ?? subject
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
              .usage, "`labels` goes with `data`; feature files carry labels of their own")
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
        "`data` is missing; the bundled images serve bundled checkpoints only, not "
          + "\(argument.text)")
    }
  }
}

extension FeatureJob {
  /// What a run is given: every setting, and every input with its digest.
  func provenance(of run: FeatureRun, from data: DataArgument) throws -> Provenance {
    var configuration = configuration(of: run.subjects, on: run.data, from: data)
    configuration += [
      JSONValue.Member("classes", ClassMapping.json(run.classes, of: run.subjects)),
      JSONValue.Member("analyses", run.settings),
      JSONValue.Member("taps", run.tapNames),
    ]
    if let shard = options.shard {
      configuration.append(JSONValue.Member("shard", .string(shard.description)))
    }
    return Provenance(
      arguments: arguments, configuration: .object(configuration),
      inputs: try Manifest.Input.reading(
        run.subjects.flatMap(\.inputFiles), data: run.data.inputFiles),
      seed: seed, estimators: analyses.map { "\(type(of: $0).name): \($0.settings.compact)" },
      notes: run.subjects.flatMap(\.labelledNotes) + run.notes)
  }
}
