import Dispatch
import Glibc
import Synchronization
import Testing

@testable import Tensors

/// Loops over several threads.
@Suite struct ThreadsTests {
  /// How often each index came.
  private final class Counts: Sendable {
    private let counts: Mutex<[Int]>
    init(_ count: Int) { counts = Mutex([Int](repeating: 0, count: count)) }
    func add(_ index: Int) { counts.withLock { $0[index] += 1 } }
    var all: [Int] { counts.withLock { $0 } }
  }

  @Test(arguments: [0, 1, 2, 7, 1000], [1, 2, 3, 16])
  func everyIndexComesOnce(_ count: Int, _ width: Int) {
    let counts = Counts(count)
    Threads.perform(count, width: width) { counts.add($0) }
    #expect(counts.all.allSatisfy { $0 == 1 })
  }

  @Test func noMoreThanTheWidthAreUnderWay() {
    let now = Atomic<Int>(0)
    let most = Atomic<Int>(0)
    Threads.perform(60, width: 3) { _ in
      most.max(now.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
      usleep(500)
      now.subtract(1, ordering: .relaxed)
    }
    #expect((1...3).contains(most.load(ordering: .relaxed)))
  }

  /// Inside of a loop another runs in order, on the thread that meets it.
  @Test func aLoopInALoopStaysOnItsThread() {
    let orders = Mutex([Int: [Int]]())
    let strangers = Atomic<Int>(0)
    Threads.perform(8, width: 4) { index in
      let mine = pthread_self()
      Threads.perform(50, width: 4) { inner in
        if pthread_equal(mine, pthread_self()) == 0 { strangers.add(1, ordering: .relaxed) }
        orders.withLock { $0[index, default: []].append(inner) }
      }
    }
    #expect(strangers.load(ordering: .relaxed) == 0)
    #expect(orders.withLock { $0 }.values.allSatisfy { $0 == Array(0..<50) })
    #expect(orders.withLock { $0.count } == 8)
  }

  @Test func callersAtTheSameTimeAllGetTheirLoops() {
    let callers = 6
    let counts = (0..<callers).map { _ in Counts(200) }
    DispatchQueue.concurrentPerform(iterations: callers) { caller in
      for _ in 0..<20 { Threads.perform(200, width: 3) { counts[caller].add($0) } }
    }
    #expect(counts.allSatisfy { $0.all.allSatisfy { $0 == 20 } })
  }

  /// Threads that have gone to sleep are woken: two shares that wait for each other both come.
  @Test func aPauseBetweenLoopsDoesNotMatter() {
    // Enough of them, whatever other tests run meanwhile.
    Threads.perform(16, width: 16) { _ in }
    for _ in 0..<5 {
      usleep(3000)
      let arrived = Atomic<Int>(0)
      let met = Atomic<Int>(0)
      Threads.perform(2, width: 2) { _ in
        arrived.add(1, ordering: .relaxed)
        for _ in 0..<20_000 where arrived.load(ordering: .relaxed) < 2 { usleep(500) }
        if arrived.load(ordering: .relaxed) == 2 { met.add(1, ordering: .relaxed) }
      }
      #expect(met.load(ordering: .relaxed) == 2)
    }
  }
}
