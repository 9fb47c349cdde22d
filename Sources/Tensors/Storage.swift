import CKernels
import Glibc
import Synchronization

/// Memory for the values of one or more tensors, given back when the last of them goes.
///
/// Kinds: pooled memory of our own; memory of somebody else (a mapped checkpoint), kept alive
/// by a reference; and none at all (abstract tensors, which have a shape but no values).
final class Storage: @unchecked Sendable {
  enum Kind {
    case pooled(capacity: Int)
    case borrowed(owner: AnyObject)
    case abstract(Meter)
    /// Values that nobody will read were given up.
    case released
  }

  let base: UnsafeMutablePointer<Float>
  let count: Int
  let kind: Kind

  init(count: Int) {
    let block = StoragePool.shared.take(bytes: max(count, 1) * MemoryLayout<Float>.stride)
    base = block.address.assumingMemoryBound(to: Float.self)
    self.count = count
    kind = .pooled(capacity: block.bytes)
  }

  init(borrowing base: UnsafePointer<Float>, count: Int, owner: AnyObject) {
    self.base = UnsafeMutablePointer(mutating: base)
    self.count = count
    kind = .borrowed(owner: owner)
  }

  private init() {
    base = UnsafeMutablePointer(bitPattern: MemoryLayout<Float>.alignment).unsafelyUnwrapped
    count = 0
    kind = .released
  }

  /// What tensors without values share.
  static let released = Storage()

  var isReleased: Bool { if case .released = kind { true } else { false } }

  var isPooled: Bool { if case .pooled = kind { true } else { false } }

  init(abstract count: Int, meter: Meter) {
    base = UnsafeMutablePointer(bitPattern: MemoryLayout<Float>.alignment).unsafelyUnwrapped
    self.count = count
    kind = .abstract(meter)
    meter.allocate(count.times(MemoryLayout<Float>.stride))
  }

  deinit {
    switch kind {
    case .pooled(let capacity):
      StoragePool.shared.give(.init(address: UnsafeMutableRawPointer(base), bytes: capacity))
    case .borrowed, .released: break
    case .abstract(let meter): meter.release(count.times(MemoryLayout<Float>.stride))
    }
  }
}

/// Recycled memory for tensors.
///
/// The system clears fresh pages, which costs as much as computing on them. What is given back is kept:
/// small blocks for requests of about the same size, large ones as stretches of huge pages that are cut
/// and joined again as requests need. What is in use and what is kept unused stay together below 1.1
/// times the largest amount in use at once.
final class StoragePool: Sendable {
  struct Block: @unchecked Sendable {
    var address: UnsafeMutableRawPointer
    var bytes: Int
  }

  static let shared = StoragePool()

  private struct State {
    var free: [Int: [Block]] = [:]
    var extents = Extents()
    var freeBytes = 0
    var liveBytes = 0
    var peakLiveBytes = 0

    mutating func takeFree(_ size: Int) -> Block? {
      let block = StoragePool.isLarge(size) ? extents.take(size) : free[size]?.popLast()
      if block != nil { freeBytes -= size }
      return block
    }

    mutating func keep(_ block: Block) {
      freeBytes += block.bytes
      if StoragePool.isLarge(block.bytes) {
        extents.insert(block)
      } else {
        free[block.bytes, default: []].append(block)
      }
    }

    /// Gives up unused memory, largest first, until no more than `allowed` bytes are left.
    mutating func evict(downTo allowed: Int) -> [Block] {
      var evicted: [Block] = []
      while freeBytes > allowed, let block = extents.takeLargest() {
        freeBytes -= block.bytes
        evicted.append(block)
      }
      for key in free.keys.sorted(by: >) where freeBytes > allowed {
        while freeBytes > allowed, let block = free[key]?.popLast() {
          freeBytes -= key
          evicted.append(block)
        }
      }
      return evicted
    }
  }
  private let state = Mutex(State())

  /// Bytes of pooled tensor memory in use now.
  var liveBytes: Int { state.withLock { $0.liveBytes } }

  /// Bytes that are kept for later.
  var keptBytes: Int { state.withLock { $0.freeBytes } }

  /// The most bytes of pooled tensor memory in use at one time.
  var peakBytes: Int { state.withLock { $0.peakLiveBytes } }

  /// Large blocks are multiples of the step and lie on huge pages.
  private static let (step, hugePage) = (1 << 16, 1 << 21)

  private static func isLarge(_ size: Int) -> Bool { size >= step }

  /// Sizes are rounded so that near-equal requests meet: powers of two, then multiples of the step.
  private static func roundedSize(_ bytes: Int) -> Int {
    if bytes > step / 2 { return (bytes + step - 1) / step * step }
    var size = 64
    while size < bytes { size *= 2 }
    return size
  }

  func take(bytes: Int) -> Block {
    let size = Self.roundedSize(bytes)
    let (found, evicted) = state.withLock { state -> (Block?, [Block]) in
      state.liveBytes += size
      state.peakLiveBytes = max(state.peakLiveBytes, state.liveBytes)
      if let block = state.takeFree(size) { return (block, []) }
      // Nothing fits: make room among the unused before asking for more.
      let room = state.peakLiveBytes - state.liveBytes
      return (nil, state.evict(downTo: room + max(state.peakLiveBytes / 10, 1 << 24)))
    }
    ck_take_over(Unmanaged.passUnretained(self).toOpaque())
    for block in evicted { Self.unmap(block) }
    return found ?? map(size)
  }

  func give(_ block: Block) {
    ck_hand_over(Unmanaged.passUnretained(self).toOpaque())
    state.withLock { state in
      state.liveBytes -= block.bytes
      state.keep(block)
    }
  }

  private func map(_ size: Int) -> Block {
    if !Self.isLarge(size) {
      guard let address = aligned_alloc(64, size) else { Self.outOfMemory(size) }
      return Block(address: address, bytes: size)
    }
    let huge = Self.hugePage
    let whole = (size + huge - 1) / huge * huge
    let raw = mmap(nil, whole + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let raw, raw != MAP_FAILED else { Self.outOfMemory(whole) }
    let start = UInt(bitPattern: raw)
    let before = Int((start + UInt(huge) - 1) / UInt(huge) * UInt(huge) - start)
    if before > 0 { munmap(raw, before) }
    let base = raw + before
    munmap(base + whole, huge - before)
    madvise(base, whole, Int32(MADV_HUGEPAGE))
    if whole > size {
      state.withLock { $0.keep(.init(address: base + size, bytes: whole - size)) }
    }
    return Block(address: base, bytes: size)
  }

  private static func unmap(_ block: Block) {
    if isLarge(block.bytes) { munmap(block.address, block.bytes) } else { free(block.address) }
  }

  private static func outOfMemory(_ size: Int) -> Never {
    preconditionFailure("The system has no \(size) bytes left for a tensor")
  }
}

/// Unused stretches of address space, by address; neighbours are one.
private struct Extents {
  private var blocks: [StoragePool.Block] = []

  /// The front of the smallest stretch that holds `size` bytes.
  mutating func take(_ size: Int) -> StoragePool.Block? {
    var best: Int?
    for (index, block) in blocks.enumerated() where block.bytes >= size {
      if best.map({ block.bytes < blocks[$0].bytes }) ?? true { best = index }
    }
    guard let best else { return nil }
    let block = blocks[best]
    if block.bytes == size {
      blocks.remove(at: best)
    } else {
      blocks[best] = .init(address: block.address + size, bytes: block.bytes - size)
    }
    return .init(address: block.address, bytes: size)
  }

  mutating func takeLargest() -> StoragePool.Block? {
    guard let largest = blocks.indices.max(by: { blocks[$0].bytes < blocks[$1].bytes }) else {
      return nil
    }
    return blocks.remove(at: largest)
  }

  mutating func insert(_ block: StoragePool.Block) {
    var block = block
    var place = blocks.firstIndex { $0.address > block.address } ?? blocks.count
    if place < blocks.count, block.address + block.bytes == blocks[place].address {
      block.bytes += blocks.remove(at: place).bytes
    }
    if place > 0, blocks[place - 1].address + blocks[place - 1].bytes == block.address {
      place -= 1
      let front = blocks.remove(at: place)
      block = .init(address: front.address, bytes: front.bytes + block.bytes)
    }
    blocks.insert(block, at: place)
  }
}

/// Memory of tensors in use now, in bytes.
public func liveTensorBytes() -> Int { StoragePool.shared.liveBytes }

/// Peak memory of tensors so far, in bytes.
public func peakTensorBytes() -> Int { StoragePool.shared.peakBytes }
