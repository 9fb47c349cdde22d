import Diagnostics
import Images

/// One minibatch as every subject sees it: the same samples, by name.
public struct Minibatch: Sendable {
  /// Its place in the plan.
  public let number: Int
  /// The names of its samples: paths in an image folder, `file#index` elsewhere.
  public let ids: [String]
  /// The places of its samples in the set before any part of it was taken.
  public let positions: [Int]
  /// The class of each sample, where it is known.
  public let labels: [Int?]
  /// The decoded images; nil where the samples are features that were captured before.
  public let images: ImageBatch?

  /// Whether the names are the samples' own; otherwise they only say the place.
  let isIdentified: Bool

  /// The number of samples.
  public var count: Int { ids.count }

  /// What analyses are told of it.
  var identity: BatchIdentity {
    BatchIdentity(number: number, ids: ids, positions: positions, labels: labels)
  }

  /// What decoding its images has shown.
  var remarks: [ImageRemark] { images?.remarks ?? [] }

  /// A minibatch of images of a whole set.
  public init(_ images: ImageBatch) { self.init(images) { $0 } }

  /// A minibatch of images of a part of a set.
  ///
  /// - Parameter place: from a place in the part to the place in the whole.
  init(_ images: ImageBatch, place: (Int) -> Int) {
    number = images.number
    ids = images.items.map(\.id)
    positions = images.items.map { place($0.position) }
    labels = images.items.map(\.label)
    self.images = images
    isIdentified = true
  }

  /// A minibatch of samples without images.
  init(
    number: Int, ids: [String], positions: [Int], labels: [Int?], isIdentified: Bool
  ) {
    self.number = number
    self.ids = ids
    self.positions = positions
    self.labels = labels
    images = nil
    self.isIdentified = isIdentified
  }
}
