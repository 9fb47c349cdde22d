/// How a network does on labelled images, as sums that those of further images are added to: as large for a
/// million images as for one.
public struct ScoreSums: Sendable, Codable, Equatable {
  /// What has become of the same images against the network as it is.
  struct Change: Sendable, Codable, Equatable {
    /// Images whose class has the largest score now, and had not.
    var won = 0
    /// Images whose class had the largest score, and has not now.
    var lost = 0
    /// Of the loss (nats), over images whose scores are finite in both.
    var loss = ImageMoments()
  }

  /// Labelled images.
  public private(set) var count = 0
  /// Images whose class scores are not finite.
  public private(set) var nonfinite = 0
  /// Images whose class has the largest score.
  public private(set) var hits = 0
  /// Of the negative log-likelihood (nats), over images whose class scores are finite.
  private var losses = ImageMoments()
  /// The sum over images of the mean square of what was added to the input; nil where nothing was.
  private var inputChange: Double?
  /// Nil where nothing is compared.
  private(set) var change: Change?

  /// Of no image.
  public init() {}

  /// The sums over some images.
  ///
  /// - Parameters:
  ///   - before: the same images as the network as it is has them, to be compared with; nil for no comparison.
  /// - Precondition: both are of the same images.
  public init(_ scores: ImageScores, against before: ImageScores? = nil) {
    count = scores.count
    nonfinite = scores.losses.count { !$0.isFinite }
    hits = zip(scores.hits, scores.losses).count { $0 && $1.isFinite }
    losses = ImageMoments(scores.losses.filter(\.isFinite))
    inputChange = scores.inputChanges?.reduce(0, +)
    guard let before else { return }
    precondition(before.count == count, "Differences are of the same images")
    let sides = zip(before.hits, scores.hits)
    change = Change(
      won: sides.count { !$0 && $1 }, lost: sides.count { $0 && !$1 },
      loss: ImageMoments(
        zip(before.losses, scores.losses).map { $1 - $0 }.filter(\.isFinite)))
  }

  /// Whether the class scores of every image are finite.
  public var isFinite: Bool { nonfinite == 0 }

  private var isKnown: Bool { count > 0 && isFinite }

  /// The share of images whose class has the largest score; nil for no image, and where scores are not
  /// finite.
  public var accuracy: Double? { isKnown ? Double(hits) / Double(count) : nil }

  /// The mean negative log-likelihood (nats); nil as ``accuracy``.
  public var loss: Double? { isKnown ? losses.mean : nil }

  /// The standard error of ``loss`` over images; nil for fewer than two.
  public var lossError: Double? { isKnown ? losses.standardError : nil }

  /// The root mean square of what was added to the inputs; nil where nothing was, and for no image.
  var inputChangeRMS: Double? {
    count > 0 ? inputChange.map { ($0 / Double(count)).squareRoot() } : nil
  }

  /// Takes in further images.
  public mutating func add(_ other: Self) {
    count += other.count
    nonfinite += other.nonfinite
    hits += other.hits
    losses += other.losses
    if let own = other.inputChange { inputChange = (inputChange ?? 0) + own }
    if let own = other.change {
      change = change ?? Change()
      change?.won += own.won
      change?.lost += own.lost
      change?.loss += own.loss
    }
  }

  /// Whether sums that were read from a file are such as a run makes.
  ///
  /// - Parameters:
  ///   - images: how many there may be.
  ///   - isCompared: whether they are compared with those of the network as it is.
  public func isValid(images: Int, isCompared: Bool) -> Bool {
    func isShare(_ part: Int, of all: Int) -> Bool { (0...max(0, all)).contains(part) }
    let known = count - nonfinite
    let difference = change ?? Change()
    return isShare(count, of: images) && isShare(nonfinite, of: count) && isShare(hits, of: known)
      && losses.isValid && losses.count == known && losses.sum >= 0
      && inputChange.map { $0 >= 0 && $0.isFinite } ?? true && isCompared == (change != nil)
      && isShare(difference.won, of: count) && isShare(difference.lost, of: count)
      && difference.loss.isValid && difference.loss.count <= known
  }
}
