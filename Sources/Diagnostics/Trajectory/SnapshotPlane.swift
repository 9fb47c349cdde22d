/// The principal plane of the snapshots of a training, from their inner products alone (Li et al., NeurIPS
/// 2018, with the principal components of a matrix of T rows taken from its T x T products).
///
/// Row t is `d_t = w_t - w_T`, the way from the last snapshot, whose own row is zero. Components are those of
/// the centred rows; coordinates are not centred, so that the last snapshot is the origin.
public struct SnapshotPlane: Sendable {
  /// Where a snapshot lies.
  public struct Coordinates: Sendable, Equatable {
    /// Along each axis, by least squares: what the axes together explain best.
    public var leastSquares: [Double]
    /// Along each axis, `d·p / |p|`: the same where axes are orthogonal.
    public var cosine: [Double]
    /// `|d|`, the distance from the last snapshot.
    public var distance: Double
    /// The distance from the plane.
    public var offPlane: Double
  }

  /// Why there is no plane.
  public enum Failure: Error, Equatable {
    /// All snapshots have the same weights.
    case noDistance
    /// A product is not finite.
    case notFinite
  }

  /// Of each axis, what each row counts for: `p = Σ_t a_t d_t`, of length 1. Two axes, or one where all
  /// snapshots lie on a line.
  public let axes: [[Double]]
  /// The share of the variance of the rows along each axis.
  public let explained: [Double]
  /// Of each snapshot, in order.
  public let coordinates: [Coordinates]

  /// A second axis is one if its variance is more than what rounding of weights leaves of none.
  static let leastVariance = 1e-12

  /// - Parameters:
  ///   - products: `d_s · d_t`, `[T, T]`.
  ///   - count: T.
  /// - Throws: ``Failure``; `SpectrumError` if LAPACK finds no components.
  public init(products: [Double], count: Int) throws {
    precondition(products.count == count * count, "\(products.count) products of \(count) rows")
    guard products.allSatisfy(\.isFinite) else { throw Failure.notFinite }
    let means = (0..<count).map { row in
      products[(row * count)..<((row + 1) * count)].reduce(0, +) / Double(count)
    }
    let mean = means.reduce(0, +) / Double(max(1, count))
    var centred = products
    for row in 0..<count {
      for column in 0..<count { centred[row * count + column] += mean - means[row] - means[column] }
    }
    let eigen = try SmallEigenproblem(dense: centred, order: count)
    let total = eigen.values.reduce(0) { $0 + max(0, $1) }
    guard let largest = eigen.values.last, largest > 0 else { throw Failure.noDistance }
    let places = (0..<min(2, count)).map { count - 1 - $0 }.filter {
      eigen.values[$0] > Self.leastVariance * largest
    }
    explained = places.map { eigen.values[$0] / total }
    axes = places.map { place in
      let vector = eigen.vector(place).map { $0 / eigen.values[place].squareRoot() }
      // Of the two directions of an axis, the one in which the first snapshot that is off its middle lies.
      let along = Self.products(products, vector, count: count)
      let most = along.map(abs).max() ?? 0
      let isNegative = along.first { abs($0) > 1e-9 * most }.map { $0 < 0 } ?? false
      return isNegative ? vector.map { 0 - $0 } : vector
    }
    coordinates = Self.coordinates(products: products, count: count, axes: axes)
  }

  /// Where the rows lie on axes that need be neither orthogonal nor of length 1.
  ///
  /// - Parameters:
  ///   - axes: of each, what each row counts for.
  static func coordinates(
    products: [Double], count: Int, axes: [[Double]]
  ) -> [Coordinates] {
    let along = axes.map { Self.products(products, $0, count: count) }
    func between(_ a: Int, _ b: Int) -> Double {
      zip(axes[a], along[b]).reduce(0) { $0 + $1.0 * $1.1 }
    }
    return (0..<count).map { row in
      let square = max(0, products[row * count + row])
      let own = axes.indices.map { along[$0][row] }
      var solution = own.indices.map { own[$0] / between($0, $0) }
      if axes.count == 2 {
        let (a, b, c) = (between(0, 0), between(0, 1), between(1, 1))
        let determinant = a * c - b * b
        solution = [
          (c * own[0] - b * own[1]) / determinant, (a * own[1] - b * own[0]) / determinant,
        ]
      }
      let explained = zip(solution, own).reduce(0) { $0 + $1.0 * $1.1 }
      return Coordinates(
        leastSquares: solution,
        cosine: own.indices.map { own[$0] / between($0, $0).squareRoot() },
        distance: square.squareRoot(), offPlane: max(0, square - explained).squareRoot())
    }
  }

  /// `d_t · p` of every row.
  private static func products(
    _ products: [Double], _ axis: [Double], count: Int
  ) -> [Double] {
    (0..<count).map { row in
      (0..<count).reduce(0) { $0 + products[row * count + $1] * axis[$1] }
    }
  }
}
