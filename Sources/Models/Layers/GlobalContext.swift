import Tensors

/// Channels gated, or added to, by a perceptron of one mean of all places, weighted by a softmax over them (Cao et al.
/// 2019): what is left of a non-local block whose map is the same for every query. timm's keys `conv_attn`, and `mlp_scale` or
/// `mlp_add` with `fc1`, `norm`, `fc2`.
struct GlobalContext: Sendable {
  private let weights: Dense
  private let reduce: Dense
  private let norm: LayerNorm
  private let expand: Dense
  private let isAdded: Bool

  init(_ scope: Scope, _ channels: Int, reduced: Int, isAdded: Bool) throws(ParameterError) {
    let perceptron = scope[isAdded ? "mlp_add" : "mlp_scale"]
    weights = try Dense(pointwise: scope["conv_attn"], channels, 1)
    reduce = try Dense(pointwise: perceptron["fc1"], channels, reduced)
    norm = try LayerNorm(perceptron["norm"], reduced, epsilon: 1e-6)
    expand = try Dense(pointwise: perceptron["fc2"], reduced, channels)
    self.isAdded = isAdded
  }

  /// A map `[N, H, W, C]` with its context.
  ///
  /// - Parameters:
  ///   - map: the tap of the weights of places in the mean.
  func callAsFunction(_ x: Tensor, _ context: Context, map: (Connections) -> Tap) -> Tensor {
    let (images, places, channels) = (x.shape[0], x.shape[1] * x.shape[2], x.shape[3])
    func connections() -> Connections {
      Connections(
        height: x.shape[1], width: x.shape[2], support: .pooling,
        declared: Connections.Declaration(
          .key, channels: channels, parameters: weights.parameterCount,
          multiplyAdds: 2 * places * channels))
    }
    var shares = weights(x).reshaped([images, 1, places]).softmax()
    if let look = context.inner(map(connections())) {
      shares = look(shares.reshaped([images, 1, 1, places])).reshaped(shares.shape)
    }
    let mean = shares.matrixProduct(x.reshaped([images, places, channels]))
    let made = expand(norm(reduce(mean)).relu()).reshaped([images, 1, 1, channels])
    return isAdded ? x + made : x * made.sigmoid()
  }
}
