/// Reads and cross-checks the directory of a ZIP file; see ``ZipArchive`` for the rules.
struct ZipDirectory {
  private static let maximumMembers = 1_000_000
  private static let maximumSize = 256 << 20
  /// Deflate cannot do better than 1032 to 1; what claims more is lying.
  private static let maximumRatio = 1032
  /// A comment and other bytes after the end record: as far as other readers look for it.
  private static let maximumTrailing = 65_535

  private let file: MappedFile
  private let bytes: UnsafeRawBufferPointer

  init(_ file: MappedFile) {
    self.file = file
    self.bytes = file.bytes
  }

  /// The members, and how many bytes follow the archive.
  func read() throws(CheckpointError) -> (members: [ZipArchive.Member], trailing: Int) {
    defer { withExtendedLifetime(file) {} }
    let record = try endRecordPosition()
    let end = try endRecord(at: record.position)
    var members: [ZipArchive.Member] = []
    var spans: [Span] = []
    var names: Set<String> = []
    var position = end.start
    for index in 0..<end.count {
      let record = try centralRecord(at: position)
      let place = "member \"\(record.name)\""
      guard names.insert(record.name).inserted else {
        throw malformed(place, "a second member of that name", expected: "each name once")
      }
      let local = try localHeader(of: record, directory: end.start, place: place)
      members.append(
        ZipArchive.Member(
          name: record.name, index: index, isDeflated: record.method == 8,
          checksum: record.checksum, compressedSize: record.compressedSize, size: record.size,
          offset: local.data))
      spans.append(Span(start: record.offset, data: local.dataEnd, record: record))
      position += record.length
    }
    guard position == end.end else {
      throw malformed(
        "byte \(position)", "bytes after the last directory entry",
        expected: "a directory of \(end.end - end.start) bytes")
    }
    try requireTiling(spans, until: end.start)
    return (members, record.trailing)
  }

  // MARK: End of the directory

  private struct End {
    var start: Int
    var end: Int
    var count: Int
  }

  /// The last end record of the file, where every reader looks for it, and the bytes after it.
  private func endRecordPosition() throws(CheckpointError) -> (position: Int, trailing: Int) {
    let last = bytes.count - 22
    var position = last
    while position >= max(0, last - Self.maximumTrailing) {
      if bytes.holds("PK\u{05}\u{06}", at: position) { return (position, last - position) }
      position -= 1
    }
    throw CheckpointError(
      .truncated, file: file.path, place: "end of the archive",
      found: "no end record in the last \(Self.maximumTrailing + 22) bytes",
      expected: "a complete ZIP archive",
      advice: "Copy or download the file again; it was probably cut short")
  }

  private func endRecord(at position: Int) throws(CheckpointError) -> End {
    guard let disk = bytes.littleEndian(UInt16.self, at: position + 4),
      let startDisk = bytes.littleEndian(UInt16.self, at: position + 6),
      let countHere = bytes.littleEndian(UInt16.self, at: position + 8),
      let count = bytes.littleEndian(UInt16.self, at: position + 10),
      let size = bytes.littleEndian(UInt32.self, at: position + 12),
      let start = bytes.littleEndian(UInt32.self, at: position + 16)
    else { throw malformed("end record", "a short record", expected: "22 bytes") }
    guard disk == 0 || disk == .max, startDisk == 0 || startDisk == .max, countHere == count else {
      throw malformed("end record", "an archive over several disks", expected: "one file")
    }
    var end = End(start: Int(start), end: position, count: Int(count))
    var directorySize = Int(size)
    if bytes.holds("PK\u{06}\u{07}", at: position - 20) {
      let locator = position - 20
      let record = locator - 56
      guard bytes.holds("PK\u{06}\u{06}", at: record),
        bytes.littleEndian(UInt32.self, at: locator + 4) == 0,
        bytes.littleEndian(UInt64.self, at: locator + 8) == UInt64(exactly: record),
        bytes.littleEndian(UInt32.self, at: locator + 16) ?? 2 <= 1,
        bytes.littleEndian(UInt64.self, at: record + 4) == 44,
        bytes.littleEndian(UInt32.self, at: record + 16) == 0,
        bytes.littleEndian(UInt32.self, at: record + 20) == 0,
        let count64Here = bytes.littleEndian(UInt64.self, at: record + 24),
        let count64 = bytes.littleEndian(UInt64.self, at: record + 32),
        let size64 = bytes.littleEndian(UInt64.self, at: record + 40),
        let start64 = bytes.littleEndian(UInt64.self, at: record + 48),
        count64Here == count64,
        count == .max || UInt64(count) == count64, size == .max || UInt64(size) == size64,
        start == .max || UInt64(start) == start64,
        let exactCount = Int(exactly: count64), let exactSize = Int(exactly: size64),
        let exactStart = Int(exactly: start64)
      else {
        throw malformed(
          "zip64 end record", "a record that contradicts itself or the plain end record",
          expected: "both to agree")
      }
      end = End(start: exactStart, end: record, count: exactCount)
      directorySize = exactSize
    } else if count == .max || size == .max || start == .max {
      throw malformed(
        "end record", "a reference to a zip64 record that is not there", expected: "one before it")
    }
    guard checkedSum(end.start, directorySize) == end.end else {
      throw malformed(
        "end record", "a directory of \(directorySize) bytes at \(end.start)",
        expected: "one that ends at byte \(end.end)")
    }
    guard end.count <= Self.maximumMembers, directorySize <= Self.maximumSize else {
      throw CheckpointError(
        .limitExceeded, file: file.path, place: "end record",
        found: "\(end.count) members in a directory of \(directorySize) bytes",
        expected: "at most \(Self.maximumMembers) and \(Self.maximumSize)")
    }
    return end
  }

  // MARK: Directory entries

  struct Record {
    var name: String
    var nameBytes: UnsafeRawBufferPointer
    var flags: UInt16
    var method: UInt16
    var checksum: UInt32
    var compressedSize: Int
    var size: Int
    var offset: Int
    /// Length of the directory entry itself.
    var length: Int

    var hasDescriptor: Bool { flags & 8 != 0 }
  }

  private func centralRecord(at position: Int) throws(CheckpointError) -> Record {
    let place = "directory entry at byte \(position)"
    guard bytes.holds("PK\u{01}\u{02}", at: position),
      let flags = bytes.littleEndian(UInt16.self, at: position + 8),
      let method = bytes.littleEndian(UInt16.self, at: position + 10),
      let checksum = bytes.littleEndian(UInt32.self, at: position + 16),
      let compressed = bytes.littleEndian(UInt32.self, at: position + 20),
      let size = bytes.littleEndian(UInt32.self, at: position + 24),
      let nameLength = bytes.littleEndian(UInt16.self, at: position + 28),
      let extraLength = bytes.littleEndian(UInt16.self, at: position + 30),
      let commentLength = bytes.littleEndian(UInt16.self, at: position + 32),
      let disk = bytes.littleEndian(UInt16.self, at: position + 34),
      let offset = bytes.littleEndian(UInt32.self, at: position + 42),
      let nameBytes = bytes.part(at: position + 46, length: Int(nameLength)),
      let extra = bytes.part(at: position + 46 + Int(nameLength), length: Int(extraLength))
    else { throw malformed(place, "no complete entry", expected: "one for every member") }
    let name = try memberName(nameBytes, place: place)
    guard flags & 0x2041 == 0 else {
      throw CheckpointError(
        .unsupported, file: file.path, place: "member \"\(name)\"", found: "an encrypted member",
        expected: "plain data", advice: "Decrypt the archive first")
    }
    // Allowed: two bits of deflate effort, data descriptor, UTF-8 name.
    guard flags & ~0x080E == 0, method == 0 || method == 8 else {
      throw CheckpointError(
        .unsupported, file: file.path, place: "member \"\(name)\"",
        found: "compression method \(method) with flags 0x\(String(flags, radix: 16))",
        expected: "stored (0) or deflated (8) data",
        advice: "Write the file again without compression")
    }
    let wide = try zip64(
      extra, place: "member \"\(name)\"",
      wanted: [size == .max, compressed == .max, offset == .max])
    guard let size = Int(exactly: wide[0] ?? UInt64(size)),
      let compressed = Int(exactly: wide[1] ?? UInt64(compressed)),
      let offset = Int(exactly: wide[2] ?? UInt64(offset)), disk == 0 || disk == .max
    else {
      throw malformed(
        "member \"\(name)\"", "an impossible size or place", expected: "less than 2^63")
    }
    guard method == 8 || size == compressed else {
      throw malformed(
        "member \"\(name)\"", "\(size) bytes stored as \(compressed)", expected: "equal sizes")
    }
    if method == 8, size / Self.maximumRatio > compressed {
      throw CheckpointError(
        .limitExceeded, file: file.path, place: "member \"\(name)\"",
        found: "\(compressed) bytes that claim to inflate to \(size)",
        expected: "at most \(Self.maximumRatio) times as many")
    }
    return Record(
      name: name, nameBytes: nameBytes, flags: flags, method: method, checksum: checksum,
      compressedSize: compressed, size: size, offset: offset,
      length: 46 + Int(nameLength) + Int(extraLength) + Int(commentLength))
  }

  private func memberName(
    _ bytes: UnsafeRawBufferPointer, place: String
  ) throws(CheckpointError) -> String {
    guard let name = bytes.utf8Text, !name.isEmpty else {
      throw malformed(place, "a name that is empty or not UTF-8", expected: "a name in UTF-8")
    }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.utf8.contains(0), !name.contains("\\"), !name.hasPrefix("/"),
      !parts.contains("..")
    else {
      throw malformed(
        place, "the member name \"\(name)\"", expected: "a plain relative name",
        advice: "Do not trust where this file came from")
    }
    return name
  }

  /// The 64-bit fields of an extra field, for those of (size, compressed size, offset) that are
  /// `wanted` because their 32-bit fields say so.
  private func zip64(
    _ extra: UnsafeRawBufferPointer, place: String, wanted: [Bool]
  ) throws(CheckpointError) -> [UInt64?] {
    var result: [UInt64?] = [nil, nil, nil]
    var isFound = false
    var position = 0
    while extra.count - position >= 4 {
      guard let identifier = extra.littleEndian(UInt16.self, at: position),
        let length = extra.littleEndian(UInt16.self, at: position + 2),
        let field = extra.part(at: position + 4, length: Int(length))
      else { throw malformed(place, "a broken extra field", expected: "whole extra fields") }
      position += 4 + Int(length)
      guard identifier == 1 else { continue }
      guard !isFound else {
        throw malformed(place, "two zip64 fields", expected: "at most one")
      }
      isFound = true
      var offset = 0
      for index in 0..<3 where wanted[index] {
        guard let value = field.littleEndian(UInt64.self, at: offset) else {
          throw malformed(place, "a zip64 field that is too short", expected: "8 bytes a value")
        }
        result[index] = value
        offset += 8
      }
    }
    guard isFound || !wanted.contains(true) else {
      throw malformed(place, "no zip64 field", expected: "one, as the sizes refer to it")
    }
    return result
  }

  // MARK: Local headers

  private func localHeader(
    of record: Record, directory: Int, place: String
  ) throws(CheckpointError) -> (data: Int, dataEnd: Int) {
    let position = record.offset
    guard position < directory, bytes.holds("PK\u{03}\u{04}", at: position),
      let flags = bytes.littleEndian(UInt16.self, at: position + 6),
      let method = bytes.littleEndian(UInt16.self, at: position + 8),
      let checksum = bytes.littleEndian(UInt32.self, at: position + 14),
      let compressed = bytes.littleEndian(UInt32.self, at: position + 18),
      let size = bytes.littleEndian(UInt32.self, at: position + 22),
      let nameLength = bytes.littleEndian(UInt16.self, at: position + 26),
      let extraLength = bytes.littleEndian(UInt16.self, at: position + 28),
      let name = bytes.part(at: position + 30, length: Int(nameLength)),
      let extra = bytes.part(at: position + 30 + Int(nameLength), length: Int(extraLength))
    else {
      throw malformed(
        place, "no member at byte \(record.offset)", expected: "its header before the directory")
    }
    guard flags == record.flags, method == record.method, name.elementsEqual(record.nameBytes)
    else {
      throw malformed(
        place, "a header that differs from the directory in name, flags or method",
        expected: "both to agree", advice: "Do not trust where this file came from")
    }
    let isDeferred = record.hasDescriptor && checksum == 0 && compressed == 0 && size == 0
    if !isDeferred {
      let wide = try zip64(extra, place: place, wanted: [size == .max, compressed == .max, false])
      guard checksum == record.checksum || record.hasDescriptor && checksum == 0,
        wide[0] ?? UInt64(size) == UInt64(record.size)
          || record.hasDescriptor && (wide[0] ?? UInt64(size)) == 0,
        wide[1] ?? UInt64(compressed) == UInt64(record.compressedSize)
          || record.hasDescriptor && (wide[1] ?? UInt64(compressed)) == 0
      else {
        throw malformed(
          place, "a header that differs from the directory in size or checksum",
          expected: "both to agree", advice: "Do not trust where this file came from")
      }
    }
    let data = position + 30 + Int(nameLength) + Int(extraLength)
    guard let end = checkedSum(data, record.compressedSize), end <= directory else {
      throw malformed(
        place, "\(record.compressedSize) bytes of data from byte \(data) on",
        expected: "data before the directory at byte \(directory)")
    }
    return (data, end)
  }

  // MARK: No gap, no overlap

  private struct Span {
    var start: Int
    var data: Int
    var record: Record
  }

  /// Members, each with its data descriptor if it has one, must fill the file up to the directory.
  private func requireTiling(_ spans: [Span], until directory: Int) throws(CheckpointError) {
    let ordered = spans.sorted { $0.start < $1.start }
    var expected = 0
    for (index, span) in ordered.enumerated() {
      let place = "member \"\(span.record.name)\""
      guard span.start == expected else {
        throw malformed(
          place, "a member at byte \(span.start)",
          expected: "one at byte \(expected): no gap and no overlap")
      }
      let next = index + 1 < ordered.count ? ordered[index + 1].start : directory
      guard next >= span.data else {
        throw malformed(place, "data that overlaps the next member", expected: "no overlap")
      }
      if span.record.hasDescriptor {
        guard isDescriptor(at: span.data, length: next - span.data, of: span.record) else {
          throw malformed(
            place, "\(next - span.data) bytes after the data",
            expected: "a data descriptor that agrees with the directory")
        }
        expected = next
      } else {
        expected = span.data
      }
    }
    guard expected == directory else {
      throw malformed(
        "byte \(expected)", "bytes that belong to no member",
        expected: "the directory, which is at byte \(directory)")
    }
  }

  private func isDescriptor(at position: Int, length: Int, of record: Record) -> Bool {
    let hasSignature = length == 16 || length == 24
    let isWide = length == 20 || length == 24
    guard hasSignature || isWide || length == 12 else { return false }
    if hasSignature, !bytes.holds("PK\u{07}\u{08}", at: position) { return false }
    let start = position + (hasSignature ? 4 : 0)
    guard bytes.littleEndian(UInt32.self, at: start) == record.checksum else { return false }
    if isWide {
      return bytes.littleEndian(UInt64.self, at: start + 4) == UInt64(record.compressedSize)
        && bytes.littleEndian(UInt64.self, at: start + 12) == UInt64(record.size)
    }
    return bytes.littleEndian(UInt32.self, at: start + 4) == UInt32(exactly: record.compressedSize)
      && bytes.littleEndian(UInt32.self, at: start + 8) == UInt32(exactly: record.size)
  }

  private func malformed(
    _ place: String, _ found: String, expected: String, advice: String = ""
  ) -> CheckpointError {
    CheckpointError(
      .malformed, file: file.path, place: place, found: found, expected: expected, advice: advice)
  }
}
