import Tensors

/// The stem of stand-alone self-attention as leaderj1001 published it (after Ramachandran et al. 2019): each channel has a
/// softmax of its own over the window of a place, and each tap reads a mixture of its own of several sets of values. Keys
/// `query_conv`, `key_conv`, `value_conv.M`, `emb_a` and `emb_b` (a vector for each row and column of the window),
/// `emb_mix` (one for each set of values).
struct AttentionStem: Sendable {
  private let query: Dense
  private let key: Dense
  /// All sets of values, one after the other.
  private let values: Dense
  /// `[taps, M]`: rows sum to 1.
  private let shares: Tensor
  private let window: SlidingWindow

  /// - Parameters:
  ///   - side: of the window; an even one has one more place before than behind.
  init(
    _ scope: Scope, inputs: Int, channels: Int, side: Int, mixtures: Int
  ) throws(ParameterError) {
    func product(_ scope: Scope) throws(ParameterError) -> Dense {
      try Dense(pointwise: scope, inputs, channels, bias: false, .heFanOut)
    }
    (query, key) = (try product(scope["query_conv"]), try product(scope["key_conv"]))
    let sets = try (0..<mixtures).map { index throws(ParameterError) in
      try product(scope["value_conv"][index]).weights.weight
    }
    values = Dense((Tensor.concatenated(sets, axis: 0), nil))
    func vectors(_ name: String, _ shape: [Int]) throws(ParameterError) -> Tensor {
      try scope.weight(name, shape, .normal(1))
    }
    let (rows, columns) = (
      try vectors("emb_a", [channels, side]), try vectors("emb_b", [channels, side])
    )
    let mix = try vectors("emb_mix", [mixtures, channels])
    let scores =
      mix.matrixProduct(rows).reshaped([mixtures, side, 1])
      + mix.matrixProduct(columns).reshaped([mixtures, 1, side])
    shares = scores.reshaped([mixtures, side * side]).permuted([1, 0]).softmax()
    let (before, behind) = (side / 2, (side - 1) / 2)
    window = SlidingWindow(
      kernel: (side, side), padding: (before, before, behind, behind))
  }

  /// Images `[N, H, W, inputs]` as a map `[N, H, W, channels]`.
  func callAsFunction(_ x: Tensor, _ context: Context, map: (Connections) -> Tap) -> Tensor {
    let queries = query(x)
    let (places, channels) = (x.shape[1] * x.shape[2], queries.shape[3])
    func connections() -> Connections {
      let products = query.parameterCount + key.parameterCount
      return Connections(
        height: x.shape[1], width: x.shape[2], support: .taps(window),
        declared: Connections.Declaration(
          .pair, channels: channels, parameters: products,
          multiplyAdds: places * (products + (1 + shares.shape[1]) * shares.shape[0] * channels)))
    }
    return localAttention(
      queries: queries, keys: key(x), values: values(x), window: window, heads: channels,
      shares: shares, maps: context.inner(map(connections())))
  }
}
