import Diagnostics
import Images
import Reports
import StrictJSON

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
  /// Which share of the minibatches is looked at, if not all.
  public var shard: Shard?
  /// Bytes of disk for the products of a data set's Hessian while it is computed, which a resumed
  /// run goes on from; nil for half of what is free.
  public var keptBytes: Int?
  /// Processes that share the minibatches of a data set.
  public var ranks: any Ranks = SingleRank()
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
  public func prepare() throws -> PreparedRun<HessianRun> {
    let labels = subjects.map { $0.label ?? $0.defaultLabel }
    try checkLabels(labels)
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
    if data.path == nil,
      let other = subjects.first(where: { if case .demo = $0.source { false } else { true } })
    {
      throw VitProbeError(
        .usage,
        "`data` is missing; the bundled images serve bundled checkpoints only, not "
          + "\(other.text)")
    }
    let set = try data.open()
    let run = try HessianRun(
      models, on: set, naming: try data.naming(of: set), settings: settings, loss: loss,
      batchSize: batchSize, batchLimit: batchLimit, memory: memory ?? 4 << 30, shard: shard)
    // Models are worked on one after the other: images that do not fit the last are an error now.
    if ranks.count == 1 { try run.checkSizes(all: false) }
    return PreparedRun(
      run: run,
      products: settings.scope == .dataset && keptBytes != 0
        ? ProductKeeping(ranks: ranks.count, limit: keptBytes) : nil,
      provenance: { try provenance(of: run) })
  }

  private func provenance(of run: HessianRun) throws -> Provenance {
    var configuration: [JSONValue.Member] = [
      .init("subjects", .array(run.subjects.map(\.description))),
      .init(
        "data",
        [
          "path": data.path.map(JSONValue.string) ?? "bundled", "images": .integer(run.data.count),
          "labels": data.labels.map(JSONValue.string) ?? .null,
        ]),
      .init("classes", ClassMapping.json(run.classes, of: run.subjects)),
      .init("batch_size", .integer(batchSize)), .init("batches", .integer(run.minibatches)),
      .init("loss", .string(loss.name)), .init("hessian", settings.json),
    ]
    if let shard { configuration.append(.init("shard", .string(shard.description))) }
    return Provenance(
      arguments: arguments, configuration: .object(configuration),
      inputs: try Manifest.Input.reading(
        run.subjects.flatMap(\.inputFiles), data: run.data.inputFiles),
      seed: settings.seed, estimators: ["hessian: \(settings.json.compact)"],
      notes: run.subjects.flatMap(\.labelledNotes) + run.notes)
  }
}
