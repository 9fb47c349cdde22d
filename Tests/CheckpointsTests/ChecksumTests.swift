import TestSupport
import Testing

@testable import Checkpoints

@Suite struct ChecksumTests {
  /// The definition, a bit at a time.
  private func plain(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var state: UInt32 = .max
    for byte in bytes {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0xEDB8_8320 : state >> 1 }
    }
    return ~state
  }

  @Test func hasTheKnownAnswer() {
    #expect(Array("123456789".utf8).withUnsafeBytes { CRC32.checksum($0) } == 0xCBF4_3926)
    #expect(CRC32.checksum(UnsafeRawBufferPointer(start: nil, count: 0)) == 0)
  }

  /// Every length around the steps of the folding, at every alignment, in one piece and in two.
  @Test func isTheDefinition() {
    var numbers = SeededGenerator(state: 3)
    let bytes = (0..<600).map { _ in UInt8.random(in: 0...255, using: &numbers) }
    bytes.withUnsafeBytes { bytes in
      for length in Array(0...200) + [255, 256, 257, 511, 512, 580] {
        let start = length % 17
        let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
        let expected = plain(part)
        #expect(CRC32.checksum(part) == expected, "\(length) bytes")
        var pieces = CRC32()
        pieces.update(UnsafeRawBufferPointer(rebasing: part[..<(length / 3)]))
        pieces.update(UnsafeRawBufferPointer(rebasing: part[(length / 3)...]))
        #expect(pieces.value == expected, "\(length) bytes in two pieces")
      }
    }
  }
}
