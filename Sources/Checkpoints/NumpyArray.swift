/// A `.npy` file opened as one tensor: images, labels or features saved by `numpy.save`.
public struct NumpyArray: Sendable {
  /// The array as a tensor entry; its name is empty.
  public let entry: TensorEntry

  /// The type of the elements.
  public var dtype: ElementType { entry.dtype }
  /// The extents, slowest axis first.
  public var shape: [Int] { entry.shape }

  /// Opens the array at `path` and checks its header against the size of the file; reads no data.
  ///
  /// - Throws: ``CheckpointError`` for a file that cannot be read, is not a `.npy` file, is shorter
  ///   or longer than its header says, or holds objects, text or records.
  public static func open(_ path: String) throws(CheckpointError) -> NumpyArray {
    NumpyArray(entry: try entry(in: MappedFile(path: path), name: ""))
  }

  static func entry(in file: MappedFile, name: String) throws(CheckpointError) -> TensorEntry {
    defer { withExtendedLifetime(file) {} }
    let header = try NumpyHeader(file.bytes, file: file.path, place: "")
    guard header.byteCount == file.count - header.dataOffset else {
      throw wrongSize(header, found: file.count - header.dataOffset, file: file.path, place: "data")
    }
    return TensorEntry(
      name: name, dtype: header.dtype, shape: header.shape, file: file.path,
      storage: header.storage(.file(file, offset: header.dataOffset)))
  }

  static func wrongSize(
    _ header: NumpyHeader, found: Int, file: String, place: String
  ) -> CheckpointError {
    CheckpointError(
      found < header.byteCount ? .truncated : .malformed, file: file, place: place,
      found: "\(found) bytes after the header",
      expected: "\(header.byteCount) for the shape \(header.shape) of \(header.dtype)",
      advice: found < header.byteCount ? "Copy or write the file again" : "")
  }

  /// The bytes, dense, row-major and little-endian; see ``TensorEntry/payload()``.
  public func payload() throws(CheckpointError) -> PayloadView { try entry.payload() }

  /// The values as Float32; see ``TensorEntry/floats()``.
  public func floats() throws(CheckpointError) -> [Float] { try entry.floats() }
}

/// The arrays of a `.npz` file, in the order of its directory.
struct NumpyArchive {
  let tensors: [TensorEntry]

  /// Reads the headers of all members; of compressed ones, only as much as that takes.
  init(_ archive: ZipArchive) throws(CheckpointError) {
    let file = archive.file.path
    var tensors: [TensorEntry] = []
    for member in archive.members {
      let place = "member \"\(member.name)\""
      guard member.name.hasSuffix(".npy"), member.name.utf8.count > 4 else {
        throw CheckpointError(
          .malformed, file: file, place: place, found: "a member that is not an array",
          expected: "names that end in .npy, as numpy.savez writes them")
      }
      let start = try archive.start(of: member, count: NumpyHeader.maximumLength + 12)
      let header = try start.withBytes { bytes throws(CheckpointError) in
        try NumpyHeader(bytes, file: file, place: place)
      }
      guard header.byteCount == member.size - header.dataOffset else {
        throw NumpyArray.wrongSize(
          header, found: member.size - header.dataOffset, file: file, place: place)
      }
      tensors.append(
        TensorEntry(
          name: String(member.name.dropLast(4)), dtype: header.dtype, shape: header.shape,
          file: file, storage: header.storage(.member(archive, member, offset: header.dataOffset))))
    }
    self.tensors = tensors
  }
}
