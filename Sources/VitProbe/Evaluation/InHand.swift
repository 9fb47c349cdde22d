import Synchronization

/// Values that several units need, each made once by the unit that comes first while the others wait; the
/// oldest make room for new ones.
final class InHand<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private final class Place: Sendable { let value = Mutex<Value?>(nil) }
  private struct Entry: Sendable {
    let key: Key
    let place: Place
  }
  private let entries = Mutex<[Entry]>([])
  private let limit: Int

  /// - Parameter limit: how many values are kept.
  init(limit: Int) { self.limit = limit }

  /// The value of a key; made where it is not in hand.
  func callAsFunction(_ key: Key, making: () throws -> Value) throws -> Value {
    let place = entries.withLock { entries in
      if let known = entries.first(where: { $0.key == key }) { return known.place }
      let place = Place()
      entries.append(Entry(key: key, place: place))
      entries.removeFirst(max(0, entries.count - limit))
      return place
    }
    return try place.value.withLock { value in
      if let value { return value }
      let made = try making()
      value = made
      return made
    }
  }
}

/// What a unit is of.
struct ModelBatch: Hashable, Sendable {
  let model: Int
  let batch: Int
}
