import Tensors

/// The centred Gram matrix of a layer's features on a minibatch, by which the layer is compared with another.
public struct CentredGram: Sendable {
  /// Images in the minibatch.
  public let images: Int
  /// U-centred, as a vector; nil where features are not finite, or for fewer images than the estimator needs.
  private let entries: [Double]?
  /// The squared norm of the matrix before.
  private let scale: Double
  private let isFinite: Bool

  /// How many numbers ``measures(of:and:)`` gives.
  static let measureCount = 6

  /// - Parameter features: `[N, ...]`.
  public init(_ features: Tensor) {
    let n = features.shape[0]
    let columns = features.shape.count / max(1, n)
    let gram: GramMatrix? = features.withValues { values in
      values.baseAddress.map { GramMatrix($0, n: n, columns: columns, stride: columns) }
    }
    images = n
    scale = gram?.squaredNorm ?? .nan
    isFinite = scale.isFinite
    guard let gram, isFinite, n >= CKASettings().estimator.minimum.count else {
      entries = nil
      return
    }
    var vector = [Double](repeating: 0, count: n * (n - 1) / 2)
    vector.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { gram.uCentred(into: base) }
    }
    entries = vector
  }

  /// Images, the inner products of the first with itself, of both, and of the second with itself, and the squared
  /// norms of both matrices: what a minibatch says of their similarity.
  public static func measures(of a: Self, and b: Self) -> [Double] {
    guard a.isFinite, b.isFinite else {
      return [Double(a.images)] + [Double](repeating: .nan, count: measureCount - 1)
    }
    let (x, y) = (a.entries ?? [], b.entries ?? [])
    return [
      Double(a.images), LongVector.dot(x, x), LongVector.dot(x, y), LongVector.dot(y, y), a.scale,
      b.scale,
    ]
  }

  /// The similarity over all minibatches, as `cka` estimates it by default.
  static func similarity(_ measures: [[Double]]) -> CKAEstimates.Estimate {
    let records = measures.map {
      CKAAnalyzer.Record(
        images: Int($0[0]), products: Array($0[1...3]), scales: Array($0[4...5]), nonfinite: [])
    }
    return CKAEstimates(records, layers: 2, undefined: [], settings: CKASettings()).pair(1, 0)
  }
}
