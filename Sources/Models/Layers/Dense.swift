import Tensors

/// `x Wᵀ + b`, keys `weight` and `bias`.
struct Dense: Sendable {
  /// `[out, in]` and `[out]`.
  let weights: DenseWeights

  /// How many parameters it has.
  var parameterCount: Int { weights.weight.shape.count + (weights.bias?.shape.count ?? 0) }

  init(_ scope: Scope, _ inputs: Int, _ outputs: Int, bias: Bool = true) throws(ParameterError) {
    let weight = try scope.weight("weight", [outputs, inputs])
    weights = (weight, bias ? try scope.weight("bias", [outputs], .constant(0)) : nil)
  }

  /// The same stored as a convolution of extent 1, `weight` `[out, in, 1, 1]`.
  init(
    pointwise scope: Scope, _ inputs: Int, _ outputs: Int, bias: Bool = true,
    _ initialization: Initialization = .normal(0.02)
  ) throws(ParameterError) {
    let weight = try scope.weight("weight", [outputs, inputs, 1, 1], initialization)
    weights = (
      weight.reshaped([outputs, inputs]),
      bias ? try scope.weight("bias", [outputs], .constant(0)) : nil
    )
  }

  /// A product with weights at hand.
  init(_ weights: DenseWeights) { self.weights = weights }

  /// `residual + gain * activation(norm(x) Wᵀ + b)`; see
  /// ``linear(_:_:bias:normalization:activation:gain:residual:branch:)``.
  func callAsFunction(
    _ x: Tensor, norm: LayerNorm? = nil, activation: Activation = .none, gain: Tensor? = nil,
    residual: Tensor? = nil, branch: InnerTap? = nil
  ) -> Tensor {
    linear(
      x, weights.weight, bias: weights.bias, normalization: norm?.rows, activation: activation,
      gain: gain, residual: residual, branch: branch)
  }
}
