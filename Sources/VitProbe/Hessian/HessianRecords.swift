import Diagnostics
import Reports

/// What was found of Hessians so far, by model and minibatch: all that a report needs, and all that a
/// file of records holds.
public struct HessianRecords: Sendable {
  static let kind = "hessian"

  /// Everything that records and reports depend on.
  struct Settings: Sendable, Codable {
    struct Model: Sendable, Codable {
      let settings: SubjectSettings
      let family: String
      let checkpoint: String
      let epoch: Int?
      let parameters: Int
    }
    let subjects: [Model]
    let data: DataSettings
    let batchSize: Int
    /// Images in each minibatch that takes part.
    let batchImages: [Int]
    let hessian: HessianSettings
    let loss: TrainingLoss

    /// Whether settings that were read from a file are ones that a run could have had.
    var isValid: Bool {
      !subjects.isEmpty && !batchImages.isEmpty && batchImages.count <= 1 << 24
        && batchImages.allSatisfy { (1...1 << 32).contains($0) }
    }
  }

  private struct Place: Hashable {
    let unit: Int
    let subject: Int
  }

  let settings: Settings
  private var records: [Place: HessianRecord] = [:]

  init(_ settings: Settings) { self.settings = settings }

  /// Minibatches, or 1 for the whole data set.
  var units: Int { settings.hessian.scope == .batch ? settings.batchImages.count : 1 }

  /// The documents that make a minibatch complete: one a model.
  var parts: [String] { settings.subjects.indices.map(Self.part) }

  private static func part(_ subject: Int) -> String { "model-\(subject)" }

  /// Records of all models.
  var count: Int { records.count }

  /// Images that every model has been looked at on.
  var images: Int {
    let complete = (0..<units).filter { unit in
      settings.subjects.indices.allSatisfy { has(unit, subject: $0) }
    }
    switch settings.hessian.scope {
    case .batch: return complete.reduce(0) { $0 + settings.batchImages[$1] }
    case .dataset: return complete.isEmpty ? 0 : settings.batchImages.reduce(0, +)
    }
  }

  func has(_ unit: Int, subject: Int) -> Bool {
    records[Place(unit: unit, subject: subject)] != nil
  }

  mutating func add(_ record: HessianRecord, unit: Int, subject: Int) {
    records[Place(unit: unit, subject: subject)] = record
  }

  /// A record for a file.
  func entry(_ unit: Int, subject: Int) throws -> RecordEntry {
    let record = records[Place(unit: unit, subject: subject)]
    return RecordEntry(
      batch: unit,
      documents: [.init(name: Self.part(subject), json: try RecordCoding.encode(record))])
  }

  /// Takes in records from a file.
  ///
  /// - Throws: ``VitProbeError`` `.badData`.
  mutating func restore(_ entry: RecordEntry, from path: String) throws(VitProbeError) {
    for document in entry.documents {
      do {
        let record = try RecordCoding.decode(HessianRecord.self, from: document.json)
        let number = settings.hessian.scope == .batch ? entry.batch : nil
        guard
          let subject = settings.subjects.indices.first(where: { Self.part($0) == document.name }),
          record.batch == number, record.isValid
        else { throw InvalidRecord() }
        add(record, unit: entry.batch, subject: subject)
      } catch {
        throw VitProbeError(
          .badData,
          "\(path): minibatch \(entry.batch): \(document.name): \(RecordCoding.reason(error))")
      }
    }
  }

  /// Tables and figures of all that is there.
  ///
  /// - Throws: ``VitProbeError`` `.badData` if there is nothing.
  public func report() throws -> Report {
    guard !records.isEmpty else { throw VitProbeError(.badData, "there is no record to report on") }
    let subjects = settings.subjects.enumerated().map { index, model in
      HessianReport.Subject(
        label: model.settings.label, family: model.family, checkpoint: model.checkpoint,
        epoch: model.epoch, labelStatus: model.settings.classes?.status ?? "ok",
        records: (0..<units).compactMap { records[Place(unit: $0, subject: index)] })
    }
    return try HessianReport(
      subjects, settings: settings.hessian, loss: settings.loss.name,
      batchSize: settings.batchSize)()
  }
}

extension HessianRecord {
  /// Whether the numbers of a record that was read from a file exist.
  fileprivate var isValid: Bool {
    let values = eigenvalues.flatMap { [$0.value, $0.residual] }
    let others = [trace?.value, trace?.standardError, density?.bandwidth].compactMap(\.self)
    return (values + others).allSatisfy(\.isFinite) && (0...1 << 40).contains(images)
      && density?.x.count == density?.density.count
  }
}
