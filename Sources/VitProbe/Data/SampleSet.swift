import Images

/// One minibatch as every subject sees it: the same samples, by name.
public struct Minibatch: Sendable {
  /// Its place in the plan.
  public let number: Int
  /// The names of its samples: paths in an image folder, `file#index` elsewhere.
  public let ids: [String]
  /// The places of its samples in the whole set.
  public let positions: [Int]
  /// The class of each sample, where it is known.
  public let labels: [Int?]
  /// The decoded images; nil where the samples are features that were captured before.
  public let images: ImageBatch?

  /// The number of samples.
  public var count: Int { ids.count }

  /// A minibatch of images.
  public init(_ images: ImageBatch) {
    number = images.number
    ids = images.items.map(\.id)
    positions = images.items.map(\.position)
    labels = images.items.map(\.label)
    self.images = images
  }
}
