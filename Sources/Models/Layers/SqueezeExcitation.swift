import Tensors

/// Gates of channels from the means of channels (Hu et al. 2018): `x sigmoid(fc2 relu(fc1 mean x))`. Keys
/// `fc1`, `fc2`, products or convolutions of extent 1.
struct SqueezeExcitation: Sendable {
  private let reduce: Dense
  private let expand: Dense

  init(_ scope: Scope, _ channels: Int, reduced: Int) throws(ParameterError) {
    reduce = try Dense(scope["fc1"], channels, reduced)
    expand = try Dense(scope["fc2"], reduced, channels)
  }

  /// A map `[N, H, W, C]`, its channels gated.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let places = x.shape[1] * x.shape[2]
    let gates = expand(reduce(x.globalAverage(), activation: .relu)).sigmoid()
    let everywhere = gates.repeated(places).permuted([1, 0, 2]).reshaped(x.shape)
    return x * everywhere
  }
}
