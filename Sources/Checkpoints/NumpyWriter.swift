/// Writes a `.npy` file in pieces: version 1.0, row-major, little-endian, data at a multiple of 64
/// bytes. It appears under its name only when ``finish()`` succeeds.
public struct NumpyWriter: ~Copyable {
  private var file: TensorFile
  private var position: Int
  private let end: Int

  /// Creates the file and writes its header.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be created, or for a type or shape that the
  ///   format cannot hold.
  public init(
    creating path: String, dtype: ElementType = .float32, shape: [Int]
  ) throws(CheckpointError) {
    let header = try numpyHeader(dtype, shape, file: path, place: "")
    var file = try TensorFile(creating: path)
    try file.write(header.bytes, at: 0)
    self.file = file
    position = header.bytes.count
    end = header.bytes.count + header.dataSize
  }

  /// Appends little-endian, row-major bytes.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard bytes.count <= end - position else {
      throw CheckpointError(
        .cannotWrite, file: file.path, found: "\(bytes.count) more bytes",
        expected: "at most the \(end - position) that are missing")
    }
    try file.write(bytes, at: position)
    position += bytes.count
  }

  /// Completes the file and gives it its name.
  public consuming func finish() throws(CheckpointError) {
    guard position == end else {
      throw CheckpointError(
        .cannotWrite, file: file.path, found: "\(end - position) bytes missing",
        expected: "all of them")
    }
    try file.commit()
  }
}

/// The bytes before the data of a `.npy` file: a multiple of 64, as NumPy itself writes them.
func numpyHeader(
  _ dtype: ElementType, _ shape: [Int], file: String, place: String
) throws(CheckpointError) -> (bytes: [UInt8], dataSize: Int) {
  let descr: String? =
    switch dtype {
    case .float16: "<f2"
    case .float32: "<f4"
    case .float64: "<f8"
    case .int8: "|i1"
    case .int16: "<i2"
    case .int32: "<i4"
    case .int64: "<i8"
    case .uint8: "|u1"
    case .uint16: "<u2"
    case .uint32: "<u4"
    case .uint64: "<u8"
    case .bool: "|b1"
    default: nil
    }
  guard let descr, shape.count <= NumpyHeader.maximumRank,
    let size = dtype.byteCount(shape: shape), size <= Int.max - 1 << 20
  else {
    throw CheckpointError(
      .cannotCreate, file: file, place: place, found: "\(dtype) of shape \(shape)",
      expected: "a type that NumPy knows, at most \(NumpyHeader.maximumRank) axes")
  }
  let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
  var text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': (\(extents)), }"
  let length = (text.utf8.count + 1 + 10 + 63) / 64 * 64 - 10
  text += String(repeating: " ", count: length - text.utf8.count - 1) + "\n"
  var bytes: [UInt8] = [0x93] + "NUMPY".utf8 + [1, 0]
  withUnsafeBytes(of: UInt16(length).littleEndian) { bytes.append(contentsOf: $0) }
  bytes.append(contentsOf: text.utf8)
  return (bytes, size)
}
