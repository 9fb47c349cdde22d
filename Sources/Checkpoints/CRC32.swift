import CKernels
import CZlib

/// The checksum of ZIP files, taken in pieces.
struct CRC32 {
  private(set) var value: UInt32 = 0

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let done = ck_crc32(&value, start, bytes.count)
    guard done < bytes.count else { return }
    value = UInt32(
      truncatingIfNeeded: crc32_z(uLong(value), start?.advanced(by: done), bytes.count - done))
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    // zlib takes a null pointer as a request for the initial value: that is the right answer.
    var sum = CRC32()
    if !bytes.isEmpty { sum.update(bytes) }
    return sum.value
  }
}
