/// How a data set is cut into minibatches: a matter of counts alone, so that a batch holds the same
/// images whatever the threads, the shards, or the images that cannot be read.
public struct BatchPlan: Sendable, Hashable, Codable {
  /// Images in the data set.
  public let count: Int
  /// Images of a full batch.
  public let batchSize: Int
  /// The positions of each batch, in order, without gap or overlap. All have `batchSize` images but
  /// the last: a remainder of fewer than `minimum` joins the batch before it, if there is one.
  public let batches: [Range<Int>]

  /// Cuts `count` images into batches of `batchSize`.
  ///
  /// - Parameter minimum: the fewest images that may stand alone as a remainder. The unbiased CKA
  ///   estimator needs 4 (Nguyen et al. 2021, equation 3).
  /// - Precondition: `count >= 0`, `batchSize > 0`, `minimum >= 0`.
  public init(count: Int, batchSize: Int, minimum: Int = 4) {
    precondition(
      count >= 0 && batchSize > 0 && minimum >= 0,
      "count \(count), batch size \(batchSize), minimum \(minimum)")
    var batches: [Range<Int>] = []
    var start = 0
    while start < count {
      let end = batchSize < count - start ? start + batchSize : count
      if end - start < min(batchSize, minimum), let last = batches.popLast() {
        batches.append(last.lowerBound..<end)
      } else {
        batches.append(start..<end)
      }
      start = end
    }
    self.count = count
    self.batchSize = batchSize
    self.batches = batches
  }

  /// How many batches are looked at, from the first, and a remark where there are fewer than asked for.
  public func limited(to limit: Int?) -> (count: Int, notes: [String]) {
    guard let limit, limit > batches.count else { return (limit ?? batches.count, []) }
    return (
      batches.count,
      [
        "the \(count) images make \(batches.count) minibatch(es), fewer than the \(limit) of `batchLimit`"
      ]
    )
  }

  /// The largest batch there is; buffers of this size serve all.
  public var largestBatch: Int { batches.map(\.count).max() ?? 0 }
}
