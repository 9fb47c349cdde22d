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
    case absent
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
    kind = .absent
  }

  /// What tensors without values share.
  static let absent = Storage()

  var isAbsent: Bool { if case .absent = kind { true } else { false } }

  var isPooled: Bool { if case .pooled = kind { true } else { false } }

  init(abstract count: Int, meter: Meter) {
    base = UnsafeMutablePointer(bitPattern: MemoryLayout<Float>.alignment).unsafelyUnwrapped
    self.count = count
    kind = .abstract(meter)
    meter.allocate(count * MemoryLayout<Float>.stride)
  }

  deinit {
    switch kind {
    case .pooled(let capacity):
      StoragePool.shared.give(.init(address: UnsafeMutableRawPointer(base), bytes: capacity))
    case .borrowed, .absent: break
    case .abstract(let meter): meter.release(count * MemoryLayout<Float>.stride)
    }
  }
}

/// Recycled memory for tensors.
///
/// Fresh pages cost as much as computing on them (about 2 GB/s at 4 KiB), so blocks are kept for the
/// next tensor of about the same size, and large ones lie on huge pages. What is in use and
/// what is kept unused stay together below 1.1 times the largest amount in use at once.
final class StoragePool: Sendable {
  struct Block: @unchecked Sendable {
    var address: UnsafeMutableRawPointer
    var bytes: Int
  }

  static let shared = StoragePool()

  private struct State {
    var free: [Int: [Block]] = [:]
    var freeBytes = 0
    var liveBytes = 0
    var peakLiveBytes = 0
  }
  private let state = Mutex(State())

  /// Bytes of pooled tensor memory in use now.
  var liveBytes: Int { state.withLock { $0.liveBytes } }

  /// The most bytes of pooled tensor memory in use at one time.
  var peakBytes: Int { state.withLock { $0.peakLiveBytes } }

  /// Sizes are rounded so that near-equal requests meet: powers of two below 64 KiB, then 64 KiB
  /// steps, then 2 MiB steps (whole huge pages).
  private static func roundedSize(_ bytes: Int) -> Int {
    if bytes <= 1 << 16 {
      var size = 64
      while size < bytes { size *= 2 }
      return size
    }
    let step = bytes < 1 << 22 ? 1 << 16 : 1 << 21
    return (bytes + step - 1) / step * step
  }

  func take(bytes: Int) -> Block {
    let size = Self.roundedSize(bytes)
    let (found, evicted) = state.withLock { state -> (Block?, [Block]) in
      state.liveBytes += size
      state.peakLiveBytes = max(state.peakLiveBytes, state.liveBytes)
      if let block = state.free[size]?.popLast() {
        state.freeBytes -= size
        return (block, [])
      }
      // Nothing fits: make room among the unused, largest first, before asking for more.
      var evicted: [Block] = []
      let room = state.peakLiveBytes - state.liveBytes
      let allowed = room + max(state.peakLiveBytes / 10, 1 << 24)
      for key in state.free.keys.sorted(by: >) where state.freeBytes > allowed {
        while state.freeBytes > allowed, let block = state.free[key]?.popLast() {
          state.freeBytes -= key
          evicted.append(block)
        }
      }
      return (nil, evicted)
    }
    for block in evicted {
      ck_take_over(block.address)
      Self.unmap(block)
    }
    guard let found else { return Self.map(size) }
    ck_take_over(found.address)
    return found
  }

  func give(_ block: Block) {
    ck_hand_over(block.address)
    state.withLock { state in
      state.liveBytes -= block.bytes
      state.freeBytes += block.bytes
      state.free[block.bytes, default: []].append(block)
    }
  }

  private static func map(_ size: Int) -> Block {
    if size < 1 << 21 {
      guard let address = aligned_alloc(64, size) else { outOfMemory(size) }
      return Block(address: address, bytes: size)
    }
    let huge = 1 << 21
    let raw = mmap(nil, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let raw, raw != MAP_FAILED else { outOfMemory(size) }
    let start = UInt(bitPattern: raw)
    let aligned = (start + UInt(huge) - 1) / UInt(huge) * UInt(huge)
    let before = Int(aligned - start)
    if before > 0 { munmap(raw, before) }
    munmap(raw + before + size, huge - before)
    madvise(raw + before, size, Int32(MADV_HUGEPAGE))
    return Block(address: raw + before, bytes: size)
  }

  private static func unmap(_ block: Block) {
    if block.bytes < 1 << 21 { free(block.address) } else { munmap(block.address, block.bytes) }
  }

  private static func outOfMemory(_ size: Int) -> Never {
    preconditionFailure("The system has no \(size) bytes left for a tensor")
  }
}

/// Memory of tensors in use now, in bytes.
public func liveTensorBytes() -> Int { StoragePool.shared.liveBytes }

/// Peak memory of tensors so far, in bytes.
public func peakTensorBytes() -> Int { StoragePool.shared.peakBytes }
