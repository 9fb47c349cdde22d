import Diagnostics
import Reports

extension RunRecords where Kind == HessianRecords {
  /// Tables and figures of all that is there.
  ///
  /// - Throws: ``VitProbeError`` `.badData` if there is nothing.
  public func report() throws -> Report {
    guard let report = try outcome().reports.first?.report else {
      throw VitProbeError(.badData, "there is no record to report on")
    }
    return report
  }
}

/// The records of Hessians: a unit is a model on a minibatch, or a model on the whole data set.
public struct HessianRecords: RecordKind {
  /// Everything that records and reports depend on.
  public struct Settings: Sendable, Codable {
    struct Model: Sendable, Codable {
      let settings: SubjectSettings
      let family: String
      let checkpoint: String
      let epoch: Int?
      let parameters: Int
    }
    let subjects: [Model]
    let dataName: String
    let data: DataSettings
    let batchSize: Int
    /// Images in each minibatch that takes part.
    let batchImages: [Int]
    let hessian: HessianSettings
    let loss: TrainingLoss
  }

  /// `hessian`.
  public static let name = "hessian"
  /// What the records depend on.
  public let settings: Settings

  /// The records of the models that the settings name.
  public init(_ settings: Settings) throws(VitProbeError) {
    guard !settings.subjects.isEmpty, !settings.batchImages.isEmpty,
      settings.batchImages.count <= 1 << 24,
      settings.batchImages.allSatisfy({ (1...1 << 32).contains($0) })
    else { throw VitProbeError(.badData, "its models and minibatches make no sense") }
    self.settings = settings
  }

  /// Minibatches, or 1 for the whole data set.
  private var batches: Int {
    settings.hessian.scope == .batch ? settings.batchImages.count : 1
  }

  /// Model by model.
  public var units: UnitPlan {
    UnitPlan(settings.subjects.indices.map { WorkUnit(point: $0) }, on: Array(0..<batches))
  }

  /// One a model.
  public func documents(of unit: WorkUnit) -> [String] { ["model-\(unit.point)"] }

  /// Whether the numbers exist, and are of the unit's minibatch.
  public func isValid(_ record: HessianRecord, of unit: WorkUnit) -> Bool {
    let values = record.eigenvalues.flatMap { [$0.value, $0.residual] }
    let others = [record.trace?.value, record.trace?.standardError, record.density?.bandwidth]
    return record.batch == (settings.hessian.scope == .batch ? unit.batch : nil)
      && (values + others.compactMap(\.self)).allSatisfy(\.isFinite)
      && (0...1 << 40).contains(record.images)
      && record.density?.x.count == record.density?.density.count
  }

  /// Images that every model has been looked at on.
  public func tally(_ records: RunRecords<Self>) -> RunTally {
    let total = settings.batchImages.reduce(0, +)
    let models = records.known.reduce(into: [Int: Int]()) { $0[$1.batch, default: 0] += 1 }
    let complete = models.filter { $0.value == settings.subjects.count }.keys
    let images =
      settings.hessian.scope == .batch
      ? complete.reduce(0) { $0 + settings.batchImages[$1] } : complete.isEmpty ? 0 : total
    return RunTally(images: images, total: total)
  }

  /// All models in one report.
  public func report(_ records: RunRecords<Self>) throws -> RunReport {
    let records = try records.all()
    guard !records.isEmpty else { throw VitProbeError(.badData, "there is no record to report on") }
    let subjects = settings.subjects.enumerated().map { index, model in
      HessianReport.Subject(
        label: model.settings.label, family: model.family, checkpoint: model.checkpoint,
        epoch: model.epoch, labelStatus: model.settings.classes?.status ?? "ok",
        records: records.filter { $0.unit.point == index }.map(\.record))
    }
    return RunReport([
      (
        "hessian",
        try HessianReport(
          subjects, settings: settings.hessian, loss: settings.loss.name,
          batchSize: settings.batchSize, data: settings.dataName)()
      )
    ])
  }
}
