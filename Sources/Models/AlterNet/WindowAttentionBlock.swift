import Tensors

/// A pre-activation block of self-attention in windows that do not overlap:
/// `x + MSA(norm2(conv(gelu(norm1 x))))`, with one table of relative positions for all heads. Keys
/// `norm1`, `conv`, `norm2`, `attn.pos_embedding`, `attn.to_q`, `attn.to_kv`, `attn.to_out`.
struct WindowAttentionBlock: Sendable {
  private let stage: Int
  private let index: Int
  private let window: Int
  private let heads: Int
  private let scale: Float
  private let norm: ChannelAffine
  private let reduction: NormedConvolution
  private let bias: Tensor
  private let query: Tensor
  private let keyValue: Tensor
  private let output: Tensor
  private let outputBias: Tensor

  init(
    _ scope: Scope, _ c: AlterNetConfiguration, stage: Int, index: Int, channels: Int
  ) throws(ParameterError) {
    (self.stage, self.index, window, heads) = (stage, index, c.window, c.heads[stage])
    scale = 1 / Float(c.headWidth).squareRoot()
    norm = try ChannelAffine(batchNorm: scope["norm1"], channels)
    let width = channels / c.block.expansion
    reduction = try NormedConvolution(
      scope["conv"], norm: scope["norm2"], channels, width, kernel: 1)
    let inner = heads * c.headWidth
    // 1x1 convolutions, stored as such and used as products.
    func product(_ name: String, _ inputs: Int, _ outputs: Int) throws(ParameterError) -> Tensor {
      try scope["attn"][name].weight("weight", [outputs, inputs, 1, 1], .heFanOut)
        .reshaped([outputs, inputs])
    }
    let side = 2 * window - 1
    bias = RelativePositions.shared(
      try scope["attn"].weight("pos_embedding", [side, side], .normal(1)), stored: window,
      window: window, heads: heads)
    query = try product("to_q", width, inner)
    keyValue = try product("to_kv", width, 2 * inner)
    output = try product("to_out", inner, channels)
    outputBias = try scope["attn"]["to_out"].weight("bias", [channels], .constant(0))
  }

  /// For each row in the order of windows, its place on the map.
  private func places(height: Int, width: Int) -> [Int32] {
    var places: [Int32] = []
    places.reserveCapacity(height * width)
    for top in stride(from: 0, to: height, by: window) {
      for left in stride(from: 0, to: width, by: window) {
        for row in top..<(top + window) {
          for column in left..<(left + window) { places.append(Int32(row * width + column)) }
        }
      }
    }
    return places
  }

  /// One block over a map `[N, H, W, C]`, `H` and `W` multiples of the window.
  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    let name = "layer\(stage + 1).\(index)"
    func tap(_ suffix: String, _ kind: Tap.Kind) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, stage: stage)
    }
    func mapTap() -> Tap {
      Tap(
        "\(name).attn_map", .attentionMap,
        layout: .attention(height: window, width: window, prefix: 0),
        stage: stage)
    }
    let (images, height, width) = (x.shape[0], x.shape[1], x.shape[2])
    let (positions, tokens) = (height * width, window * window)
    let windows = positions / tokens
    let places = places(height: height, width: width)
    var back = places
    for (row, place) in places.enumerated() { back[Int(place)] = Int32(row) }

    let skip = context.probe == nil ? x : context.tap(tap("skip", .conv), x)
    let reduced = reduction(norm(x, activation: .gelu))
    let cut = reduced.gatherRows(places, rowsIn: positions)
      .reshaped([images * windows, tokens, reduced.shape.last])
    let (q, both) = (linear(cut, query), linear(cut, keyValue))
    let inner = q.shape.last
    let looks = context.probe != nil && context.wants(mapTap())
    let mixed = attention(
      q, both.slice(axis: 2, start: 0, length: inner),
      both.slice(axis: 2, start: inner, length: inner), heads: heads, scale: scale, bias: bias,
      maps: looks
        ? { maps in
          let perImage = Shape([images, windows] + maps.shape.dimensions.dropFirst())
          return context.tap(mapTap(), maps.reshaped(perImage)).reshaped(maps.shape)
        } : nil)
    let joined = mixed.reshaped([images, positions, inner]).gatherRows(back, rowsIn: positions)
      .reshaped([images, height, width, inner])
    let dense = Dense(weight: output, bias: outputBias)
    let y = dense.added(
      to: skip, joined, gain: nil, branch: tap("attn_branch", .msa), context)
    return context.tap(
      Tap(name, .msa, layout: .featureMap, stage: stage, roles: [.sequence, .block]), y)
  }
}
