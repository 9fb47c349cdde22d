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

  /// Two products at hand, GELU between them.
  init(_ fc1: Dense, _ fc2: Dense) {
    (kind, act, self.fc1, self.fc2) = (.gelu, .gelu, fc1, fc2)
  }

  /// `residual + gain * mlp(norm(x))`.
  ///
  /// - Parameters:
  ///   - hidden: gets what the second projection takes in; nil if nobody looks.
  ///   - branch: gets `mlp(norm(x))`; nil if nobody looks.
  func callAsFunction(
    _ x: Tensor, norm: LayerNorm? = nil, gain: Tensor? = nil, residual: Tensor? = nil,
    hidden: InnerTap? = nil, branch: InnerTap? = nil
  ) -> Tensor {
    switch kind {
    case .gelu:
      return perceptron(
        x, fc1.weights, fc2.weights, normalization: norm?.rows, activation: act, gain: gain,
        residual: residual, hidden: hidden, branch: branch)
    case .swiglu:
      let both = fc1(x, norm: norm)
      let half = both.shape.last / 2
      let gated =
        both.slice(axis: -1, start: 0, length: half).silu()
        * both.slice(axis: -1, start: half, length: half)
      return fc2(hidden?(gated) ?? gated, gain: gain, residual: residual, branch: branch)
    }
  }
}
