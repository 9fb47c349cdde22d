import DurableFiles
import Reports

/// A file of records (`.vpart`): what is left by a shard, and what an interrupted run goes on from.
///
/// Lines of UTF-8. The first is `vitprobe records 1`; the second holds the outline, the third the
/// settings and the fourth the provenance as JSON; each line after that holds a minibatch's number
/// and, separated by tabs, names and JSON documents. Every line but the first begins with a checksum,
/// 16 hexadecimal digits of the SHA-256 of what follows its tab. Records stand in any order.
struct RecordFile: Sendable {
  static let suffix = ".vpart"
  private static let magic = "vitprobe records "
  private static let format = 1

  let header: RecordHeader
  private(set) var entries: [RecordEntry]
  /// Where each of them is.
  let places: [RecordPlace]
  /// Bytes up to the end of the last whole record.
  let soundLength: Int
  /// Bytes behind it: what was being written when the process died.
  let tornLength: Int

  /// Reads a file.
  ///
  /// - Throws: ``VitProbeError``: `.noInput`, `.inputOutput`, or `.badData` for a file that is none
  ///   of records, of another format, or damaged anywhere but at its end.
  init(reading path: String) throws {
    guard let bytes = try AppendFile.contents(path) else {
      throw VitProbeError(.noInput, "\(path): there is no such file")
    }
    try self.init(parsing: bytes, path: path)
  }

  init(parsing bytes: [UInt8], path: String) throws(VitProbeError) {
    var lines: [(range: Range<Int>, isWhole: Bool)] = []
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
      lines.append((start..<(end ?? bytes.count), end != nil))
      start = (end ?? bytes.count) + 1
    }
    func damaged(_ place: String, _ found: String) -> VitProbeError {
      VitProbeError(
        .badData,
        "\(path): \(place): \(found); the file is damaged, and its minibatches have to be computed "
          + "again")
    }
    let first = lines.first.map { String(decoding: bytes[$0.range.prefix(64)], as: UTF8.self) }
    guard let first, first.hasPrefix(Self.magic) else {
      throw VitProbeError(
        .badData,
        "\(path): is not a file of records; expected one that a shard or an interrupted "
          + "run left")
    }
    guard first == "\(Self.magic)\(Self.format)" else {
      throw VitProbeError(
        .badData,
        "\(path): has format \"\(first.dropFirst(Self.magic.count))\"; this version of "
          + "vitprobe reads \(Self.format)")
    }
    guard lines.count >= 4, lines[3].isWhole, let head = Self.payload(bytes[lines[1].range]),
      let settings = Self.payload(bytes[lines[2].range]),
      let provenance = Self.payload(bytes[lines[3].range])
    else { throw damaged("its header", "a line is missing or has another checksum") }
    let outline: RecordHeader.Outline
    do {
      outline = try RecordCoding.decode(RecordHeader.Outline.self, from: Array(head))
    } catch {
      throw damaged("its header", RecordCoding.reason(error))
    }
    // The settings hold the size of each minibatch: they are longer than there are minibatches.
    guard outline.batches >= 0, outline.batches <= settings.count, !outline.parts.isEmpty,
      outline.digest == Digest.sha256(settings), Set(outline.parts).count == outline.parts.count,
      outline.shard.map({ $0.index >= 0 && $0.index < $0.count }) ?? true
    else { throw damaged("its header", "the outline does not fit the settings") }
    let header = RecordHeader(
      settings: Array(settings), provenance: Array(provenance), outline: outline)
    self.header = header

    var entries: [RecordEntry] = []
    var places: [RecordPlace] = []
    var parts: Set<RecordPart> = []
    var sound = lines[3].range.upperBound + 1
    var broken: Int?
    for line in lines[4...] {
      let entry =
        line.isWhole
        ? Self.payload(bytes[line.range]).flatMap { Self.entry($0, batches: outline.batches) } : nil
      guard let entry else {
        broken = broken ?? line.range.lowerBound
        continue
      }
      // A process dies in its last write: what is broken before a whole record was broken later.
      if let broken { throw damaged("the record at byte \(broken)", "its checksum is another") }
      for part in entry.recordParts {
        guard header.covers(part), parts.insert(part).inserted else {
          throw damaged(
            "the record at byte \(line.range.lowerBound)",
            "\(part.name) of minibatch \(part.batch) does not belong there")
        }
      }
      entries.append(entry)
      sound = line.range.upperBound + 1
      places.append(
        RecordPlace(offset: line.range.lowerBound, length: line.range.count + 1))
    }
    (self.entries, self.places) = (entries, places)
    soundLength = sound
    tornLength = bytes.count - sound
  }

  /// What follows the checksum of a line, if it fits.
  private static func payload(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard line.count > checksumLength, line[line.startIndex + checksumLength] == UInt8(ascii: "\t")
    else { return nil }
    let payload = line.dropFirst(checksumLength + 1)
    return Array(line.prefix(checksumLength)) == checksum(payload) ? payload : nil
  }

  private static let checksumLength = 16

  private static func checksum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    Array(Digest.sha256(bytes).utf8.prefix(checksumLength))
  }

  private static func line(_ payload: [UInt8]) -> [UInt8] {
    checksum(payload) + [UInt8(ascii: "\t")] + payload + [UInt8(ascii: "\n")]
  }

  /// The record of a line with its end; nil if it is damaged.
  static func entry(ofLine line: [UInt8], batches: Int) -> RecordEntry? {
    guard line.last == UInt8(ascii: "\n") else { return nil }
    return payload(line.dropLast()).flatMap { entry($0, batches: batches) }
  }

  private static func entry(_ payload: ArraySlice<UInt8>, batches: Int) -> RecordEntry? {
    let fields = payload.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
    guard let number = fields.first, fields.count % 2 == 1,
      let batch = Int(String(decoding: number, as: UTF8.self)), batch >= 0, batch < batches
    else { return nil }
    let documents = stride(from: 1, to: fields.count, by: 2).map {
      RecordEntry.Document(
        name: String(decoding: fields[$0], as: UTF8.self), json: Array(fields[$0 + 1]))
    }
    return RecordEntry(batch: batch, documents: documents)
  }

  /// The lines before the first record.
  static func bytes(_ header: RecordHeader) throws -> [UInt8] {
    Array("\(magic)\(format)\n".utf8) + line(try RecordCoding.encode(header.outline))
      + line(header.settings) + line(header.provenance)
  }

  /// A whole file: the records in the order of minibatches and documents, whatever theirs.
  static func bytes(_ header: RecordHeader, _ entries: [RecordEntry]) throws -> [UInt8] {
    var bytes = try bytes(header)
    for entry in entries.sorted(by: { ($0.batch, $0.firstName) < ($1.batch, $1.firstName) }) {
      bytes += Self.bytes(entry)
    }
    return bytes
  }

  /// The line of a record.
  static func bytes(_ entry: RecordEntry) -> [UInt8] {
    var payload = Array("\(entry.batch)".utf8)
    for document in entry.documents {
      payload += [UInt8(ascii: "\t")] + Array(document.name.utf8) + [UInt8(ascii: "\t")]
      payload += document.json
    }
    return line(payload)
  }
}
