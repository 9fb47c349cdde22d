/// Writes a `.npz` file array by array, stored without compression, so that the data of each lie
/// at a multiple of 64 bytes and can be mapped. It appears under its name only when ``finish()``
/// succeeds.
///
/// The archive carries no dates: the same arrays give the same bytes.
public struct NumpyArchiveWriter: ~Copyable {
  private struct Member {
    var name: [UInt8]
    var checksum = CRC32()
    var start: Int
    var data: Int
    var size: Int
  }

  private var file: AtomicFile
  private var members: [Member] = []
  private var names: Set<String> = []
  private var position = 0

  /// Creates the file.
  ///
  /// - Throws: ``CheckpointError`` if that is not possible.
  public init(creating path: String) throws(CheckpointError) {
    try self.init(creating: path, operations: SystemFileOperations())
  }

  init(creating path: String, operations: any FileOperations) throws(CheckpointError) {
    file = try AtomicFile(creating: path, operations: operations)
  }

  /// Starts the next array; the one before must be complete.
  ///
  /// - Parameters:
  ///   - name: its name, distinct from the others, relative and without `..`.
  ///   - dtype: the type of its elements.
  ///   - shape: its extents, slowest axis first.
  public mutating func begin(
    _ name: String, dtype: ElementType = .float32, shape: [Int]
  ) throws(CheckpointError) {
    try completeMember()
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
    let beforePadding = position + 30 + nameBytes.count + 20 + 4
    let padding = (64 - beforePadding % 64) % 64
    members.append(
      Member(name: nameBytes, start: position, data: beforePadding + padding, size: size))
    position = beforePadding + padding
    try file.write(header.bytes, at: position)
    position += header.bytes.count
    header.bytes.withUnsafeBytes { members[members.count - 1].checksum.update($0) }
  }

  /// Appends little-endian, row-major bytes to the array begun last.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard let member = members.last, bytes.count <= member.data + member.size - position else {
      throw CheckpointError(
        .cannotWrite, file: file.path, found: "\(bytes.count) more bytes",
        expected: "an array with room for them")
    }
    try file.write(bytes, at: position)
    position += bytes.count
    members[members.count - 1].checksum.update(bytes)
  }

  /// Writes the directory and gives the file its name.
  public consuming func finish() throws(CheckpointError) {
    try completeMember()
    let start = position
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

  /// Writes the header of the array begun last, now that its checksum is known.
  private func completeMember() throws(CheckpointError) {
    guard let member = members.last else { return }
    guard position == member.data + member.size else {
      throw CheckpointError(
        .cannotWrite, file: file.path,
        place: "array \"\(String(decoding: member.name.dropLast(4), as: UTF8.self))\"",
        found: "\(member.data + member.size - position) bytes missing", expected: "all of them")
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
