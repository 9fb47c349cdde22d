/// The loss of fixed data at given parameters, its gradient, and products with its Hessian.
///
/// The loss and its gradient are computed once, when the value is made, and remembered; each product
/// then costs one reverse pass over what is remembered, about twice a loss with its gradient. The
/// products are those of exact differentiation (Pearlmutter 1994), not of differences.
///
/// Piecewise linear steps (rectifiers, max pooling) count as the piece that is active.
public final class LossCurvature: Sendable {
  /// The loss.
  public let loss: Float
  /// The gradient by each parameter, of its shape.
  public let gradient: [Tensor]

  private let parameters: [Tensor]
  private let pass: ReversePass
  /// Which parameters the loss depends on.
  private let isRecorded: [Bool]

  /// Records the loss at `parameters`.
  ///
  /// - Parameters:
  ///   - parameters: what to differentiate by; only these are.
  ///   - loss: the loss as a scalar, made of operations on the (tracked) parameters it is given.
  /// - Precondition: the loss has one value.
  public init<E: Error>(
    at parameters: [Tensor], loss: ([Tensor]) throws(E) -> Tensor
  ) throws(E) {
    let tracked = parameters.map { $0.detached().tracked() }
    let value = try loss(tracked)
    precondition(value.shape.count == 1, "A loss is a scalar, not of shape \(value.shape)")
    let one = Tensor(repeating: 1, shape: value.shape)
    let parts = pullback([(value, one)], withRespectTo: tracked, recording: true)
    self.loss = value.values.first ?? .nan
    self.parameters = tracked
    pass = ReversePass(from: parts.compactMap(\.self), to: tracked)
    isRecorded = parts.map { $0 != nil }
    gradient = zip(parts, tracked).map {
      $0?.detached() ?? Tensor(repeating: 0, shape: $1.shape)
    }
  }

  /// The Hessian times a vector, given and returned in parts of the parameters' shapes.
  ///
  /// - Precondition: there is one part a parameter, of its shape.
  public func product(with vector: [Tensor]) -> [Tensor] {
    precondition(
      vector.count == parameters.count
        && zip(vector, parameters).allSatisfy { $0.shape == $1.shape },
      "The parts of a vector have the shapes of the parameters")
    let cotangents = zip(isRecorded, vector).compactMap { $0 ? $1 : nil }
    return zip(pass.run(cotangents, recording: false), parameters).map {
      $0 ?? Tensor(repeating: 0, shape: $1.shape)
    }
  }

  /// The Hessian times each of several vectors.
  public func products(with vectors: [[Tensor]]) -> [[Tensor]] { vectors.map(product(with:)) }
}
