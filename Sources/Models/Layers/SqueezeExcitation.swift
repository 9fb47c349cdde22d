import Tensors

/// Gates of channels from the means of channels (Hu et al. 2018): `x sigmoid(fc2 relu(fc1 mean x))`. Keys
/// `fc1`, `fc2`, products or convolutions of extent 1.
struct SqueezeExcitation: Sendable {
  private let reduce: Dense
  private let expand: Dense

  init(_ scope: Scope, _ channels: Int, reduced: Int, bias: Bool = true) throws(ParameterError) {
    reduce = try Dense(scope["fc1"], channels, reduced, bias: bias)
    expand = try Dense(scope["fc2"], reduced, channels, bias: bias)
  }

  /// A map `[N, H, W, C]`, its channels gated: a local layer of one tap, with a kernel an image.
  ///
  /// - Parameters:
  ///   - map: the tap of the gates.
  func callAsFunction(_ x: Tensor, _ context: Context, map: (Connections) -> Tap) -> Tensor {
    let places = x.shape[1] * x.shape[2]
    var gates = expand(reduce(x.globalAverage(), activation: .relu)).sigmoid()
    if let look = context.inner(map(connections(on: x.shape))) {
      gates = look(gates.reshaped([gates.shape[0], gates.shape[1], 1, 1])).reshaped(gates.shape)
    }
    let everywhere = gates.repeated(places).permuted([1, 0, 2]).reshaped(x.shape)
    return x * everywhere
  }

  private func connections(on map: Shape) -> Connections {
    let products = reduce.weights.weight.shape.count + expand.weights.weight.shape.count
    return Connections(
      height: map[1], width: map[2], support: .taps(SlidingWindow(kernel: 1)),
      declared: Connections.Declaration(
        .image, channels: map[3], parameters: reduce.parameterCount + expand.parameterCount,
        multiplyAdds: products + map[1] * map[2] * map[3]))
  }
}
