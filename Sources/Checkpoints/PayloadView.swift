import Glibc

/// The bytes of one tensor, dense, row-major and little-endian, with the object that keeps them in
/// memory.
///
/// The bytes usually are a part of a mapped file: nothing was copied. They may be used for as long
/// as ``owner`` is alive.
public struct PayloadView: @unchecked Sendable {
  // Sendable: the bytes are constant and the owner is Sendable.

  /// The bytes. Valid only while ``owner`` is alive.
  public let bytes: UnsafeRawBufferPointer
  /// Keeps the bytes in memory.
  public let owner: any AnyObject & Sendable

  init(_ bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable) {
    self.bytes = bytes
    self.owner = owner
  }

  init(_ memory: OwnedBytes) { self.init(UnsafeRawBufferPointer(memory.bytes), owner: memory) }

  /// Whether the bytes lie in the file itself instead of in a copy.
  public var isMapped: Bool { owner is MappedFile }

  /// Whether the first byte is at a multiple of `alignment`, a power of two.
  public func isAligned(to alignment: Int) -> Bool {
    Int(bitPattern: bytes.baseAddress) & (alignment - 1) == 0
  }

  /// Calls `body` with the bytes, alive for that long.
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(owner) {} }
    return try body(bytes)
  }
}

/// Bytes on the heap, aligned to 64, freed with the object. Filled before it is shared.
final class OwnedBytes: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer

  /// Reserves `count` bytes of undefined content. Memory that is never touched costs nothing.
  init(count: Int, file: String) throws(CheckpointError) {
    var address: UnsafeMutableRawPointer?
    guard posix_memalign(&address, 64, max(count, 64)) == 0, let address else {
      throw CheckpointError(
        .limitExceeded, file: file, found: "a tensor of \(count) bytes", expected: "memory for it")
    }
    bytes = UnsafeMutableRawBufferPointer(start: address, count: count)
  }

  deinit { free(bytes.baseAddress) }
}
