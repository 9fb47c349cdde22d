import Diagnostics
import Images
import Reports

/// Hessian spectra as a user orders them.
public struct HessianJob: Sendable {
  /// The command and its arguments, for the manifest.
  public var arguments: [String]
  /// The models.
  public var subjects: [SubjectArgument]
  /// The images and their labels.
  public var data: DataArgument
  /// What is computed.
  public var settings = HessianSettings()
  /// The loss.
  public var loss = TrainingLoss()
  /// Images in a minibatch.
  public var batchSize = 16
  /// Minibatches looked at; nil for all.
  public var batchLimit: Int? = 16
  /// Bytes for what is recorded of losses and gradients.
  public var memory: Int?
  /// Changes to the models' own preprocessing.
  public var preprocessing = PreprocessingOverrides()

  /// A job.
  public init(arguments: [String], subjects: [SubjectArgument], data: DataArgument) {
    self.arguments = arguments
    self.subjects = subjects
    self.data = data
  }

  /// Opens models and data and plans the run.
  ///
  /// - Throws: ``VitProbeError`` before anything is computed.
  public func prepare() throws -> HessianRun {
    let labels = subjects.map { $0.label ?? $0.defaultLabel }
    try checkLabels(labels)
    if data.path == nil,
      let other = subjects.first(where: { if case .demo = $0.source { false } else { true } })
    {
      throw VitProbeError(
        .usage, "--data is missing; the bundled images serve bundled checkpoints only, not "
          + "\(other.text)")
    }
    let set = try data.open()
    var models: [ModelSubject] = []
    for (argument, label) in zip(subjects, labels) {
      let subject = try openSubject(
        argument, label: label, preprocessing: preprocessing, features: FeatureLayout())
      guard let model = subject as? ModelSubject else {
        throw VitProbeError(
          .usage, "\(label) is a file of features; a Hessian needs a model's weights")
      }
      models.append(model)
    }
    return try HessianRun(
      models, on: set, settings: settings, loss: loss, batchSize: batchSize,
      batchLimit: batchLimit, memory: memory ?? 4 << 30)
  }

  /// Writes what came of the run: all files appear, or none.
  ///
  /// - Returns: the names of the files.
  public func write(
    _ report: Report, of run: HessianRun, to folder: OutputFolder, formats: Set<ReportFormat>,
    wallSeconds: Double
  ) throws -> [String] {
    var manifest = try Manifest(
      arguments: arguments,
      configuration: [
        "subjects": .array(run.subjects.map(\.description)),
        "data": [
          "path": data.path.map(JSONText.string) ?? "bundled", "images": .integer(run.data.count),
          "labels": data.labels.map(JSONText.string) ?? .null,
        ],
        "batch_size": .integer(batchSize), "batches": .integer(run.minibatches),
        "loss": .string(loss.name), "hessian": settings.json,
      ],
      seed: settings.seed, images: run.imageCount, inputs: run.subjects.flatMap(\.inputFiles),
      data: run.data.inputFiles, wallSeconds: wallSeconds)
    manifest.estimators = ["hessian: \(settings.json.compact)"]
    try report.write(to: folder, as: formats)
    return try folder.commit(manifest).outputs.map(\.name) + ["run.json"]
  }
}
