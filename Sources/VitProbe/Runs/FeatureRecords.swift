import Diagnostics
import Images
import Reports

/// What analyses of features find out on one minibatch.
public struct FeatureRecord: Sendable {
  /// What is known of a minibatch besides the records of the analyses.
  struct Minibatch: Codable {
    /// Images that could be read.
    var images: Int
    /// Whether they were too few for the analyses.
    var isLeftOut: Bool
    var skipped: [SkippedImage]
    /// What decoding the images has shown.
    var remarks: [ImageRemark]
    /// Where NaN or infinities appear, a value for each subject that has some.
    var nonfinite: [NonfiniteValue]
  }

  let minibatch: Minibatch
  /// The record of each analysis; none if the minibatch was left out.
  let analyses: [any Sendable]
}

/// The records of analyses of features: a unit is a minibatch.
public struct FeatureRecords: RecordKind {
  /// `features`.
  public static let name = "features"
  /// The document of a minibatch itself; the others have the names of their analyses.
  private static let minibatchName = "minibatch"
  private static let absent = Array("null".utf8)

  /// What the records depend on.
  public let settings: FeatureSettings
  let plan: Plan
  private var analyses: [any PlannedAnalysis] { settings.analyses.map(\.planned) }
  private let names: [String]
  private let minimum: MinimumBatch

  /// The records of the analyses that the settings name.
  public init(_ settings: FeatureSettings) throws(VitProbeError) {
    self.settings = settings
    let analyses = settings.analyses.map(\.planned)
    guard let plan = analyses.first?.plan,
      analyses.allSatisfy({ $0.plan.batchSizes == plan.batchSizes }),
      Set(analyses.map(\.name)).count == analyses.count
    else { throw VitProbeError(.badData, "its analyses have no plan in common") }
    self.plan = plan
    names = [Self.minibatchName] + analyses.map(\.name)
    minimum = analyses.minimumBatch
  }

  /// As the subjects say.
  public var compute: String? { settings.subjects.compute }

  /// The minibatches.
  public var units: UnitPlan { UnitPlan([WorkUnit()], on: Array(plan.batchSizes.indices)) }

  /// The minibatch, then each analysis.
  public func documents(of unit: WorkUnit) -> [String] { names }

  /// One document each.
  public func encode(
    _ record: FeatureRecord, of unit: WorkUnit
  ) throws -> [RecordEntry.Document] {
    var documents = [
      RecordEntry.Document(
        name: Self.minibatchName, json: try RecordCoding.encode(record.minibatch))
    ]
    for (place, analysis) in analyses.enumerated() {
      documents.append(
        .init(
          name: analysis.name,
          json: record.minibatch.isLeftOut
            ? Self.absent : try analysis.encode(record.analyses[place])))
    }
    return documents
  }

  /// All or none of the analyses have a record.
  public func decode(
    _ documents: [RecordEntry.Document], of unit: WorkUnit
  ) throws -> FeatureRecord {
    let minibatch = try documents[0].decoded { json in
      let batch = try RecordCoding.decode(FeatureRecord.Minibatch.self, from: json)
      guard plan.canHold(batch.images), batch.isLeftOut == (batch.images < minimum.count),
        batch.nonfinite.allSatisfy({ plan.subjects.indices.contains($0.subject) })
      else { throw InvalidRecord() }
      return batch
    }
    let records = try zip(documents.dropFirst(), analyses).compactMap { document, analysis in
      try document.decoded { json -> (any Sendable)? in
        guard minibatch.isLeftOut == (json == Self.absent) else { throw InvalidRecord() }
        return minibatch.isLeftOut ? nil : try analysis.decode(json)
      }
    }
    return FeatureRecord(minibatch: minibatch, analyses: records)
  }

  /// Each document was checked by its analysis.
  public func isValid(_ record: FeatureRecord, of unit: WorkUnit) -> Bool { true }

  /// The images that were analysed and those that could not be read.
  public func tally(_ records: RunRecords<Self>) throws -> RunTally {
    let batches = try records.all().map(\.record.minibatch)
    return RunTally(
      images: batches.reduce(0) { $0 + ($1.isLeftOut ? 0 : $1.images) },
      total: plan.batchSizes.reduce(0, +),
      skipped: batches.flatMap(\.skipped).sorted { $0.position < $1.position })
  }

  /// A report an analysis.
  public func report(_ records: RunRecords<Self>) throws -> RunReport {
    let records = try records.all()
    let used = records.map(\.record).filter { !$0.minibatch.isLeftOut }
    guard !used.isEmpty else {
      throw VitProbeError(.badData, "no minibatch has \(minimum.count) images that can be read")
    }
    var report = RunReport([])
    for (place, analysis) in analyses.enumerated() {
      let own = try analysis.report(used.map { $0.analyses[place] })
      if !own.tables.isEmpty { report.reports.append((analysis.name, own)) }
    }
    report.notes = records.filter(\.record.minibatch.isLeftOut).map {
      "minibatch \($0.unit.batch) has fewer than \(minimum.count) images that can be read and was "
        + "left out"
    }
    report.notes += ImageRemark.merged(records.flatMap(\.record.minibatch.remarks))
      .map(\.description)
    let nonfinite = records.flatMap { unit, record in
      record.minibatch.nonfinite.map { (unit.batch, $0) }
    }
    report.notes += NonfiniteValue.notes(nonfinite, labels: plan.subjects.map(\.label))
    return report
  }
}

extension [any PlannedAnalysis] {
  /// What the most demanding analysis needs.
  var minimumBatch: MinimumBatch {
    map(\.minimumBatch).max { $0.count < $1.count } ?? MinimumBatch(1, "one image is enough")
  }
}
