/// One tensor of a file: what it is called, its type and shape, and where its bytes lie.
///
/// An entry is cheap. Bytes are fetched by ``payload()`` and converted by ``floats()``.
public struct TensorEntry: Sendable {
  /// The name in the file, unchanged.
  public let name: String
  /// The type of the elements.
  public let dtype: ElementType
  /// The extents, slowest axis first; empty for a scalar.
  public let shape: [Int]
  /// The file that holds the bytes.
  public let file: String

  let storage: TensorStorage

  /// Whether two entries show the same bytes in the same way.
  public func isSameData(as other: TensorEntry) -> Bool {
    guard dtype == other.dtype, shape == other.shape, storage.strides == other.storage.strides,
      storage.isBigEndian == other.storage.isBigEndian
    else { return false }
    switch (storage.origin, other.storage.origin) {
    case (.file(let a, let start), .file(let b, let place)): return a === b && start == place
    case (.member(let a, let member, let start), .member(let b, let twin, let place)):
      return a === b && member.index == twin.index && start == place
    default: return false
    }
  }

  /// The same tensor by another name.
  func named(_ name: String) -> TensorEntry {
    TensorEntry(name: name, dtype: dtype, shape: shape, file: file, storage: storage)
  }

  /// Number of elements.
  public var count: Int { shape.reduce(1, *) }  // The readers checked that this fits.

  /// Size of the dense tensor in bytes.
  public var byteCount: Int { dtype.byteCount(shape: shape) ?? 0 }

  /// The bytes, dense, row-major and little-endian: a part of the mapped file where it is stored
  /// so, otherwise a copy (compressed, big-endian or column-major data, views of a larger tensor).
  ///
  /// - Throws: ``CheckpointError`` if compressed data or a checksum is wrong, or if the file was
  ///   changed since it was opened.
  public func payload() throws(CheckpointError) -> PayloadView {
    let source: PayloadView
    let start: Int
    switch storage.origin {
    case .file(let file, let offset):
      try file.requireUnchanged()
      source = PayloadView(file.bytes, owner: file)
      start = offset
    case .member(let archive, let member, let offset):
      source = try archive.contents(of: member)
      start = offset
    case .memory(let view): (source, start) = (view, 0)
    }
    let needed = storage.strides == nil ? byteCount : storage.extent
    guard let bytes = source.bytes.part(at: start, length: needed) else {
      throw CheckpointError(
        .truncated, file: file, place: "tensor \"\(name)\"",
        found: "\(source.bytes.count) bytes", expected: "\(needed) bytes from byte \(start) on")
    }
    if storage.strides == nil, !storage.isBigEndian {
      if case .file(let file, let offset) = storage.origin {
        file.prefetch(offset..<offset + needed)
      }
      return PayloadView(bytes, owner: source.owner)
    }
    let copy = try OwnedBytes(count: byteCount, file: file)
    withExtendedLifetime(source.owner) {
      let width = dtype.bits / 8
      if let strides = storage.strides {
        gather(bytes, width: width, shape: shape, strides: strides, into: copy.bytes)
      } else {
        copy.bytes.copyMemory(from: bytes)
      }
      if storage.isBigEndian { swapBytes(copy.bytes, width: width) }
    }
    return PayloadView(copy)
  }

  /// The values as Float32, row-major: exact for F32, F16, BF16 and for integers up to 2^24,
  /// rounded to nearest otherwise.
  ///
  /// - Throws: as ``payload()``; also for a type that cannot be converted, and for a truth value
  ///   other than 0 or 1.
  public func floats() throws(CheckpointError) -> [Float] {
    try requireConvertible()
    let payload = try payload()
    var failure: CheckpointError?
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(CheckpointError) {
        try convert(payload, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return values
  }

  /// Writes the values as Float32 into `target`, row-major; see ``floats()``.
  ///
  /// - Precondition: `target` has room for exactly ``count`` values.
  public func copyFloats(
    into target: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    precondition(target.count == count, "room for exactly \(count) values")
    try requireConvertible()
    try convert(payload(), into: target)
  }

  private func requireConvertible() throws(CheckpointError) {
    guard dtype.isConvertible else {
      throw CheckpointError(
        .unsupported, file: file, place: "tensor \"\(name)\"", found: "elements of type \(dtype)",
        expected: "a type that can be read as Float32",
        advice: "Convert the tensor to F32, F16 or BF16 where it was made")
    }
  }

  private func convert(
    _ payload: PayloadView, into target: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    let isValid = payload.withBytes { Checkpoints.convert($0, dtype, into: target) }
    guard isValid else {
      throw CheckpointError(
        .malformed, file: file, place: "tensor \"\(name)\"",
        found: "a truth value other than 0 or 1", expected: "bytes 0 and 1 in a BOOL tensor")
    }
  }
}

/// Where the bytes of a tensor lie, and in which order.
struct TensorStorage: Sendable {
  enum Origin: Sendable {
    case file(MappedFile, offset: Int)
    case member(ZipArchive, ZipArchive.Member, offset: Int)
    /// Bytes that stood within something else, as an array within a pickle.
    case memory(PayloadView)
  }

  var origin: Origin
  var isBigEndian = false
  /// Distance in elements between neighbours along each axis; nil for dense row-major data.
  var strides: [Int]?
  /// Bytes from the first to the last element, inclusive; only meaningful with strides.
  var extent = 0
}
