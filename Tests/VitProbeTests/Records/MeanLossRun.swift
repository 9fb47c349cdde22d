import Diagnostics
import Images
import Models
import Reports
import Tensors

@testable import VitProbe

/// The mean loss of a network at several points of weight space: a unit is a point on a minibatch.
struct MeanLossRun: RecordedJob {
  let subject: ModelSubject
  let data: ImageDataSet
  let batches: BatchPlan
  /// Every parameter and buffer by name, for each point.
  let points: [[String: Tensor]]
  var loss = TrainingLoss()
  var shard: Shard?

  var units: UnitPlan {
    UnitPlan(
      points.indices.map { WorkUnit(point: $0) },
      on: batches.batches.indices.filter { shard?.contains($0) ?? true })
  }

  /// Images.
  func cost(of unit: WorkUnit) -> Int { batches.batches[unit.batch].count }

  /// A pass a thread.
  func width(of count: Int) -> Int { Threads.count }

  func kind(_ inputs: [Manifest.Input]) throws -> MeanLosses {
    MeanLosses(
      MeanLosses.Settings(
        subject: SubjectSettings(subject, inputs, classes: .numbers),
        data: DataSettings(count: data.count, files: inputs) { (data.id($0), data.label($0)) },
        batchImages: batches.batches.map(\.count), loss: loss, points: points.map(digest)))
  }

  private func digest(_ point: [String: Tensor]) -> String {
    let digest = SHA256()
    for (name, tensor) in point.sorted(by: { $0.key < $1.key }) {
      digest.update(Array(name.utf8))
      tensor.withValues { digest.update(UnsafeRawBufferPointer($0)) }
    }
    return digest.finish()
  }

  func compute(_ unit: WorkUnit, _ hand: UnitInHand) throws -> MeanLosses.Record {
    let batch = Minibatch(try data.batch(unit.batch, of: batches))
    let (images, targets) = loss.prepare(
      try subject.images(of: batch), labels: batch.labels.compactMap(\.self),
      classes: subject.network.classCount ?? 0, batch: unit.batch)
    let network = try subject.network.rebuilt(with: points[unit.point])
    let losses = network(images).crossEntropy(targets: targets)
    return MeanLosses.Record(
      images: batch.count, sum: losses.values.reduce(0) { $0 + Double($1) })
  }
}

/// The records of mean losses, as far as they can be told without model and data.
struct MeanLosses: RecordKind {
  struct Settings: Codable, Sendable {
    let subject: SubjectSettings
    let data: DataSettings
    let batchImages: [Int]
    let loss: TrainingLoss
    /// SHA-256 of the weights of each point.
    let points: [String]
  }

  struct Record: Codable, Sendable {
    let images: Int
    /// Of the losses of its images.
    let sum: Double
  }

  static let name = "mean-loss"
  let settings: Settings

  init(_ settings: Settings) { self.settings = settings }

  var units: UnitPlan {
    UnitPlan(
      settings.points.indices.map { WorkUnit(point: $0) }, on: Array(settings.batchImages.indices))
  }

  func isValid(_ record: Record, of unit: WorkUnit) -> Bool {
    record.images == settings.batchImages[unit.batch]
  }

  /// Images that every point has been looked at on.
  func tally(_ records: RunRecords<Self>) throws -> RunTally {
    let images = try records.all().reduce(0) { $0 + $1.record.images }
    return RunTally(
      images: images / max(1, settings.points.count), total: settings.batchImages.reduce(0, +))
  }

  func report(_ records: RunRecords<Self>) throws -> RunReport {
    let records = try records.all()
    var table = Table(
      "mean_loss",
      columns: [
        .text("model"), .integer("point"), .integer("n_images"), .real("loss"), .text("status"),
      ])
    for point in settings.points.indices {
      let own = records.filter { $0.unit.point == point }.map(\.record)
      let (images, sum) = own.reduce((0, 0.0)) { ($0.0 + $1.images, $0.1 + $1.sum) }
      let isKnown = images > 0 && sum.isFinite
      table.append([
        .text(settings.subject.label), .integer(point), .integer(images),
        Cell(isKnown ? sum / Double(images) : nil),
        .text(isKnown ? "ok" : images == 0 ? "missing" : "nan_input"),
      ])
    }
    return RunReport([("mean_loss", Report(tables: [table], figures: [], summary: table))])
  }
}
