import CCrypto
import DurableFiles

/// SHA-256 (FIPS 180-4) in lower-case hexadecimal.
public enum Digest {
  /// The digest of bytes in memory.
  public static func sha256(_ bytes: some Sequence<UInt8>) -> String {
    let hash = SHA256()
    hash.update(Array(bytes))
    return hash.finish()
  }

  /// The digest and the size in bytes of a file, read in pieces.
  /// - Throws: `FileError`: `.missing` if there is no such file, `.io` if it cannot be read.
  public static func sha256(file path: String) throws(FileError) -> (digest: String, size: Int) {
    let file: RegularFile
    do throws(RegularFile.Failure) {
      file = try RegularFile(path)
    } catch {
      throw FileError(error, path: path)
    }
    let hash = SHA256()
    var size = 0
    do throws(SystemError) {
      while case let chunk = try file.bytes(at: size, upTo: 1 << 20), !chunk.isEmpty {
        hash.update(chunk)
        size += chunk.count
      }
    } catch {
      throw error.error(.io, path, "cannot read it")
    }
    return (hash.finish(), size)
  }
}

/// A running SHA-256.
public final class SHA256 {
  private let context: OpaquePointer?

  /// The hash of nothing yet.
  public init() {
    context = EVP_MD_CTX_new()
    precondition(
      context != nil && EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1,
      "libcrypto offers SHA-256")
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Takes in more bytes.
  public func update(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    let done = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(done == 1, "a digest in memory takes any bytes")
  }

  /// Takes in more bytes.
  public func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  /// The digest; the hash takes no more bytes.
  public func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    let done = EVP_DigestFinal_ex(context, &digest, nil)
    precondition(done == 1, "a digest is finished once")
    return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
