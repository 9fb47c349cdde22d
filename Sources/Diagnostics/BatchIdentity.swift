/// Which samples a minibatch holds.
public struct BatchIdentity: Sendable, Hashable {
  /// Its place in the plan.
  public let number: Int
  /// The names of its samples: paths in an image folder, `file#index` elsewhere.
  public let ids: [String]
  /// The places of its samples in the set before any part of it was taken.
  public let positions: [Int]
  /// The class of each sample; nil where it is not known.
  public let labels: [Int?]

  /// A minibatch of the given samples, one entry each.
  public init(number: Int, ids: [String], positions: [Int], labels: [Int?]) {
    self.number = number
    self.ids = ids
    self.positions = positions
    self.labels = labels
  }

  /// The number of samples.
  public var count: Int { ids.count }
}

/// The fewest samples that a minibatch must hold.
public struct MinimumBatch: Sendable, Hashable {
  /// How many.
  public let count: Int
  /// Why, in a clause.
  public let reason: String

  /// At least `count`, because of `reason`.
  public init(_ count: Int, _ reason: String) {
    self.count = count
    self.reason = reason
  }
}
