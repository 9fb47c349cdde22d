import Diagnostics
import Reports
import StrictJSON

/// Everything on the bundled checkpoints and images: a first look, and a check of an installation.
public struct DemoJob: Sendable {
  /// What came of each analysis.
  public struct Outcome: Sendable {
    /// One report an analysis.
    public let reports: [(analysis: String, report: Report)]
    /// The names of the files written.
    public let files: [String]
    /// The folder that they are in.
    public let folder: String
  }

  /// The analyses of features, in one pass.
  public let features: FeatureJob
  /// The Hessian spectra of a few minibatches.
  public let hessian: HessianJob
  /// Images that networks without their branches, and with noise, are run on: the first of them.
  static let studyImages = 256
  /// Images at each of the many places of a landscape.
  static let landscapeImages = 32

  /// The demo.
  ///
  /// - Parameters:
  ///   - analyses: analyses of features.
  ///   - images: how many of the bundled images are used.
  public init(arguments: [String], analyses: [any Analyzer], images: Int) throws {
    var subjects: [SubjectArgument] = []
    for name in BundledData.checkpoints { subjects.append(try SubjectArgument("demo:\(name)")) }
    let data = DataArgument(path: nil, limit: images)
    features = FeatureJob(
      arguments: arguments, subjects: subjects, data: [data], analyses: analyses)
    var hessian = HessianJob(arguments: arguments, subjects: subjects, data: data)
    hessian.batchLimit = 4
    hessian.settings.steps = 15
    self.hessian = hessian
  }

  /// Carries the demo out and writes its files: all of them appear, or none.
  ///
  /// - Parameters:
  ///   - path: the output folder.
  ///   - replace: whether results of another command or of other settings may be replaced.
  ///   - force: whether files that no run wrote may be replaced.
  ///   - opened: told of the folder before anything is computed.
  ///   - elapsed: the seconds since the start, asked for at the end.
  ///   - progress: told of images, then of products, done and in all.
  public func callAsFunction(
    to path: String, replace: Bool = false, force: Bool = false, formats: ReportFormats,
    opened: (OutputFolder) -> Void = { _ in }, elapsed: () -> Double,
    progress: @escaping @Sendable (_ unit: String, _ done: Int, _ total: Int) -> Void
  ) throws -> Outcome {
    var reports: [(analysis: String, report: Report)] = []
    guard let prepared = try features.prepare().first else {
      throw VitProbeError(.software, "the demo has no data")
    }
    let curvature = try hessian.prepare().run
    var provenance = try prepared.provenance()
    if case .object(let members) = provenance.configuration {
      provenance.configuration = .object(
        members + [
          .init("hessian", hessian.settings.json),
          .init("hessian_batches", .integer(curvature.minibatches)),
          .init("hessian_batch_size", .integer(hessian.batchSize)),
        ])
    }
    provenance.estimators.append("hessian: \(hessian.settings.json.compact)")
    let lesions = try study(Self.studyImages) { try LesionEvaluation($0, by: .zero) }
    let noise = try study(Self.studyImages) {
      try RobustnessEvaluation(
        $0, noise: FrequencyNoise(), (1...9).map { .frequencyNoise(Double($0) / 10) })
    }
    let axis = LandscapeStudy.axis(-1...1, count: 21)
    let surface = try study(Self.landscapeImages) {
      try LandscapeEvaluation($0, LandscapeEvaluation.Plan(axes: [axis, axis]))
    }
    if case .object(let members) = provenance.configuration {
      provenance.configuration = .object(
        members + [
          settings(of: lesions.run, on: Self.studyImages),
          settings(of: noise.run, on: Self.studyImages),
          settings(of: surface.run, on: Self.landscapeImages),
        ])
    }
    let folder = try OutputFolder(
      path, identity: provenance.identity(of: "demo"), replace: replace, force: force)
    opened(folder)
    let outcome = try prepared.run { progress("images", $0, $1) }
    reports += outcome.reports
    reports.append(("hessian", try curvature { progress("products", $0, $1) }))
    reports += try lesions.run.collect(progress: { progress("images of lesions", $0, $1) })
      .outcome().reports
    reports += try noise.run.collect(progress: { progress("noisy images", $0, $1) }).outcome()
      .reports
    reports += try surface.run.collect(progress: { progress("images of places", $0, $1) }).outcome()
      .reports
    for (_, report) in reports { try report.write(to: folder, as: formats) }
    var manifest = provenance.manifest(
      images: outcome.images,
      notes: outcome.notes
        + reports.flatMap { name, report in report.notes.map { "\(name): \($0)" } },
      wallSeconds: elapsed())
    manifest.networks = NetworkOutline.merged(reports.flatMap(\.report.networks))
    return Outcome(reports: reports, files: try folder.finish(manifest), folder: folder.path)
  }

  /// A study of the subjects on the first images.
  private func study<Evaluation: VariantEvaluation>(
    _ images: Int, variants: @escaping @Sendable ([ModelSubject]) throws -> Evaluation
  ) throws -> PreparedRun<EvaluationRun<Evaluation>> {
    var order = features
    order.data = [DataArgument(path: nil, limit: min(images, features.data[0].limit ?? images))]
    order.analyses = []
    return try EvaluationJob(order, variants: variants).prepare()
  }

  private func settings<Evaluation: VariantEvaluation>(
    of run: EvaluationRun<Evaluation>, on images: Int
  ) -> JSONValue.Member {
    .init(
      Evaluation.Study.name,
      ["images": .integer(images), "study": run.evaluation.study.settings])
  }
}
