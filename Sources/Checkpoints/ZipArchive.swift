import CZlib
import Synchronization

/// A ZIP file read strictly: what two readers could understand differently is refused.
///
/// The directory must end where the end record begins, the members must fill the file from its
/// first byte to the directory without gap or overlap, and a member's own header must agree with
/// the directory. Zip64 and data descriptors are read, and bytes after the end record are counted;
/// encryption, several disks and methods other than "stored" and "deflated" are refused.
final class ZipArchive: Sendable {
  struct Member: Sendable {
    let name: String
    let index: Int
    let isDeflated: Bool
    let checksum: UInt32
    /// Bytes in the file, from `offset` on.
    let compressedSize: Int
    /// Bytes once inflated.
    let size: Int
    let offset: Int
  }

  /// The largest inflated member that is kept for the next view of it.
  private static let maximumKept = 256 << 20

  let file: MappedFile
  let members: [Member]
  /// False where the writer left out all checksums (`torch.serialization.set_crc32_options`).
  let hasChecksums: Bool

  /// Bytes after the archive, which no reader looks at.
  let trailing: Int

  private let places: [String: Int]
  private let verified = Mutex<Set<Int>>([])
  /// The member inflated last: the views of one storage follow each other.
  private let inflated = Mutex<(index: Int, view: PayloadView)?>(nil)

  init(_ file: MappedFile) throws(CheckpointError) {
    let (members, trailing) = try ZipDirectory(file).read()
    self.file = file
    self.trailing = trailing
    self.members = members
    hasChecksums = members.contains { $0.checksum != 0 }
    places = Dictionary(uniqueKeysWithValues: members.map { ($0.name, $0.index) })
  }

  subscript(name: String) -> Member? { places[name].map { members[$0] } }

  /// The bytes of a member: in place if it is stored, else inflated. Its checksum is verified the
  /// first time; an archive without any checksum is not held against its writer.
  func contents(of member: Member) throws(CheckpointError) -> PayloadView {
    try file.requireUnchanged()
    let view: PayloadView
    if let kept = inflated.withLock({ $0 }), kept.index == member.index { return kept.view }
    if member.isDeflated {
      let memory = try OwnedBytes(count: member.size, file: file.path)
      try inflate(member, into: memory.bytes)
      view = PayloadView(memory)
    } else {
      view = PayloadView(try stored(member), owner: file)
    }
    if hasChecksums, !verified.withLock({ $0.contains(member.index) }) {
      if !member.isDeflated { file.prefetch(member.offset..<member.offset + member.size) }
      try accept(view.withBytes { CRC32.checksum($0) }, of: member)
    }
    if member.isDeflated, member.size <= Self.maximumKept {
      inflated.withLock { $0 = (member.index, view) }
    }
    return view
  }

  /// Verifies the checksum of a stored member, the first time, piece by piece, so that no more than a
  /// piece of it is in memory.
  func verify(_ member: Member) throws(CheckpointError) {
    guard hasChecksums, !verified.withLock({ $0.contains(member.index) }) else { return }
    let piece = try OwnedBytes(count: min(member.size, 1 << 22), file: file.path)
    var sum = CRC32()
    var done = 0
    while done < member.size {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: piece.bytes[..<min(piece.bytes.count, member.size - done)])
      try file.read(at: member.offset + done, into: part)
      sum.update(UnsafeRawBufferPointer(part))
      done += part.count
    }
    try accept(sum.value, of: member)
  }

  private func accept(_ checksum: UInt32, of member: Member) throws(CheckpointError) {
    guard checksum == member.checksum else {
      throw CheckpointError(
        .malformed, file: file.path, place: "member \"\(member.name)\"",
        found: "data whose CRC-32 differs from the recorded one", expected: "undamaged data",
        advice: "Copy or download the file again")
    }
    _ = verified.withLock { $0.insert(member.index) }
  }

  /// The first bytes of a member, at most `count`, without looking at the rest or the checksum.
  func start(of member: Member, count: Int) throws(CheckpointError) -> PayloadView {
    let length = min(count, member.size)
    guard member.isDeflated else {
      let bytes = try stored(member)
      return PayloadView(UnsafeRawBufferPointer(rebasing: bytes[..<length]), owner: file)
    }
    let memory = try OwnedBytes(count: length, file: file.path)
    try inflate(member, into: memory.bytes)
    return PayloadView(memory)
  }

  private func stored(_ member: Member) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard let bytes = file.bytes.part(at: member.offset, length: member.size) else {
      throw CheckpointError(
        .truncated, file: file.path, place: "member \"\(member.name)\"",
        found: "data beyond the end of the file")
    }
    return bytes
  }

  /// Inflates the start of a member, or all of it if `target` is as long as the member.
  private func inflate(
    _ member: Member, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    func failure(_ found: String) -> CheckpointError {
      CheckpointError(
        .malformed, file: file.path, place: "member \"\(member.name)\"", found: found,
        expected: "deflated data of \(member.size) bytes", advice: "Copy or download it again")
    }
    guard let source = file.bytes.part(at: member.offset, length: member.compressedSize) else {
      throw failure("data beyond the end of the file")
    }
    var stream = z_stream()
    let size = CInt(MemoryLayout<z_stream>.size)
    // Negative window bits: raw deflate without a zlib header.
    guard inflateInit2_(&stream, -15, ZLIB_VERSION, size) == Z_OK else {
      throw failure("zlib cannot start")
    }
    defer { inflateEnd(&stream) }
    // zlib counts in 32 bits; large members are passed in pieces.
    let piece = 1 << 30
    var consumed = 0
    var produced = 0
    var probe: UInt8 = 0
    while true {
      let input = min(source.count - consumed, piece)
      stream.next_in = UnsafeMutablePointer(
        mutating: source.baseAddress?.advanced(by: consumed).assumingMemoryBound(to: UInt8.self))
      stream.avail_in = uInt(input)
      let isFull = produced == target.count
      if isFull && target.count < member.size { return }
      // One byte of room beyond the end shows whether the stream has more than it declared.
      let room = isFull ? 1 : min(target.count - produced, piece)
      let status = withUnsafeMutablePointer(to: &probe) { probe in
        stream.next_out =
          isFull
          ? probe : target.baseAddress?.advanced(by: produced).assumingMemoryBound(to: UInt8.self)
        stream.avail_out = uInt(room)
        return CZlib.inflate(&stream, Z_NO_FLUSH)
      }
      let taken = input - Int(stream.avail_in)
      let given = room - Int(stream.avail_out)
      consumed += taken
      if isFull && given > 0 { throw failure("more data than the directory says") }
      produced += given
      if status == Z_STREAM_END { break }
      guard status == Z_OK, taken > 0 || given > 0 else {
        throw failure(
          status == Z_OK || status == Z_BUF_ERROR
            ? "compressed data that stops early" : "damaged compressed data")
      }
    }
    guard produced == target.count else {
      throw failure("\(produced) bytes once inflated")
    }
    guard consumed == source.count || target.count < member.size else {
      throw failure("\(source.count - consumed) bytes after the compressed data")
    }
  }
}
