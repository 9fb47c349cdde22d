/// How a network does on labelled images, image by image: what paired comparisons are made of.
public struct ImageScores: Sendable, Codable, Equatable {
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

  /// Whether the class scores of every image are finite.
  public var isFinite: Bool { losses.allSatisfy(\.isFinite) }

  /// The share of images whose class has the largest score; nil for no image, and where scores are not
  /// finite.
  public var accuracy: Double? {
    count > 0 && isFinite ? Double(hits.count { $0 }) / Double(count) : nil
  }

  /// The mean negative log-likelihood (nats); nil as ``accuracy``.
  public var loss: Double? {
    count > 0 && isFinite ? losses.reduce(0, +) / Double(count) : nil
  }

  /// The standard error of ``loss`` over images; nil for fewer than two.
  public var lossError: Double? {
    guard count > 1, isFinite else { return nil }
    return SampleMean(losses).standardError
  }

  /// Takes in the scores of further images.
  public mutating func append(_ other: Self) {
    losses += other.losses
    hits += other.hits
    if let changes = other.inputChanges { inputChanges = (inputChanges ?? []) + changes }
  }

  /// Whether scores that were read from a file are such as a run makes.
  ///
  /// - Parameter images: how many there may be.
  public func isValid(images: Int) -> Bool {
    hits.count == count && count <= images
      && losses.allSatisfy { $0.isNaN || ($0 >= 0 && $0.isFinite) }
      && (inputChanges?.allSatisfy { $0 >= 0 && $0.isFinite } ?? true)
      && (inputChanges?.count ?? count) == count
  }
}
