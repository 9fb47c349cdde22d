import Diagnostics
import DurableFiles
import Reports
import StrictJSON

/// The partial results of shards as one: the same files as one run would have written, without the
/// models and without the data.
public struct MergeJob: Sendable {
  /// The command and its arguments, for the manifest.
  public var arguments: [String]
  /// Files of records, or folders that hold some.
  public var parts: [String]
  /// The analyses that may be found.
  public var analyses: [any Analyzer.Type]
  /// The kinds of records that may be found.
  public var kinds: [any RecordKind.Type] = [
    FeatureRecords.self, HessianRecords.self, EvaluationRecords<LesionStudy>.self,
    EvaluationRecords<RobustnessStudy>.self, EvaluationRecords<LandscapeStudy>.self,
    EvaluationRecords<TrajectoryStudy>.self,
  ]
  /// Whether minibatches may be missing.
  public var allowsPartial = false

  /// A merge.
  public init(arguments: [String], parts: [String], analyses: [any Analyzer.Type]) {
    self.arguments = arguments
    self.parts = parts
    self.analyses = analyses
  }

  /// What came of a merge.
  public struct Outcome: Sendable {
    /// Reports, remarks and images.
    public fileprivate(set) var run: RunOutcome
    /// Which merge this is: of which run.
    public let identity: RunIdentity
    /// What `run.json` will say, without what came of it.
    fileprivate(set) var manifest: Manifest

    /// Writes everything: all files appear, or none.
    ///
    /// - Returns: the names of the files.
    public func write(
      to folder: OutputFolder, formats: ReportFormats, wallSeconds: Double
    ) throws -> [String] {
      try run.write(to: folder, formats: formats, manifest: manifest, wallSeconds: wallSeconds)
    }
  }

  private struct Part {
    let path: String
    let file: RecordFile
  }

  /// Reads the parts and reports on all of them together.
  ///
  /// - Throws: ``VitProbeError``: `.noInput`; `.badData` for damaged files, parts of different runs,
  ///   minibatches that several parts hold, and missing ones unless they are allowed.
  public func callAsFunction() throws -> Outcome {
    let parts = try open()
    guard let first = parts.first else {
      throw VitProbeError(.usage, "merge needs the files that shards left")
    }
    let outline = first.file.header.outline
    for other in parts.dropFirst() {
      if let found = first.file.header.difference(
        from: other.file.header, names: (first.path, other.path))
      {
        throw VitProbeError(.badData, "these parts are not of one run: \(found)")
      }
    }
    let missing = try checkCoverage(parts)
    var notes: [String] = []
    for part in parts where part.file.tornLength > 0 {
      notes.append("\(part.path): its last record is not whole and was left out")
    }
    let kernels = Set(parts.map(\.file.header.outline.kernels)).sorted()
    if kernels.count > 1 {
      notes.append(
        "the parts were computed with different kernels (\(kernels.joined(separator: "; "))): "
          + "they agree to rounding, not to the last bit")
    }
    var manifest = try provenance(parts).manifest()
    manifest.kernels = kernels
    if !missing.isEmpty, case .object(let members) = manifest.configuration {
      manifest.configuration = .object(
        members + [.init("missing_minibatches", .array(missing.map(JSONValue.integer)))])
    }
    guard let kind = kinds.first(where: { $0.name == outline.kind }) else {
      throw VitProbeError(
        .badData,
        "\(first.path): records of \"\(outline.kind)\", which this version does not know")
    }
    var outcome = Outcome(
      run: try report(parts, as: kind),
      identity: RunIdentity(command: "merge", settingsSHA256: outline.digest), manifest: manifest)
    if !missing.isEmpty {
      notes.append(
        "the results stand on \(outcome.run.images) of \(outcome.run.total) images: "
          + "\(missing.count) of \(outline.batches) minibatches are missing")
    }
    outcome.run.notes = notes + outcome.run.notes
    return outcome
  }

  // MARK: Reading

  private func open() throws -> [Part] {
    var parts: [Part] = []
    for path in try self.parts.flatMap(files) {
      guard !parts.contains(where: { $0.path == path }) else {
        throw VitProbeError(.usage, "\(path) is given twice")
      }
      let file = try RecordFile(reading: path)
      guard file.tornLength == 0 || allowsPartial else {
        throw VitProbeError(
          .badData,
          "\(path): the record at byte \(file.soundLength) is not whole; repeat the command of "
            + "the shard to finish it, or pass `allowsPartial` to go without")
      }
      parts.append(Part(path: path, file: file))
    }
    return parts
  }

  /// A folder stands for the files in it; for the records of a shard that was not finished only if
  /// minibatches may be missing.
  private func files(_ part: String) throws -> [String] {
    guard let found = OutputFolder.files(in: part, endingIn: RecordFile.suffix) else {
      return [part]
    }
    let unfinished = OutputFolder.allRecords(in: part)
    if !found.isEmpty { return allowsPartial ? found + unfinished : found }
    if !unfinished.isEmpty {
      guard !allowsPartial else { return unfinished }
      throw VitProbeError(
        .badData,
        "\(part) holds the records of a run that was not finished; repeat its command "
          + "to finish it, or pass `allowsPartial` to take what is there")
    }
    throw VitProbeError(
      .noInput, "\(part): there is no \(RecordFile.suffix) file in this folder")
  }

  /// - Returns: the minibatches that are not complete.
  private func checkCoverage(_ parts: [Part]) throws -> [Int] {
    let outline = parts[0].file.header.outline
    var owners: [RecordPart: String] = [:]
    for part in parts {
      for place in part.file.entries.flatMap(\.recordParts) {
        if let other = owners.updateValue(part.path, forKey: place) {
          throw VitProbeError(
            .badData,
            "minibatch \(place.batch) is in both \(other) and \(part.path); give each shard once")
        }
      }
    }
    let missing = (0..<outline.batches).filter { batch in
      !outline.parts.allSatisfy { owners[RecordPart(batch: batch, name: $0)] != nil }
    }
    if !missing.isEmpty, !allowsPartial {
      let names = missing.prefix(8).map(String.init).joined(separator: ", ")
      let shards = Set(parts.compactMap(\.file.header.outline.shard)).map(\.description).sorted()
      throw VitProbeError(
        .badData,
        "\(missing.count) of \(outline.batches) minibatches are missing (\(names)"
          + (missing.count > 8 ? ", …" : "") + ")"
          + (shards.isEmpty
            ? "" : "; the parts are of the shards \(shards.joined(separator: ", "))")
          + "; add the other parts, or pass `allowsPartial` to report on what is there")
    }
    return missing
  }

  // MARK: Reporting

  private func provenance(_ parts: [Part]) throws -> Provenance {
    var all: [Provenance] = []
    for part in parts {
      do {
        all.append(try Provenance(parsing: part.file.header.provenance))
      } catch {
        throw VitProbeError(.badData, "\(part.path): its header: \(error)")
      }
    }
    var merged = all[0]
    if case .object(let members) = merged.configuration {
      merged.configuration = .object(
        members.filter { $0.name != "shard" } + [
          .init(
            "parts",
            .array(
              zip(parts, all).map { part, provenance in
                [
                  "file": .string(part.path),
                  "shard": part.file.header.outline.shard.map { .string($0.description) } ?? .null,
                  "arguments": .array(provenance.arguments.map(JSONValue.string)),
                ]
              }))
        ])
    }
    merged.arguments = arguments
    merged.notes = all.flatMap(\.notes).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    return merged
  }

  private func report<Kind: RecordKind>(
    _ parts: [Part], as type: Kind.Type
  ) throws -> RunOutcome {
    let header = parts[0].file.header
    var records: RunRecords<Kind>
    do {
      records = RunRecords(
        try Kind(
          RecordCoding.decode(Kind.Settings.self, from: header.settings, analyses: analyses)))
    } catch {
      throw VitProbeError(.badData, "\(parts[0].path): its header: \(RecordCoding.reason(error))")
    }
    guard records.parts == header.outline.parts, records.batches == header.outline.batches else {
      throw VitProbeError(.badData, "\(parts[0].path): its header contradicts itself")
    }
    for part in parts {
      for entry in part.file.entries { try records.restore(entry, from: part.path) }
    }
    return try records.outcome()
  }
}
