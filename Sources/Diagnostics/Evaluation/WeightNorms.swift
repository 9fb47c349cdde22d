/// How large the weights of a network are; sums in Float64 over parameters, without buffers.
public struct WeightNorms: Sendable, Codable, Hashable {
  /// The sum of magnitudes.
  public var l1 = 0.0
  /// The sum over tensors of their Euclidean norms.
  public var normSum = 0.0
  /// Half the sum of squares: what weight decay adds to the loss, over its factor.
  public var halfSquare = 0.0

  /// Of no weights.
  public init() {}

  /// Takes in a tensor.
  public mutating func add(_ values: some Sequence<Float>) {
    var square = 0.0
    for value in values {
      l1 += Double(value.magnitude)
      square += Double(value) * Double(value)
    }
    normSum += square.squareRoot()
    halfSquare += square / 2
  }

  /// Whether norms that were read from a file are some.
  public var isValid: Bool { [l1, normSum, halfSquare].allSatisfy { $0.isNaN || $0 >= 0 } }
}
