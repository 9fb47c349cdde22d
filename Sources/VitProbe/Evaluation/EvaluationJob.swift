import Diagnostics
import Reports
import StrictJSON

/// A study of variants as a user orders it.
public struct EvaluationJob<Evaluation: VariantEvaluation>: Sendable {
  /// The subjects, the data and how the run is carried out; without analyses.
  public var order: FeatureJob
  /// Minibatches looked at, from the first; nil for all.
  public var batchLimit: Int?
  private let variants: @Sendable ([ModelSubject]) throws -> Evaluation

  /// A study.
  ///
  /// - Parameters:
  ///   - variants: makes the variants of the models once they are open.
  public init(
    _ order: FeatureJob, variants: @escaping @Sendable ([ModelSubject]) throws -> Evaluation
  ) {
    (self.order, self.variants) = (order, variants)
  }

  /// Opens models and data and plans the run.
  ///
  /// - Throws: ``VitProbeError`` before anything is computed.
  public func prepare() throws -> PreparedRun<EvaluationRun<Evaluation>> {
    let name = Evaluation.Study.name
    guard order.data.count == 1 else {
      throw VitProbeError(.usage, "\(name) takes one `data`; run it again for the other")
    }
    let models = try order.openSubjects().map { subject in
      guard let model = subject as? ModelSubject else {
        throw VitProbeError(
          .usage, "\(subject.label) is a file of features; \(name) needs a model to run")
      }
      return model
    }
    let data = try order.openSamples(for: models)[0]
    let run = try EvaluationRun(
      models, on: data.samples, try variants(models), options: order.options,
      batchLimit: batchLimit)
    try run.checkSizes(all: false)
    return PreparedRun(run: run, provenance: { try provenance(of: run, from: data.argument) })
  }

  private func provenance(
    of run: EvaluationRun<Evaluation>, from data: DataArgument
  ) throws -> Provenance {
    let name = Evaluation.Study.name
    var configuration = order.configuration(of: run.subjects, on: run.data, from: data)
    configuration += [
      .init("batches", batchLimit.map(JSONValue.integer) ?? .null),
      .init("classes", ClassMapping.json(run.classes, of: run.subjects)),
      .init(name, run.evaluation.study.settings),
    ]
    if let shard = order.options.shard {
      configuration.append(.init("shard", .string(shard.description)))
    }
    return Provenance(
      arguments: order.arguments, configuration: .object(configuration),
      inputs: try Manifest.Input.reading(
        run.subjects.flatMap(\.inputFiles) + run.evaluation.inputFiles, data: run.data.inputFiles),
      seed: order.seed, estimators: [name],
      notes: run.subjects.flatMap(\.labelledNotes) + run.notes)
  }
}

extension FeatureJob {
  /// The images of the first data set on which running statistics are estimated anew.
  ///
  /// - Parameter batchLimit: minibatches of the run; nil for all.
  /// - Throws: as ``DataArgument/samples()``.
  public func statisticsImages(batchLimit: Int?) throws -> StatisticsImages {
    guard let data = data.first else { throw VitProbeError(.software, "a job without data") }
    return StatisticsImages(
      try data.samples(), batchSize: options.batchSize, batchLimit: batchLimit,
      onBadImage: options.badImages)
  }

  /// Opens a model beside the subjects.
  ///
  /// - Parameter reason: why it must be one.
  /// - Throws: as ``openSubject(_:label:preprocessing:features:)``; ``VitProbeError`` for a file of features.
  public func openModel(_ argument: SubjectArgument, for reason: String) throws -> ModelSubject {
    guard let model = try open(argument) as? ModelSubject else {
      throw VitProbeError(.usage, "\(argument.text) is a file of features; \(reason)")
    }
    return model
  }
}
