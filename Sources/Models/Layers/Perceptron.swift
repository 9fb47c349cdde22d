import Tensors

/// What stands between the two projections of a block's multilayer perceptron.
public enum PerceptronKind: String, ConfigurationValue, Codable, Sendable, CaseIterable {
  /// A function of each channel: GELU, unless another is named.
  case gelu
  /// The first half through SiLU, times the second half (Shazeer 2020).
  case swiglu
}

/// A multilayer perceptron over channels, keys `fc1`, `fc2`.
struct Perceptron: Sendable {
  let kind: PerceptronKind
  let act: Activation
  let fc1: Dense
  let fc2: Dense

  /// - Parameters:
  ///   - hidden: what the second projection takes in; a gated first one gives twice as much.
  init(
    _ scope: Scope, _ width: Int, hidden: Int, kind: PerceptronKind = .gelu,
    act: ActivationFunction = .gelu
  ) throws(ParameterError) {
    (self.kind, self.act) = (kind, act.function)
    fc1 = try Dense(scope["fc1"], width, kind == .swiglu ? 2 * hidden : hidden)
    fc2 = try Dense(scope["fc2"], hidden, width)
  }

  /// `residual + gain * mlp(norm(x))`.
  func callAsFunction(
    _ x: Tensor, norm: LayerNorm? = nil, gain: Tensor? = nil, residual: Tensor? = nil
  ) -> Tensor {
    switch kind {
    case .gelu:
      return perceptron(
        x, (fc1.weight, fc1.bias), (fc2.weight, fc2.bias), normalization: norm?.rows,
        activation: act, gain: gain, residual: residual)
    case .swiglu:
      let both = fc1(x, norm: norm)
      let half = both.shape.last / 2
      let hidden =
        both.slice(axis: -1, start: 0, length: half).silu()
        * both.slice(axis: -1, start: half, length: half)
      return fc2(hidden, gain: gain, residual: residual)
    }
  }

  /// `x + gain * mlp(norm(x))`, in one step unless somebody wants to see the branch before the gain; the
  /// same arithmetic either way.
  func added(
    to x: Tensor, norm: LayerNorm, gain: Tensor?, branch: @autoclosure () -> Tap,
    _ context: Context
  ) -> Tensor {
    guard context.probe != nil, context.wants(branch()) else {
      return self(x, norm: norm, gain: gain, residual: x)
    }
    let value = context.tap(branch(), self(x, norm: norm))
    return (gain.map { value * $0 } ?? value) + x
  }
}
