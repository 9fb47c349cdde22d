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
  private let norm: BatchNorm
  private let reduction: NormedConvolution
  /// Of relative positions, `[heads, T, T]`.
  private let positions: Tensor
  private let query: Dense
  private let keyValue: Dense
  private let output: Dense

  init(
    _ scope: Scope, _ c: AlterNetConfiguration, stage: Int, index: Int, channels: Int
  ) throws(ParameterError) {
    (self.stage, self.index, window, heads) = (stage, index, c.window, c.heads[stage])
    scale = 1 / Float(c.headWidth).squareRoot()
    norm = try BatchNorm(scope["norm1"], channels)
    let width = channels / c.block.expansion
    reduction = try NormedConvolution(
      scope["conv"], norm: scope["norm2"], channels, width, kernel: 1)
    let inner = heads * c.headWidth
    let attention = scope["attn"]
    let side = 2 * window - 1
    positions = RelativePositions.shared(
      try attention.weight("pos_embedding", [side, side], .normal(1)), stored: window,
      window: window, heads: heads)
    query = try Dense(pointwise: attention["to_q"], width, inner, bias: false, .heFanOut)
    keyValue = try Dense(pointwise: attention["to_kv"], width, 2 * inner, bias: false, .heFanOut)
    output = try Dense(pointwise: attention["to_out"], inner, channels, .heFanOut)
  }

  /// One block over a map `[N, H, W, C]`, `H` and `W` multiples of the window.
  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    let name = "layer\(stage + 1).\(index)"
    func tap(_ suffix: String, _ kind: Tap.Kind) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, stage: stage)
    }
    let (images, height, width) = (x.shape[0], x.shape[1], x.shape[2])
    let area = height * width
    func mapTap() -> Tap {
      let matrix = query.weights.weight.shape
      let layout = Connections(
        height: window, width: window,
        support: .windows(mapHeight: height, mapWidth: width, stride: window),
        declared: .attention(
          tokens: area, seen: window * window, width: matrix[1], inner: matrix[0],
          parameters: 2 * query.parameterCount + (2 * window - 1) * (2 * window - 1)))
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(layout), stage: stage)
    }
    let plan = WindowPlan(
      height: height, width: width, window: window, shift: (0, 0), shiftsPadding: true,
      mask: .published)
    let skip = context.tap(tap("skip", .conv), x)
    let reduced = reduction(norm(x, activation: .gelu, context), context)
    let cut = reduced.gatherRows(plan.layout.rows, rowsIn: area)
      .reshaped([images * plan.layout.windows, plan.layout.tokens, reduced.shape.last])
    let (q, both) = (query(cut), keyValue(cut))
    let inner = q.shape.last
    let maps = context.inner(mapTap()).map { look -> InnerTap in
      { maps in
        let perImage = Shape([images, plan.layout.windows] + maps.shape.dimensions.dropFirst())
        return look(maps.reshaped(perImage)).reshaped(maps.shape)
      }
    }
    let mixed = attention(
      q, both.slice(axis: 2, start: 0, length: inner),
      both.slice(axis: 2, start: inner, length: inner), heads: heads, scale: scale,
      bias: positions, maps: maps)
    let joined = mixed.reshaped([images, area, inner]).gatherRows(plan.cropping, rowsIn: area)
      .reshaped([images, height, width, inner])
    let y = output(
      joined, residual: skip, branch: context.branch(tap("attn_branch", .msa)))
    return context.tap(
      Tap(name, .msa, layout: .featureMap, stage: stage, roles: [.sequence, .block]), y)
  }
}
