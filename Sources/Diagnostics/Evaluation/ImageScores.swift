/// How a network does on labelled images, image by image: what sums and paired comparisons are made of.
public struct ImageScores: Sendable, Equatable {
  /// The negative log-likelihood (nats) of each image's class; NaN where class scores are not finite.
  public var losses: [Double]
  /// Whether each image's class has the largest score.
  public var hits: [Bool]
  /// The mean square over the input of what was added to each image; nil where nothing was.
  public var inputChanges: [Double]?

  /// The scores of some images, one entry each.
  public init(losses: [Double] = [], hits: [Bool] = [], inputChanges: [Double]? = nil) {
    (self.losses, self.hits, self.inputChanges) = (losses, hits, inputChanges)
  }

  /// Labelled images.
  public var count: Int { losses.count }
}
