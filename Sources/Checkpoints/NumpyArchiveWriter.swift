import DurableFiles

/// Writes a `.npz` file array by array, or several arrays side by side, stored without compression,
/// so that the data of each lie at a multiple of 64 bytes and can be mapped. It appears under its
/// name only when ``finish()`` succeeds.
///
/// The archive carries no dates: the same arrays give the same bytes.
public struct NumpyArchiveWriter: ~Copyable {
  private struct Member {
    var name: [UInt8]
    var checksum = CRC32()
    var start: Int
    var data: Int
    var size: Int
    /// Where the next byte goes.
    var position: Int
    var end: Int { data + size }
  }

  private var file: TensorFile
  private var members: [Member] = []
  private var names: Set<String> = []

  /// Creates the file.
  ///
  /// - Throws: ``CheckpointError`` if that is not possible.
  public init(creating path: String) throws(CheckpointError) {
    try self.init(creating: path, calls: .system)
  }

  init(creating path: String, calls: FileSystemCalls) throws(CheckpointError) {
    file = try TensorFile(creating: path, calls: calls)
  }

  /// Starts the next array; those before need not be complete.
  ///
  /// - Parameters:
  ///   - name: its name, distinct from the others, relative and without `..`.
  ///   - dtype: the type of its elements.
  ///   - shape: its extents, slowest axis first.
  /// - Returns: the number by which ``append(_:to:)`` knows it.
  @discardableResult
  public mutating func begin(
    _ name: String, dtype: ElementType = .float32, shape: [Int]
  ) throws(CheckpointError) -> Int {
    let place = "array \"\(name)\""
    let header = try numpyHeader(dtype, shape, file: file.path, place: place)
    let nameBytes = Array((name + ".npy").utf8)
    guard !name.isEmpty, !name.hasPrefix("/"), nameBytes.count <= 4096, !nameBytes.contains(0),
      !name.contains("\\"), !name.split(separator: "/").contains(".."),
      names.insert(name).inserted
    else {
      throw CheckpointError(
        .cannotCreate, file: file.path, place: place, found: "an impossible or repeated name",
        expected: "distinct relative names")
    }
    let size = header.bytes.count + header.dataSize
    // Sizes are patched in with the checksum when the array is complete; the extra field (a zip64
    // part and padding) makes room for both and aligns the data.
    let start = members.last?.end ?? 0
    let beforePadding = start + 30 + nameBytes.count + 20 + 4
    let padding = (64 - beforePadding % 64) % 64
    var member = Member(
      name: nameBytes, start: start, data: beforePadding + padding, size: size,
      position: beforePadding + padding)
    try file.write(header.bytes, at: member.position)
    member.position += header.bytes.count
    header.bytes.withUnsafeBytes { member.checksum.update($0) }
    members.append(member)
    return members.count - 1
  }

  /// Appends little-endian, row-major bytes to the array begun last.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    try append(bytes, to: members.count - 1)
  }

  /// Appends little-endian, row-major bytes to an array, by the number that
  /// ``begin(_:dtype:shape:)`` returned.
  public mutating func append(
    _ bytes: UnsafeRawBufferPointer, to index: Int
  ) throws(CheckpointError) {
    guard members.indices.contains(index),
      bytes.count <= members[index].end - members[index].position
    else {
      throw CheckpointError(
        .cannotWrite, file: file.path, found: "\(bytes.count) more bytes",
        expected: "an array with room for them")
    }
    try file.write(bytes, at: members[index].position)
    members[index].position += bytes.count
    members[index].checksum.update(bytes)
  }

  /// Writes the directory and gives the file its name.
  public consuming func finish() throws(CheckpointError) {
    for member in members { try complete(member) }
    let start = members.last?.end ?? 0
    var directory: [UInt8] = []
    for member in members {
      let extra = Self.zip64([member.size, member.size, member.start])
      directory += Self.little(UInt32(0x0201_4B50)) + Self.little(UInt16(45))
      directory += Self.fixedFields(member.checksum.value)
      directory += Self.little(UInt16(member.name.count)) + Self.little(UInt16(extra.count))
      directory += [UInt8](repeating: 0, count: 10) + Self.little(UInt32.max)
      directory += member.name + extra
    }
    let end = start + directory.count
    directory += Self.little(UInt32(0x0606_4B50)) + Self.little(UInt64(44))
    directory += Self.little(UInt16(45)) + Self.little(UInt16(45)) + Self.little(UInt64(0))
    for value in [members.count, members.count, end - start, start] {
      directory += Self.little(UInt64(value))
    }
    directory += Self.little(UInt32(0x0706_4B50)) + Self.little(UInt32(0))
    directory += Self.little(UInt64(end)) + Self.little(UInt32(1))
    directory += Self.little(UInt32(0x0605_4B50)) + Self.little(UInt32(0))
    directory += Self.little(UInt16.max) + Self.little(UInt16.max)
    directory += Self.little(UInt32.max) + Self.little(UInt32.max) + Self.little(UInt16(0))
    try file.write(directory, at: start)
    try file.commit()
  }

  /// Writes the header of an array, now that its checksum is known.
  private mutating func complete(_ member: Member) throws(CheckpointError) {
    guard member.position == member.end else {
      throw CheckpointError(
        .cannotWrite, file: file.path,
        place: "array \"\(String(decoding: member.name.dropLast(4), as: UTF8.self))\"",
        found: "\(member.end - member.position) bytes missing", expected: "all of them")
    }
    var header = Self.little(UInt32(0x0403_4B50))
    header += Self.fixedFields(member.checksum.value)
    var extra = Self.zip64([member.size, member.size])
    let padding = member.data - member.start - 30 - member.name.count - extra.count - 4
    // 0xD935: the alignment field of Android's zipalign, ignored by every reader.
    extra += Self.little(UInt16(0xD935)) + Self.little(UInt16(padding))
    extra += [UInt8](repeating: 0, count: padding)
    header += Self.little(UInt16(member.name.count)) + Self.little(UInt16(extra.count))
    header += member.name + extra
    try file.write(header, at: member.start)
  }

  /// From "version needed" to the uncompressed size: stored, dated 1980-01-01, sizes in the zip64
  /// field.
  private static func fixedFields(_ checksum: UInt32) -> [UInt8] {
    little(UInt16(45)) + little(UInt16(0x0800)) + little(UInt16(0)) + little(UInt16(0))
      + little(UInt16(0x21)) + little(checksum) + little(UInt32.max) + little(UInt32.max)
  }

  private static func zip64(_ values: [Int]) -> [UInt8] {
    little(UInt16(1)) + little(UInt16(values.count * 8)) + values.flatMap { little(UInt64($0)) }
  }

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
