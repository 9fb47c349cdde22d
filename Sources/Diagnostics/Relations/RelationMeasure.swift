/// What is measured of connection weights w[n, h, p, u]: of image n, head h, place p and way u from the place to the
/// one that it reads. Patches alone: rows and columns of class tokens are left out, but for the rank.
///
/// A share of variation is the mean over the other indices of the variance over one of them, divided by the mean
/// square of the weights: 0 where they are the same along it.
enum RelationMeasure: Int, CaseIterable, Sendable {
  /// `Σ |w|` further than 1 place away along an axis, over `Σ |w|`.
  case outside3
  /// Further than 2 places away.
  case outside5
  /// Further than 3 places away.
  case outside7
  /// Over the images of a minibatch, of at least two.
  case images
  /// Over places that read the same way.
  case places
  /// Over heads.
  case heads
  /// The exponential of the entropy of the normalised singular values, the mean over heads.
  case rank

  /// The column of the table.
  var column: String {
    switch self {
    case .outside3: "outside_3"
    case .outside5: "outside_5"
    case .outside7: "outside_7"
    case .images: "dynamic"
    case .places: "over_places"
    case .heads: "over_channels"
    case .rank: "effective_rank"
    }
  }

  /// The title of an axis.
  var title: String {
    switch self {
    case .outside3: "Weight outside 3 x 3"
    case .outside5: "Weight outside 5 x 5"
    case .outside7: "Weight outside 7 x 7"
    case .images: "Variation over images"
    case .places: "Variation over places"
    case .heads: "Variation over channels"
    case .rank: "Effective rank"
    }
  }
}
