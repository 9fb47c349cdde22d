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
  public mutating func add(_ values: UnsafeBufferPointer<Float>) {
    // Four sums each, which do not wait for one another.
    var (first, second, third, fourth) = (Sums(), Sums(), Sums(), Sums())
    let whole = values.count / 4 * 4
    for place in stride(from: 0, to: whole, by: 4) {
      first.add(values[place])
      second.add(values[place + 1])
      third.add(values[place + 2])
      fourth.add(values[place + 3])
    }
    for place in whole..<values.count { first.add(values[place]) }
    l1 += (first.magnitude + second.magnitude) + (third.magnitude + fourth.magnitude)
    let square = (first.square + second.square) + (third.square + fourth.square)
    normSum += square.squareRoot()
    halfSquare += square / 2
  }

  private struct Sums {
    var (magnitude, square) = (0.0, 0.0)

    mutating func add(_ value: Float) {
      magnitude += Double(value.magnitude)
      square += Double(value) * Double(value)
    }
  }

  /// Whether norms that were read from a file are some.
  public var isValid: Bool { [l1, normSum, halfSquare].allSatisfy { $0.isNaN || $0 >= 0 } }
}
