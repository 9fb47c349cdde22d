import Tensors

/// Layer normalisation over the last axis, keys `weight` and `bias`.
struct LayerNorm: Sendable {
  let gamma: Tensor
  let beta: Tensor
  let epsilon: Float

  init(_ scope: Scope, _ width: Int, epsilon: Double) throws(ParameterError) {
    gamma = try scope.weight("weight", [width], .constant(1))
    beta = try scope.weight("bias", [width], .constant(0))
    self.epsilon = Float(epsilon)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNorm(gamma: gamma, beta: beta, epsilon: epsilon)
  }
}
