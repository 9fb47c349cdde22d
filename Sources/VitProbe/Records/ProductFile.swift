import DurableFiles
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
  private let file: RegularFile

  fileprivate static let magic = "vitprobe products 1"
  private static let keyLength = 64
  private static let checksumLength = 16

  /// Bytes of a product.
  static func bytes(_ dimension: Int) -> Int { keyLength + 4 * dimension + checksumLength }

  /// Opens a file; nil for one that is none of ours.
  init?(_ path: String) {
    guard let file = try? RegularFile(path, followingLinks: false),
      let start = try? file.bytes(at: 0, upTo: 4096)
    else { return nil }
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
      let key = try? file.bytes(at: position, upTo: Self.keyLength), key == Self.key(vector)
    else { return nil }
    var product = [Float](repeating: 0, count: vector.count)
    let start = position + Self.keyLength
    let size = 4 * vector.count
    guard product.withUnsafeMutableBytes({ try? file.read(at: start, into: $0) }) == size,
      let sum = try? file.bytes(at: start + size, upTo: Self.checksumLength),
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
