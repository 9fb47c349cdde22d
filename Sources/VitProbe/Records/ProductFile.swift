import Glibc
import Reports

/// A file of products that is read from its start.
///
/// It begins with the lines `vitprobe products 1` and a JSON document that says what the products are
/// of. Each product follows as the SHA-256 of the vector that was multiplied (64 characters), the
/// product in Float32 as the machine has it, and 16 characters of the SHA-256 of both.
struct ProductFile {
  /// What the products in a file are of.
  struct Head: Codable, Equatable {
    /// Digest of all that records depend on.
    let digest: String
    /// The place of the model in the run.
    let model: Int
    let dimension: Int
    /// Processes that shared each product; with others, sums agree to rounding.
    let ranks: Int
    let kernels: String
  }

  let head: Head
  /// Bytes in all.
  var size: Int { file.size }
  /// Where the next product begins.
  var position: Int
  private let file: Descriptor

  fileprivate static let magic = "vitprobe products 1"
  private static let keyLength = 64
  private static let checksumLength = 16

  /// Bytes of a product.
  static func bytes(_ dimension: Int) -> Int { keyLength + 4 * dimension + checksumLength }

  /// Opens a file; nil for one that is none of ours.
  init?(_ path: String) {
    guard let file = Descriptor(path) else { return nil }
    let start = file.bytes(at: 0, count: min(file.size, 4096))
    let lines = start.split(
      separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
    guard lines.count == 3, lines[0].elementsEqual(Self.magic.utf8),
      let head = try? RecordCoding.decode(Head.self, from: Array(lines[1])),
      (1...1 << 40).contains(head.dimension)
    else { return nil }
    self.file = file
    self.head = head
    position = lines[2].startIndex
  }

  /// What stands next, if it is whole and of this vector.
  func product(of vector: [Double]) -> [Float]? {
    guard vector.count == head.dimension, position + Self.bytes(vector.count) <= size,
      case let key = file.bytes(at: position, count: Self.keyLength), key == Self.key(vector)
    else { return nil }
    var product = [Float](repeating: 0, count: vector.count)
    let start = position + Self.keyLength
    guard product.withUnsafeMutableBytes({ file.read($0, at: start) }),
      case let sum = file.bytes(at: start + 4 * vector.count, count: Self.checksumLength),
      sum == Self.checksum(key, product)
    else { return nil }
    return product
  }

  static func key(_ vector: [Double]) -> [UInt8] {
    let digest = SHA256()
    vector.withUnsafeBytes { digest.update($0) }
    return Array(digest.finish().utf8)
  }

  static func checksum(_ key: [UInt8], _ product: [Float]) -> [UInt8] {
    let digest = SHA256()
    digest.update(key)
    product.withUnsafeBytes { digest.update($0) }
    return Array(digest.finish().utf8.prefix(checksumLength))
  }
}

extension ProductFile.Head {
  /// The lines before the first product.
  func line() throws -> [UInt8] {
    Array("\(ProductFile.magic)\n".utf8) + (try RecordCoding.encode(self)) + Array("\n".utf8)
  }
}

/// A regular file that is open for reading.
private final class Descriptor: Sendable {
  private let file: Int32
  let size: Int

  init?(_ path: String) {
    file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      if file >= 0 { close(file) }
      return nil
    }
    size = Int(status.st_size)
  }

  deinit { close(file) }

  /// Fills a buffer; false if the file does not have so much.
  func read(_ buffer: UnsafeMutableRawBufferPointer, at position: Int) -> Bool {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = pread(file, rest.baseAddress, rest.count, off_t(position + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// A few bytes; none if the file does not have so many.
  func bytes(at position: Int, count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    return bytes.withUnsafeMutableBytes { read($0, at: position) } ? bytes : []
  }
}
