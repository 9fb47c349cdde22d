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
    var entries: [RecordEntry]
    var saved: Int
    var lastSync: ContinuousClock.Instant
  }

  /// Remarks for the user: what was found.
  public let notes: [String]
  let header: RecordHeader
  let provenance: Provenance
  /// What an earlier run left, for this one to go on from.
  let earlier: [RecordEntry]
  /// The products of the solver in hand, where one takes long enough for them to be kept.
  let products: HessianProductLog?
  private let path: String
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
    var earlier: [RecordEntry] = []
    var file: AppendFile?
    if policy != .replace {
      if let found {
        let records = try Self.read(found, path, for: header, &notes)
        earlier = records.entries
        file = try AppendFile(continuing: path, after: records.soundLength)
      } else if policy == .resume, let shard = header.outline.shard,
        case let finished = folder + "/" + shard.fileName,
        let found = try AppendFile.contents(finished)
      {
        earlier = try Self.read(found, finished, for: header, &notes).entries
      }
    }
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
    self.earlier = earlier
    self.products = log
    let isShard = header.outline.shard != nil
    state = Mutex(
      State(file: file, entries: isShard ? earlier : [], saved: earlier.count, lastSync: .now)
    )
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
  func append(_ entry: RecordEntry) throws {
    try state.withLock { state in
      let file = try state.file ?? AppendFile(creating: path, head: RecordFile.bytes(header))
      state.file = file
      try file.append(RecordFile.bytes(entry))
      state.saved += 1
      if header.outline.shard != nil { state.entries.append(entry) }
      // A process that dies loses nothing; against a machine that does, every few seconds will do.
      let now = ContinuousClock.now
      if now - state.lastSync > .seconds(5) {
        state.lastSync = now
        try file.sync()
      }
    }
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
    try RecordFile.bytes(header, state.withLock { $0.entries })
  }

  /// Removes the hidden files, once the results stand in their place.
  public func remove() {
    // Also those that an interrupted run of another kind has left.
    AppendFile.remove(productsPath)
    state.withLock { state in
      state.file?.remove()
      state.file = nil
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
