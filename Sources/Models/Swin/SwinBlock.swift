import Tensors

/// A pre-norm transformer block whose attention stays within windows, every other time shifted by half a
/// window (Liu et al. 2021). Keys `norm1`, `attn.qkv`, `attn.relative_position_bias_table`
/// (`attn.pos_embedding` where all heads share one), `attn.proj`, `norm2`, `mlp`.
struct SwinBlock: Sendable {
  let name: String
  let stage: Int
  private let shape: SwinConfiguration.Stage
  private let isShifted: Bool
  private let norm1: LayerNorm
  private let qkv: Dense
  private let projection: Dense
  private let norm2: LayerNorm
  private let mlp: Perceptron
  /// The bias of positions, `[heads, T, T]`.
  private let positions: Tensor
  /// How many parameters that bias is made of.
  private let tableCount: Int
  private let stageWindows: StageWindows
  /// Those on the map of images of the declared size.
  private let windows: AttentionWindows

  init(
    _ scope: Scope, _ c: SwinConfiguration, _ stageWindows: StageWindows, stage: Int, index: Int
  ) throws(ParameterError) {
    let s = stageWindows.stage
    (name, self.stage, shape) = ("layers.\(stage).blocks.\(index)", stage, s)
    (isShifted, self.stageWindows) = (index % 2 == 1, stageWindows)
    norm1 = try LayerNorm(scope["norm1"], s.width, epsilon: c.epsilon)
    let side = 2 * s.storedWindow - 1
    switch c.form {
    case .original:
      let table = try scope["attn"].weight(
        "relative_position_bias_table", [side * side, s.heads])
      tableCount = table.shape.count
      positions = RelativePositions.bias(
        table, stored: s.storedWindow, window: s.window, sign: .queryMinusKey)
    case .howDoViTsWork:
      let table = try scope["attn"].weight("pos_embedding", [side, side])
      tableCount = table.shape.count
      positions = RelativePositions.shared(
        table, stored: s.storedWindow, window: s.window, heads: s.heads)
    }
    let inner = s.heads * s.headWidth
    qkv = try Dense(scope["attn"]["qkv"], s.width, 3 * inner, bias: c.qkvBias)
    projection = try Dense(scope["attn"]["proj"], inner, s.width)
    norm2 = try LayerNorm(scope["norm2"], s.width, epsilon: c.epsilon)
    mlp = try Perceptron(scope["mlp"], s.width, hidden: s.hidden, act: c.act)
    windows = stageWindows.plan(isShifted: isShifted, height: s.side, width: s.side)
      .windows(positions)
  }

  /// One block over tokens `[N, height * width, C]`.
  func callAsFunction(_ x: Tensor, height: Int, width: Int, _ context: Context) -> Tensor {
    let grid = TokenGrid(height: height, width: width, prefix: 0)
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, stage: stage, roles: roles)
    }
    func mapTap() -> Tap {
      let side = shape.window
      let layout = Connections(
        height: side, width: side,
        support: .windows(mapHeight: height, mapWidth: width, stride: side),
        declared: .attention(qkv, tokens: height * width, seen: side * side, plus: tableCount))
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(layout), stage: stage)
    }
    let own =
      height == shape.side && width == shape.side
      ? windows
      : stageWindows.plan(isShifted: isShifted, height: height, width: width)
        .windows(positions)
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      context.removes(tap("attn_branch", .msa))
        ? x
        : selfAttention(
          x, normalization: norm1.rows, qkv: qkv.weights, projection: projection.weights,
          heads: shape.heads, scale: 1 / Float(shape.headWidth).squareRoot(), windows: own,
          maps: context.inner(mapTap()), branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      context.removes(tap("mlp_branch", .mlp))
        ? attended
        : mlp(
          attended, norm: norm2, residual: attended,
          hidden: context.dropout(at: "\(name).mlp_hidden"),
          branch: context.branch(tap("mlp_branch", .mlp))))
  }
}
