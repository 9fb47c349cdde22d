/// The bytes of a file of fixed-size records: read at offsets as needed, or, if they came compressed,
/// held in memory.
enum RecordStore: Sendable {
  case file(DataFile)
  case memory([UInt8], name: String)

  /// Opens `path`, plain or gzip.
  /// - Parameters:
  ///   - headerLength: how many bytes `expectedSize` wants to see.
  ///   - expectedSize: the size that the whole (unpacked) file must have, told from its header.
  static func open(
    _ path: RawPath, limits: ImageLimits, headerLength: Int,
    expectedSize: ([UInt8]) throws(ImageDataError) -> Int
  ) throws(ImageDataError) -> RecordStore {
    let file = try DataFile(path, name: path.display)
    let magic = try file.bytes(at: 0, upTo: 2)
    guard magic == [0x1F, 0x8B] else {
      let header = try file.bytes(at: 0, upTo: headerLength)
      let expected = try expectedSize(header)
      guard file.size == expected else { throw wrongSize(file.name, file.size, expected) }
      return .file(file)
    }
    var stream = try InflateStream(file)
    let header = try stream.next(headerLength)
    let expected = try expectedSize(header)
    // Deflate shrinks by 1032 at most.
    guard expected / 1033 <= file.size else {
      throw wrongSize(file.name, nil, expected)
    }
    guard expected <= limits.unpackedBytes else {
      throw ImageDataError(
        .tooLarge, file: file.name, found: "\(expected) bytes when unpacked",
        expected: "at most \(limits.unpackedBytes)", advice: "Unpack the file")
    }
    let bytes = try header + stream.next(expected - header.count)
    let surplus = try stream.next(1).count
    guard bytes.count == expected && surplus == 0 else {
      throw wrongSize(file.name, surplus == 0 ? bytes.count : nil, expected)
    }
    return .memory(bytes, name: file.name)
  }

  /// Exactly `count` bytes at `offset`.
  func bytes(at offset: Int, exactly count: Int) throws(ImageDataError) -> [UInt8] {
    switch self {
    case .file(let file): return try file.bytes(at: offset, exactly: count)
    case .memory(let bytes, let name):
      guard offset >= 0, count >= 0, offset <= bytes.count - count else {
        throw ImageDataError(
          .damaged, file: name, place: "byte \(offset)", found: "the end of the file",
          expected: "\(count) bytes")
      }
      return Array(bytes[offset..<offset + count])
    }
  }

  private static func wrongSize(_ name: String, _ found: Int?, _ expected: Int) -> ImageDataError {
    ImageDataError(
      .damaged, file: name, found: found.map { "\($0) bytes" } ?? "another number of bytes",
      expected: "\(expected) by its header",
      advice: "The file is cut, or not of this format; fetch it again")
  }
}
