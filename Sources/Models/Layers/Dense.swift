import Tensors

/// `x Wᵀ + b`, keys `weight` and `bias`.
struct Dense: Sendable {
  let weight: Tensor
  let bias: Tensor?

  init(_ scope: Scope, _ inputs: Int, _ outputs: Int, bias: Bool = true) throws(ParameterError) {
    weight = try scope.weight("weight", [outputs, inputs])
    self.bias = bias ? try scope.weight("bias", [outputs], .constant(0)) : nil
  }

  /// A product with weights at hand.
  init(weight: Tensor, bias: Tensor?) { (self.weight, self.bias) = (weight, bias) }

  /// `residual + gain * activation(norm(x) Wᵀ + b)`; see
  /// ``linear(_:_:bias:normalization:activation:gain:residual:)``.
  func callAsFunction(
    _ x: Tensor, norm: LayerNorm? = nil, activation: Activation = .none, gain: Tensor? = nil,
    residual: Tensor? = nil
  ) -> Tensor {
    linear(
      x, weight, bias: bias, normalization: norm?.rows, activation: activation, gain: gain,
      residual: residual)
  }

  /// `residual + gain * (x Wᵀ + b)`, in one step unless somebody wants to see the branch before the
  /// gain; the same arithmetic either way.
  func added(
    to residual: Tensor, _ x: Tensor, gain: Tensor?, branch: @autoclosure () -> Tap,
    _ context: Context
  ) -> Tensor {
    guard context.probe != nil, context.wants(branch()) else {
      return self(x, gain: gain, residual: residual)
    }
    let value = context.tap(branch(), self(x))
    return (gain.map { value * $0 } ?? value) + residual
  }
}
