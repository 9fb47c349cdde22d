/// Reads a tensor a few rows at a time, a row being a place along its first axis.
///
/// Rows of dense little-endian data are read from the file when asked for, not mapped: a tensor of any
/// size takes no more memory than those rows. Compressed, big-endian and column-major data cannot be
/// read so; they are held in memory, see ``heldBytes``.
///
/// May be used from several threads at the same time.
public struct TensorRows: Sendable {
  private enum Source: Sendable {
    case file(MappedFile, offset: Int)
    case member(ZipArchive, ZipArchive.Member, offset: Int)
    case memory(PayloadView)
  }

  /// The tensor.
  public let entry: TensorEntry
  /// Number of rows: the first extent.
  public let count: Int
  /// Number of values in a row.
  public let valuesPerRow: Int
  /// Bytes held in memory for as long as this value is.
  public let heldBytes: Int
  private let source: Source
  private let rowBytes: Int

  /// Prepares to read a tensor.
  ///
  /// - Throws: ``CheckpointError`` for a scalar, for elements that cannot be read as Float32, and for
  ///   whatever ``TensorEntry/payload()`` refuses where the tensor has to be held.
  public init(_ entry: TensorEntry) throws(CheckpointError) {
    guard let count = entry.shape.first, entry.dtype.isConvertible else {
      throw CheckpointError(
        .unsupported, file: entry.file, place: "tensor \"\(entry.name)\"",
        found: "elements of type \(entry.dtype), shape \(entry.shape)",
        expected: "at least one axis, and a type that can be read as Float32")
    }
    self.entry = entry
    self.count = count
    // The readers checked that the product of all extents fits, zeros left aside.
    valuesPerRow = entry.shape.dropFirst().reduce(1, *)
    rowBytes = valuesPerRow * (entry.dtype.bits / 8)
    let isDense = entry.storage.strides == nil && !entry.storage.isBigEndian
    switch entry.storage.origin {
    case .file(let file, let offset) where isDense: source = .file(file, offset: offset)
    case .member(let archive, let member, let offset) where isDense && !member.isDeflated:
      source = .member(archive, member, offset: offset)
    default: source = .memory(try entry.payload())
    }
    if case .memory = source { heldBytes = entry.byteCount } else { heldBytes = 0 }
  }

  /// Writes the values of rows one after another as Float32 into `target`.
  ///
  /// - Precondition: every row is below ``count``, and `target` has room for exactly their values.
  /// - Throws: ``CheckpointError`` if a checksum or a truth value is wrong, or if the file was changed
  ///   since it was opened.
  public func copyFloats(
    _ rows: [Int], into target: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    precondition(
      target.count == rows.count * valuesPerRow && rows.allSatisfy { $0 >= 0 && $0 < count },
      "rows below \(count), and room for their values")
    var done = 0
    while done < rows.count {
      // Neighbours are read in one piece.
      var end = done + 1
      while end < rows.count, rows[end] == rows[end - 1] + 1 { end += 1 }
      let piece = UnsafeMutableBufferPointer(
        rebasing: target[done * valuesPerRow..<end * valuesPerRow])
      let range = rows[done] * rowBytes..<(rows[done] + end - done) * rowBytes
      let isValid: Bool
      if entry.dtype == .float32 {
        try read(range, into: UnsafeMutableRawBufferPointer(piece))
        isValid = true
      } else {
        let bytes = try OwnedBytes(count: range.count, file: entry.file)
        try read(range, into: bytes.bytes)
        isValid = withExtendedLifetime(bytes) {
          convert(UnsafeRawBufferPointer(bytes.bytes), entry.dtype, into: piece)
        }
      }
      guard isValid else {
        throw CheckpointError(
          .malformed, file: entry.file, place: "tensor \"\(entry.name)\"",
          found: "a truth value other than 0 or 1", expected: "bytes 0 and 1 in a BOOL tensor")
      }
      done = end
    }
  }

  /// The bytes of a part of the tensor, dense, row-major and little-endian.
  ///
  /// - Precondition: the range lies in the tensor.
  public func bytes(_ range: Range<Int>) throws(CheckpointError) -> [UInt8] {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= entry.byteCount, "a part of the tensor")
    var failure: CheckpointError?
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, initialized in
      let part = UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(buffer)[..<range.count])
      do throws(CheckpointError) {
        try read(range, into: part)
        initialized = range.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  private func read(
    _ range: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    switch source {
    case .file(let file, let offset): try file.read(at: offset + range.lowerBound, into: target)
    case .member(let archive, let member, let offset):
      try archive.verify(member)
      try archive.file.read(at: member.offset + offset + range.lowerBound, into: target)
    case .memory(let view):
      view.withBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
  }
}
