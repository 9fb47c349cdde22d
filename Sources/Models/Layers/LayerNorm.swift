import Tensors

/// Layer normalisation over the last axis, keys `weight` and `bias`.
struct LayerNorm: Sendable {
  /// As part of what follows it.
  let rows: RowNormalization

  init(_ scope: Scope, _ width: Int, epsilon: Double) throws(ParameterError) {
    rows = RowNormalization(
      gamma: try scope.weight("weight", [width], .constant(1)),
      beta: try scope.weight("bias", [width], .constant(0)), epsilon: Float(epsilon))
  }

  func callAsFunction(_ x: Tensor) -> Tensor { rows(x) }
}
