/// The units of a run: each of some things done, on each of some minibatches. They are made when they are asked
/// for, since there may be millions.
public struct UnitPlan: RandomAccessCollection, Sendable {
  /// What is done, in order: a unit each, of whatever minibatch.
  public let rows: [WorkUnit]
  /// The minibatches, in order.
  public let batches: [Int]
  /// Minibatches that everything is done on before the next.
  private let step: Int

  /// - Parameter step: minibatches that everything is done on before the next; nil for all of them.
  public init(_ rows: [WorkUnit], on batches: [Int], atOnce step: Int? = nil) {
    (self.rows, self.batches) = (rows, batches)
    self.step = Swift.max(1, Swift.min(step ?? batches.count, batches.count))
  }

  /// The first.
  public var startIndex: Int { 0 }
  /// How many there are.
  public var endIndex: Int { rows.count * batches.count }

  /// The unit of a place: row by row on a few minibatches, then on the next few.
  public subscript(place: Int) -> WorkUnit {
    let first = place / (rows.count * step) * step
    let width = Swift.min(step, batches.count - first)
    let rest = place - first * rows.count
    var unit = rows[rest / width]
    unit.batch = batches[first + rest % width]
    return unit
  }
}
