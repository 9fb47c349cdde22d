import Tensors

extension Connections {
  /// Those of local attention on a map `[N, H, W, C]`.
  ///
  /// - Parameters:
  ///   - inner: the width of all heads together.
  ///   - parameters: those of queries, keys and positions.
  static func local(
    _ map: Shape, _ window: SlidingWindow, inner: Int, parameters: Int
  ) -> Connections {
    Connections(
      height: map[1], width: map[2], support: .taps(window),
      declared: .attention(
        tokens: map[1] * map[2], seen: window.kernel.height * window.kernel.width, width: map[3],
        inner: inner, parameters: parameters))
  }
}

/// Stand-alone self-attention (Ramachandran et al. 2019): local attention with a vector for each offset, half of it for the
/// row and half for the column. Keys `query_conv`, `key_conv`, `value_conv`, `rel_h`, `rel_w`.
struct StandAloneAttention: Sendable {
  private let query: NormedConvolution
  private let key: NormedConvolution
  private let value: NormedConvolution
  private let positions: Tensor
  private let window: SlidingWindow
  private let heads: Int

  /// - Parameters:
  ///   - isSeparate: whether each channel has a softmax of its own, as in leaderj1001's code: there the product of query and
  ///     key is not summed over a head, and rows have the first half of all channels, not of each head's.
  init(
    _ scope: Scope, channels: Int, side: Int, heads: Int, isSeparate: Bool
  ) throws(ParameterError) {
    func product(_ name: String) throws(ParameterError) -> NormedConvolution {
      try NormedConvolution(scope[name], norm: nil, channels, channels, kernel: 1)
    }
    (query, key) = (try product("query_conv"), try product("key_conv"))
    value = try product("value_conv")
    window = SlidingWindow(kernel: side, padding: side / 2)
    self.heads = isSeparate ? channels : heads
    let (half, blocks) = (channels / 2, isSeparate ? 1 : heads)
    let everywhere = Shape([half, side, side])
    let rows = try scope.weight("rel_h", [half, 1, 1, side, 1], .normal(1))
      .reshaped([half, side, 1]).expanded(to: everywhere)
    let columns = try scope.weight("rel_w", [half, 1, 1, 1, side], .normal(1))
      .reshaped([half, 1, side]).expanded(to: everywhere)
    positions = Tensor.concatenated(
      [rows, columns].map { $0.reshaped([blocks, half / blocks, side * side]) }, axis: 1
    ).reshaped([channels, side * side]).permuted([1, 0])
  }

  /// A map `[N, H, W, C]` after attention.
  func callAsFunction(_ x: Tensor, _ context: Context, map: (Connections) -> Tap) -> Tensor {
    let channels = x.shape[3]
    let maps = context.inner(
      map(
        .local(
          x.shape, window, inner: channels,
          parameters: 2 * channels * channels + channels * window.kernel.height)))
    return localAttention(
      queries: query(x, context), keys: key(x, context), values: value(x, context),
      window: window, heads: heads, positions: positions, maps: maps)
  }
}
