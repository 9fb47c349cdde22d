import DurableFiles
import Reports
import Synchronization

/// What becomes of records that an interrupted run left.
public enum RecordsFound: Sendable {
  /// This run goes on from its own; those of another are an error.
  case goOn
  /// As ``goOn``, of a finished shard too; that there are none is said.
  case resume
  /// They are deleted.
  case replace
}

/// The records of a run in its output folder: those that an earlier run left, and those that come.
///
/// Each minibatch is saved as it is finished, in a hidden file. It appears with the first record and
/// goes when the results are in their place, so that a run that is killed at any moment loses the
/// minibatches in hand and no more.
public final class RecordLog: Sendable {
  private struct State {
    var file: AppendFile?
    var reader: RegularFile?
    var saved: Int
    var lastSync: ContinuousClock.Instant
  }

  /// Remarks for the user: what was found.
  public let notes: [String]
  let header: RecordHeader
  let provenance: Provenance
  /// Where the records of an earlier run are, for this one to go on from.
  let earlier: [RecordPlace]
  /// The products of the solver in hand, where one takes long enough for them to be kept.
  let products: HessianProductLog?
  let path: String
  private let productsPath: String
  private let state: Mutex<State>

  /// - Parameters:
  ///   - folder: the path of the output folder, which this process has locked.
  ///   - found: what becomes of records that are there.
  ///   - products: whether, and how, the products of a solver are kept.
  /// - Throws: ``VitProbeError`` for records of another run or damaged ones, `FileError`.
  init(
    in folder: String, header: RecordHeader, provenance: Provenance, found policy: RecordsFound,
    products: ProductKeeping? = nil
  ) throws {
    self.header = header
    self.provenance = provenance
    path = OutputFolder.recordsPath(in: folder, shard: header.outline.shard?.description)
    productsPath = OutputFolder.productsPath(in: folder)
    let found = try AppendFile.contents(path)
    var notes: [String] = []
    var records: RecordFile?
    var file: AppendFile?
    if policy != .replace {
      if let found {
        let known = try Self.read(found, path, for: header, &notes)
        file = try AppendFile(continuing: path, after: known.soundLength)
        records = known
      } else if policy == .resume, let shard = header.outline.shard,
        case let finished = folder + "/" + shard.fileName,
        let found = try AppendFile.contents(finished)
      {
        let known = try Self.read(found, finished, for: header, &notes)
        let bytes = try RecordFile.bytes(header, known.entries)
        file = try AppendFile(creating: path, head: bytes)
        records = try RecordFile(parsing: bytes, path: path)
      }
    }
    let earlier = records?.entries ?? []
    let log = products.map {
      HessianProductLog(
        in: folder, header: header, resuming: policy != .replace && found != nil, ranks: $0.ranks,
        limit: $0.limit)
    }
    switch policy {
    case .replace:
      if found != nil {
        notes.append("the records of an interrupted run in \(folder) are replaced")
      }
    case .goOn:
      notes +=
        Self.start(header, earlier, log).map {
          ["\(folder) holds the records of this run, interrupted: \($0)"]
        } ?? []
    case .resume:
      notes.append(
        Self.start(header, earlier, log)
          ?? "nothing to go on from in \(folder): starting from the first minibatch")
    }
    self.notes = notes
    self.earlier = records?.places ?? []
    self.products = log
    state = Mutex(State(file: file, saved: earlier.count, lastSync: .now))
  }

  /// What a run goes on from, in words; nil if there is nothing.
  private static func start(
    _ header: RecordHeader, _ earlier: [RecordEntry], _ products: HessianProductLog?
  ) -> String? {
    guard let products else {
      let isCounted = header.outline.sharesVariants
      let done = isCounted ? earlier.count : Set(earlier.map(\.batch)).count
      return done > 0
        ? "going on from \(done) of \(header.unitCount) minibatches"
          + (isCounted ? ", counted for each variant" : "") : nil
    }
    let parts = header.outline.parts
    let saved = Set(earlier.flatMap(\.recordParts).map(\.name))
    // Products of a model that was saved in the last moment are of no use.
    let inHand = products.found.flatMap {
      $0.count > 0 && parts.indices.contains($0.model) && !saved.contains(parts[$0.model])
        ? $0.count : nil
    }
    guard !saved.isEmpty || inHand != nil else { return nil }
    return "going on from \(saved.count) of \(parts.count) models"
      + (inHand.map { " and \($0) products of the next" } ?? "")
  }

  private static func read(
    _ bytes: [UInt8], _ path: String, for header: RecordHeader, _ notes: inout [String]
  ) throws -> RecordFile {
    let records = try RecordFile(parsing: bytes, path: path)
    if let difference = header.difference(from: records.header, names: ("this run", "its records"))
    {
      throw VitProbeError(
        .usage,
        "\(path): the records of an interrupted run, which this one cannot go on from: "
          + "\(difference); give what was given before, or `replace` to delete them and start again"
      )
    }
    guard records.header.outline.shard == header.outline.shard else {
      let (ours, theirs) = (header.outline.shard, records.header.outline.shard)
      throw VitProbeError(
        .usage,
        "\(path): this run cannot go on from these records: `shard` is \(ours.map(\.description) ?? "not given") in "
          + "this run and \(theirs.map(\.description) ?? "not given") in its records")
    }
    if records.header.outline.kernels != header.outline.kernels {
      notes.append(
        "the earlier minibatches were computed with the kernels "
          + "\(records.header.outline.kernels), the others with \(header.outline.kernels): they "
          + "agree to rounding, not to the last bit")
    }
    if records.tornLength > 0 {
      notes.append("the last record was being written as the run ended; it is computed again")
    }
    return records
  }

  /// Whether there is anything to go on from.
  public var isKept: Bool { state.withLock { $0.saved > 0 } || (products?.count ?? 0) > 0 }

  /// Remarks for the user at the end of a run.
  public var lateNotes: [String] { products?.remarks ?? [] }

  /// Puts down what the run is about, before its first record is there.
  func start() throws {
    try state.withLock { state in
      if state.file == nil {
        state.file = try AppendFile(creating: path, head: RecordFile.bytes(header))
      }
    }
  }

  /// Saves what was found out on one minibatch.
  ///
  /// - Returns: where it is.
  @discardableResult
  func append(_ entry: RecordEntry) throws -> RecordPlace {
    try state.withLock { state in
      let file = try state.file ?? AppendFile(creating: path, head: RecordFile.bytes(header))
      state.file = file
      let line = RecordFile.bytes(entry)
      let place = RecordPlace(offset: file.length, length: line.count)
      try file.append(line)
      state.saved += 1
      // A process that dies loses nothing; against a machine that does, every few seconds will do.
      let now = ContinuousClock.now
      if now - state.lastSync > .seconds(5) {
        state.lastSync = now
        try file.sync()
      }
      return place
    }
  }

  /// Reads a record that was saved.
  ///
  /// - Throws: `FileError` for a file that cannot be read, ``VitProbeError`` `.badData` for another record than was
  ///   written there.
  func entry(at place: RecordPlace) throws -> RecordEntry {
    let reader = try state.withLock { state throws(FileError) in
      if let reader = state.reader { return reader }
      do throws(RegularFile.Failure) {
        let reader = try RegularFile(path)
        state.reader = reader
        return reader
      } catch {
        throw FileError(error, path: path)
      }
    }
    let line: [UInt8]
    do throws(SystemError) {
      line = try reader.bytes(at: place.offset, upTo: place.length)
    } catch {
      throw error.error(.io, path, "cannot read it")
    }
    guard let entry = RecordFile.entry(ofLine: line, batches: header.outline.batches) else {
      throw VitProbeError(
        .badData,
        "\(path): the record at byte \(place.offset) is not the one that was written there; something else "
          + "has changed the file while the run went on")
    }
    return entry
  }

  /// Makes everything saved so far durable.
  func sync() throws {
    try state.withLock { try $0.file?.sync() }
    try products?.sync()
  }

  /// The name of the file that a shard leaves.
  var shardFileName: String {
    header.outline.shard?.fileName ?? "records" + RecordFile.suffix
  }

  /// The finished file of a shard.
  func sealed() throws -> [UInt8] {
    guard state.withLock({ $0.file != nil }) else { return try RecordFile.bytes(header, []) }
    return try RecordFile.bytes(header, RecordFile(reading: path).entries)
  }

  /// Removes the hidden files, once the results stand in their place.
  public func remove() {
    // Also those that an interrupted run of another kind has left.
    AppendFile.remove(productsPath)
    state.withLock { state in
      state.file?.remove()
      (state.file, state.reader) = (nil, nil)
    }
  }
}

/// Whether, and how, the products of long solvers are kept.
struct ProductKeeping: Sendable {
  /// Processes that share each product.
  var ranks = 1
  /// Bytes of disk that may be used; nil for half of what is free.
  var limit: Int?
}
