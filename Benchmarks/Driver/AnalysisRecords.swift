import Diagnostics
import Synchronization
import Tensors

/// An analysis under way, whatever its kind of record.
protocol Slot: Sendable {
  /// The place in the plan of each tap that is looked at.
  var places: [String: Int] { get }
  func start(batches: Int)
  func listener(_ batch: BatchIdentity) -> any Listener
  func report() throws
}

/// Looks at the taps of one minibatch.
protocol Listener {
  func wants(_ tap: Tap) -> Bool
  func look(_ tap: Tap, _ value: Tensor)
  func finish(_ batch: Int)
}

/// An analyzer with its records in batch order.
final class Records<A: Analyzer>: Slot {
  let places: [String: Int]
  private let analyzer: A
  private let plan: Plan
  private let records = Mutex<[A.Record?]>([])

  init(_ analyzer: A, plan: Plan) {
    self.analyzer = analyzer
    self.plan = plan
    let names = plan.subjects[0].taps.map(\.tap.name)
    places = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
  }

  func start(batches: Int) {
    records.withLock { $0 = Array(repeating: nil, count: batches) }
  }

  func listener(_ batch: BatchIdentity) -> any Listener {
    BatchListener(places: places, observer: analyzer.begin(batch, plan: plan)) { record, batch in
      self.records.withLock { $0[batch] = record }
    }
  }

  func report() throws {
    _ = try analyzer.report(records.withLock { $0.compactMap(\.self) }, plan: plan)
  }
}

private struct BatchListener<Record: Sendable>: Listener {
  let places: [String: Int]
  let observer: any BatchObserver<Record>
  let keep: (Record, Int) -> Void

  func wants(_ tap: Tap) -> Bool { places[tap.name] != nil }

  func look(_ tap: Tap, _ value: Tensor) {
    guard let place = places[tap.name] else { return }
    observer.observe(subject: 0, tap: place, value: value)
  }

  func finish(_ batch: Int) { keep(observer.finish(), batch) }
}

/// Hands each tap to all listeners.
struct Listeners: Probe {
  let listeners: [any Listener]

  init(_ listeners: [any Listener]) { self.listeners = listeners }

  func wants(_ tap: Tap) -> Bool { listeners.contains { $0.wants(tap) } }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    for listener in listeners { listener.look(tap, value) }
    return value
  }
}

/// Keeps the values of taps, as a forward hook that stores what it is given.
final class Capture: Probe {
  private(set) var values: [(tap: Tap, value: Tensor)] = []
  private let isWanted: (Tap) -> Bool

  init(_ isWanted: @escaping (Tap) -> Bool) { self.isWanted = isWanted }

  func wants(_ tap: Tap) -> Bool { isWanted(tap) }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    values.append((tap, value))
    return value
  }
}
