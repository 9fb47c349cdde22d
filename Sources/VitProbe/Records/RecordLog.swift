import Glibc
import Reports
import Synchronization

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
    var lastSync: Double
  }

  /// Remarks for the user: what was found.
  public let notes: [String]
  let header: RecordHeader
  let provenance: Provenance
  /// What an earlier run left, for this one to go on from.
  let earlier: [RecordEntry]
  private let path: String
  private let state: Mutex<State>

  /// - Parameters:
  ///   - folder: the path of the output folder, which this process has locked.
  ///   - resuming: whether to go on from what is there.
  /// - Throws: ``VitProbeError`` for records of another run or damaged ones, `FileError`.
  init(
    in folder: String, header: RecordHeader, provenance: Provenance, resuming: Bool
  ) throws {
    self.header = header
    self.provenance = provenance
    path = OutputFolder.recordsPath(in: folder)
    let found = try AppendFile.contents(path)
    var notes: [String] = []
    var earlier: [RecordEntry] = []
    var file: AppendFile?
    if resuming {
      if let found {
        let records = try Self.read(found, path, for: header, &notes)
        earlier = records.entries
        file = try AppendFile(continuing: path, after: records.soundLength)
      } else if let shard = header.outline.shard,
        case let finished = folder + "/" + shard.fileName,
        let found = try AppendFile.contents(finished)
      {
        earlier = try Self.read(found, finished, for: header, &notes).entries
      }
      notes.append(
        earlier.isEmpty
          ? "nothing to go on from in \(folder): starting from the first minibatch"
          : "going on from \(Set(earlier.map(\.batch)).count) of \(header.batches.count) "
            + "minibatches")
    } else if found != nil {
      notes.append(
        "\(folder) holds the records of an interrupted run; they are replaced, since --resume was "
          + "not given")
    }
    self.notes = notes
    self.earlier = earlier
    let isShard = header.outline.shard != nil
    state = Mutex(
      State(file: file, entries: isShard ? earlier : [], saved: earlier.count, lastSync: Self.now())
    )
  }

  private static func read(
    _ bytes: [UInt8], _ path: String, for header: RecordHeader, _ notes: inout [String]
  ) throws -> RecordFile {
    let records = try RecordFile(parsing: bytes, path: path)
    if let difference = header.difference(from: records.header, names: ("this run", "its records"))
    {
      throw VitProbeError(
        .usage,
        "\(path): --resume cannot go on: \(difference); give what was given before, or leave "
          + "--resume out to start again")
    }
    guard records.header.outline.shard == header.outline.shard else {
      let (ours, theirs) = (header.outline.shard, records.header.outline.shard)
      throw VitProbeError(
        .usage,
        "\(path): --resume cannot go on: --shard is \(ours.map(\.description) ?? "not given") in "
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
  public var isKept: Bool { state.withLock { $0.saved > 0 } }

  /// Saves what was found out on one minibatch.
  func append(_ entry: RecordEntry) throws {
    try state.withLock { state in
      let file = try state.file ?? AppendFile(creating: path, head: RecordFile.bytes(header))
      state.file = file
      try file.append(RecordFile.bytes(entry))
      state.saved += 1
      if header.outline.shard != nil { state.entries.append(entry) }
      // A process that dies loses nothing; against a machine that does, every few seconds will do.
      let now = Self.now()
      if now - state.lastSync > 5 {
        state.lastSync = now
        try file.sync()
      }
    }
  }

  /// Makes everything saved so far durable.
  func sync() throws {
    try state.withLock { try $0.file?.sync() }
  }

  /// The name of the file that a shard leaves.
  var shardFileName: String {
    header.outline.shard?.fileName ?? "records" + RecordFile.suffix
  }

  /// The finished file of a shard.
  func sealed() throws -> [UInt8] {
    try RecordFile.bytes(header, state.withLock { $0.entries })
  }

  /// Removes the hidden file, once the results stand in their place.
  public func remove() {
    state.withLock { state in
      state.file?.remove()
      state.file = nil
    }
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

/// A run that ended before its last minibatch because it was asked to.
public struct Interruption: Error, Sendable, CustomStringConvertible {
  /// Pieces of work done, those of earlier runs among them.
  public let done: Int
  /// Pieces in all.
  public let total: Int
  /// What a piece is.
  public let unit: String
  /// Whether a later run can go on from here.
  public let isKept: Bool

  /// What was done.
  public var description: String { "stopped after \(done) of \(total) \(unit)" }
}
