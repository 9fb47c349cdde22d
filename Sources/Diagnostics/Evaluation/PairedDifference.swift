import Glibc

/// What a change makes of accuracy and likelihood on the same images.
public struct PairedDifference: Sendable, Equatable {
  /// A difference with its 95 % interval.
  public struct Estimate: Sendable, Equatable {
    /// The difference: changed less unchanged.
    public let value: Double
    /// The ends of the interval; nil for a single image.
    public let interval: ClosedRange<Double>?
  }

  /// Of the accuracy, in percentage points.
  ///
  /// The interval is that of Agresti and Min (2005, "Simple improved confidence intervals for comparing
  /// matched proportions"): half an image is added to each of the four cells of right and wrong before and
  /// after, so that it exists, and has a width, also where no image changes sides.
  public let accuracy: Estimate
  /// Of the mean negative log-likelihood (nats), with the normal interval of a mean of differences.
  public let loss: Estimate
  /// The exact two-sided p-value of McNemar's test that as many images become right as wrong; 1 where none
  /// changes sides.
  public let mcNemar: Double

  /// Nil for no image, where nothing was compared, and where scores are not finite before or after.
  public init?(_ scores: ScoreSums) {
    guard scores.count > 0, let change = scores.change, change.loss.count == scores.count else {
      return nil
    }
    let (n, won, lost) = (Double(scores.count), change.won, change.lost)
    let centre = Double(won - lost) / (n + 2)
    let half =
      ImageMoments.halfWidth
      * (Double(won + lost + 1) - Double(won - lost) * centre).squareRoot() / (n + 2)
    accuracy = Estimate(
      value: 100 * Double(won - lost) / n,
      interval: max(-100, 100 * (centre - half))...min(100, 100 * (centre + half)))
    let mean = change.loss.mean
    loss = Estimate(
      value: mean,
      interval: change.loss.standardError.map {
        (mean - ImageMoments.halfWidth * $0)...(mean + ImageMoments.halfWidth * $0)
      })
    mcNemar = Self.exactTail(won, lost)
  }

  /// Twice the probability of at most `min(a, b)` heads in `a + b` tosses, at most 1.
  static func exactTail(_ a: Int, _ b: Int) -> Double {
    let tosses = a + b
    var term = -Double(tosses) * log(2.0)
    var sum = exp(term)
    for heads in 0..<min(a, b) {
      term += log(Double(tosses - heads) / Double(heads + 1))
      sum += exp(term)
    }
    return min(1, 2 * sum)
  }
}
