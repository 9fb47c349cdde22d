import Diagnostics
import Images
import Models
import Reports
import StrictJSON
import Synchronization
import Tensors
import TestSupport

@testable import VitProbe

/// Runs of small models, to be interrupted, shared out and merged.
enum RecordStudy {
  static let provenance = Provenance(
    arguments: ["run"], configuration: .object([]), inputs: [], seed: 0, estimators: [], notes: [])

  static let types: [any Analyzer.Type] = [
    CKAAnalyzer.self, FourierAnalyzer.self, VarianceAnalyzer.self, RelationsAnalyzer.self,
  ]

  /// Three analyses of two models on 42 labelled images: five minibatches, the last of ten.
  static func features(
    _ shard: Shard? = nil, analyses: [any Analyzer] = Samples.analyses, batchSize: Int = 8
  ) throws -> FeatureRun {
    var options = Samples.options(batchSize: batchSize)
    options.shard = shard
    return try FeatureRun(
      [Samples.model(Samples.vit, label: "v"), Samples.model(Samples.resnet, label: "r")],
      on: Samples.images(42), analyses: analyses, options: options)
  }

  /// Spectra of two models on labelled images: unless told otherwise, four minibatches of four.
  static func hessian(
    _ shard: Shard? = nil, scope: HessianSettings.Scope = .batch, steps: Int = 4,
    images: Int = 16, batchSize: Int = 4, _ change: (inout HessianSettings) -> Void = { _ in }
  ) throws -> HessianRun {
    var settings = HessianSettings()
    settings.steps = steps
    settings.top = 2
    settings.scope = scope
    settings.parameters = ["head.*"]
    change(&settings)
    let bytes = (0..<images * 3072).map { UInt8(truncatingIfNeeded: $0 &* $0 / 7) }
    let source = try ArrayImages(
      name: "x", shape: [images, 32, 32, 3], element: .uint8, bytes: bytes,
      labels: (0..<images).map { $0 % 7 })
    return try HessianRun(
      ["a", "b"].map { try Samples.model(Samples.vit, label: $0) },
      on: ImageDataSet(source, name: "x"), settings: settings, loss: TrainingLoss(),
      batchSize: batchSize,
      batchLimit: nil, shard: shard)
  }

  static func log(
    _ run: FeatureRun, in folder: String, resuming: Bool = false, found: RecordsFound? = nil
  ) throws -> RecordLog {
    try RecordLog(
      in: folder, header: run.recordHeader(provenance), provenance: provenance,
      found: found ?? (resuming ? .resume : .replace))
  }

  static func log(
    _ run: HessianRun, in folder: String, resuming: Bool = false,
    products: ProductKeeping? = nil
  ) throws -> RecordLog {
    try RecordLog(
      in: folder, header: run.recordHeader(provenance), provenance: provenance,
      found: resuming ? .resume : .replace, products: products)
  }

  /// The bytes of every file that reports become.
  static func files(_ reports: [Report]) -> [String: String] {
    var files: [String: String] = [:]
    for report in reports {
      for table in report.tables { files[table.name + ".csv"] = table.csv }
      for figure in report.figures { files[figure.name + ".svg"] = figure.svg }
    }
    return files
  }

  static func files(_ outcome: RunOutcome) -> [String: String] {
    files(outcome.reports.map(\.report))
  }

  /// What a shard of the run leaves; returns its path.
  static func part(_ run: FeatureRun, in scratch: Scratch, as name: String) throws -> String {
    let log = try log(run, in: scratch.folder("of-" + name))
    _ = try run.collect(keeping: log)
    return scratch.write(try log.sealed(), as: name)
  }

  static func part(_ run: HessianRun, in scratch: Scratch, as name: String) throws -> String {
    let log = try log(run, in: scratch.folder("of-" + name))
    _ = try run.collect(keeping: log)
    return scratch.write(try log.sealed(), as: name)
  }

  static func merge(
    _ parts: [String], allowsPartial: Bool = false
  ) throws -> MergeJob.Outcome {
    var job = MergeJob(arguments: ["merge"], parts: parts, analyses: types)
    job.allowsPartial = allowsPartial
    return try job()
  }
}

/// Says stop once it has been asked so many times.
final class Countdown: Sendable {
  private let left: Atomic<Int>
  init(_ count: Int) { left = Atomic(count) }
  func isOver() -> Bool { left.subtract(1, ordering: .relaxed).oldValue <= 0 }
}
