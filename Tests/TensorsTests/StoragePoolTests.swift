import Testing

@testable import Tensors

@Suite struct StoragePoolTests {
  private let pool = StoragePool()

  /// Blocks in use never overlap, whatever the order in which they come and go.
  @Test func blocksInUseAreDisjoint() {
    var random = Random(seed: 9)
    var used: [StoragePool.Block] = []
    for step in 0..<3000 {
      if used.isEmpty || Int(random.next() % 5) < (step < 1500 ? 3 : 2) {
        let bits = random.next() % 23
        let bytes = 1 + Int(random.next() % (1 << bits))
        let block = pool.take(bytes: bytes)
        #expect(block.bytes >= bytes)
        let (first, last) = (block.address, block.address + block.bytes - 1)
        // Both ends can be written.
        first.storeBytes(of: 1, as: UInt8.self)
        last.storeBytes(of: 1, as: UInt8.self)
        for other in used {
          #expect(last < other.address || first > other.address + other.bytes - 1)
        }
        used.append(block)
      } else {
        pool.give(used.remove(at: Int(random.next() % UInt64(used.count))))
      }
    }
    #expect(pool.liveBytes == used.reduce(0) { $0 + $1.bytes })
    for block in used { pool.give(block) }
    #expect(pool.liveBytes == 0)
  }

  /// What was given back serves again: neighbours join and are cut anew.
  @Test func stretchesAreUsedAgain() {
    let size = 3 << 20
    let blocks = (0..<8).map { _ in pool.take(bytes: size) }
    for block in blocks { pool.give(block) }
    let mapped = pool.keptBytes
    for divisor in [1, 2, 3, 6] {
      let parts = (0..<(8 * divisor)).map { _ in pool.take(bytes: size / divisor) }
      #expect(pool.liveBytes + pool.keptBytes == mapped)
      for part in parts { pool.give(part) }
    }
  }

  /// What is kept unused does not add up: about a tenth over the most that was in use at once.
  @Test func whatIsKeptIsBounded() {
    for step in 1...40 {
      let block = pool.take(bytes: step << 20)
      pool.give(block)
    }
    #expect(pool.peakBytes == 40 << 20)
    #expect(pool.keptBytes <= (40 << 20) + (4 << 20) + (1 << 24))
  }
}
