import Diagnostics
import Glibc
import Reports
import Synchronization
import TestSupport
import Testing

@testable import VitProbe

/// Ranks as threads of this process.
private final class Meeting: Sendable {
  struct Member: Ranks {
    let rank: Int
    let meeting: Meeting
    var count: Int { meeting.count }

    func broadcast(_ values: inout [Double]) { values = meeting.meet(rank, values)[0] }

    func sum(_ values: inout [Double]) {
      let all = meeting.meet(rank, values)
      for index in values.indices {
        // Undefined on the others; a value that no one may rely on.
        values[index] = rank == 0 ? all.reduce(0) { $0 + $1[index] } : .nan
      }
    }
  }

  let count: Int
  private let barrier: Barrier
  private let table: Mutex<[[Double]]>

  init(_ count: Int) {
    self.count = count
    barrier = Barrier(count)
    table = Mutex([[Double]](repeating: [], count: count))
  }

  /// What everyone brought.
  private func meet(_ rank: Int, _ values: [Double]) -> [[Double]] {
    table.withLock { $0[rank] = values }
    barrier.wait()
    let all = table.withLock(\.self)
    barrier.wait()
    return all
  }

  /// Runs a body as each of the ranks, side by side.
  static func run<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Member) throws -> Value
  ) -> [Result<Value, any Error>] {
    let meeting = Meeting(count)
    let results = Results<Value>(count)
    let threads = (0..<count).map { rank in
      let member = Member(rank: rank, meeting: meeting)
      let work = Unmanaged.passRetained(
        Work { results.set(rank, Result { try body(member) }) })
      var thread = pthread_t()
      pthread_create(
        &thread, nil,
        { pointer in
          pointer.map { Unmanaged<Work>.fromOpaque($0).takeRetainedValue().body() }
          return nil
        }, work.toOpaque())
      return thread
    }
    for thread in threads { pthread_join(thread, nil) }
    return results.all
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  private final class Results<Value: Sendable>: Sendable {
    private let values: Mutex<[Result<Value, any Error>?]>
    init(_ count: Int) { values = Mutex([Result<Value, any Error>?](repeating: nil, count: count)) }
    func set(_ rank: Int, _ value: Result<Value, any Error>) {
      values.withLock { $0[rank] = value }
    }
    var all: [Result<Value, any Error>] { values.withLock { $0.compactMap(\.self) } }
  }

  private final class Barrier: @unchecked Sendable {
    private let place = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)
    init(_ count: Int) { pthread_barrier_init(place, nil, UInt32(count)) }
    deinit {
      pthread_barrier_destroy(place)
      place.deallocate()
    }
    func wait() { pthread_barrier_wait(place) }
  }
}

/// Hessians of a data set whose minibatches several ranks share.
@Suite struct RankTests {
  /// Two models, five minibatches of which the last is small.
  private static func run(_ data: Int = 18) throws -> HessianRun {
    try RecordStudy.hessian(scope: .dataset, steps: 6, images: data) {
      ($0.traceProbes, $0.tolerance) = (4, 1e-9)
    }
  }

  /// Every number of both tables.
  private static func numbers(_ records: RunRecords<HessianRecords>) throws -> [Double] {
    let rows = try records.report().tables.prefix(2).flatMap(\.rows)
    return rows.joined().compactMap { cell -> Double? in
      guard case .real(let value) = cell else { return nil }
      return value
    }
  }

  /// One rank more than there are minibatches at most, so that one has none.
  @Test(arguments: [1, 2, 3, 5, 6])
  func ranksFindWhatOneProcessFinds(_ count: Int) throws {
    let single = try Self.numbers(Self.run().collect())
    let found = Meeting.run(count) { ranks -> [Double]? in
      let run = try Self.run()
      guard ranks.rank == 0 else {
        try run.assist(ranks)
        return nil
      }
      return try Self.numbers(run.collect(sharing: ranks))
    }
    let values = try #require(try found[0].get())
    #expect(try found.dropFirst().allSatisfy { try $0.get() == nil })
    #expect(values.count == single.count && single.count > 20)
    for (value, expected) in zip(values, single) {
      #expect(abs(value - expected) <= 1e-6 * max(abs(expected), 0.01))
    }
  }

  /// Each minibatch is some rank's, and each rank's loss adds up to that of all.
  @Test func sharesAddUp() throws {
    let small = try SmallViT()
    let batches = try small.batches(numbers: [0, 1, 2])
    let whole = try small.hessian(batches)
    let vector = [Double](repeating: 0.03, count: whole.dimension)
    let product = try whole.apply([vector])[0]
    for count in 1...5 {
      var (loss, sum) = (0.0, [Double](repeating: 0, count: whole.dimension))
      var taken: [Int] = []
      for rank in 0..<count {
        let own = batches.indices.filter(Shard(index: rank, count: count).contains)
        taken += own
        let part = try NetworkHessian(
          small.subject.network,
          parameters: ParameterVector(small.subject.network, globs: [], label: ""),
          batches: own.map { batches[$0] }, images: 10, memory: 1 << 30)
        loss += part.loss
        for (index, value) in try part.apply([vector])[0].enumerated() { sum[index] += value }
      }
      #expect(taken.sorted() == [0, 1, 2])
      #expect(abs(loss - whole.loss) < 1e-12)
      #expect(distance(sum, product) < 1e-14)
    }
  }

  /// Whichever fails, all end, with its code, and one of them has something to say.
  @Test(arguments: [[0], [2], [1, 2], [0, 1, 2]])
  func aFailureIsEveryonesAndSaidOnce(_ failing: [Int]) throws {
    let found = Meeting.run(3) { ranks in
      try ranks.together {
        if failing.contains(ranks.rank) {
          throw VitProbeError(.noInput, "no file for \(ranks.rank)")
        }
      }
    }
    let failures = found.map { result in
      #expect(throws: RankFailure.self) { try result.get() }
    }
    #expect(failures.allSatisfy { $0?.kind == .noInput && $0?.rank == failing[0] })
    #expect(failures.allSatisfy { $0?.isKnownToAll == true })
    let said = failures.compactMap { $0?.message }
    #expect(said == ["no file for \(failing[0])"])
  }

  @Test func aStoppedRunSendsTheOthersHome() throws {
    let found = Meeting.run(3) { ranks in
      let run = try Self.run()
      guard ranks.rank == 0 else { return try run.assist(ranks) }
      var made = 0
      _ = try run.collect(
        sharing: ranks, shouldStop: { made == 3 }, progress: { _, _ in made += 1 })
    }
    #expect(throws: Interruption.self) { try found[0].get() }
    for result in found.dropFirst() { try result.get() }
  }

  @Test func ranksThatSeeOtherDataAreAnError() throws {
    let found = Meeting.run(2) { ranks in
      let run = try Self.run(ranks.rank == 0 ? 18 : 17)
      guard ranks.rank == 0 else { return try run.assist(ranks) }
      _ = try run.collect(sharing: ranks)
    }
    let error = #expect(throws: VitProbeError.self) { try found[0].get() }
    #expect(error?.kind == .badData && error?.message.contains("17.5 on average") == true)
    try found[1].get()
  }
}
