import Tensors

/// A pre-norm transformer block whose attention stays within windows, every other time shifted by half a
/// window (Liu et al. 2021). Keys `norm1`, `attn.qkv`, `attn.relative_position_bias_table`
/// (`attn.pos_embedding` where all heads share one), `attn.proj`, `norm2`, `mlp`.
struct SwinBlock: Sendable {
  let name: String
  let stage: Int
  private let shape: SwinPlan.Stage
  private let form: SwinPlan.Form
  private let isShifted: Bool
  private let norm1: LayerNorm
  private let qkv: Dense
  private let projection: Dense
  private let norm2: LayerNorm
  private let mlp: Perceptron
  /// The bias of positions, `[heads, T, T]`.
  private let positions: Tensor
  /// Windows on the map of images of the declared size.
  private let side: Int
  private let windows: AttentionWindows

  init(
    _ scope: Scope, _ p: SwinPlan, stage: Int, index: Int, side: Int
  ) throws(ParameterError) {
    let s = p.stages[stage]
    (name, self.stage, shape, form) = ("layers.\(stage).blocks.\(index)", stage, s, p.form)
    isShifted = index % 2 == 1
    self.side = side
    norm1 = try LayerNorm(scope["norm1"], s.width, epsilon: p.epsilon)
    let table = 2 * s.window - 1
    switch p.form {
    case .original:
      positions = RelativePositions.bias(
        try scope["attn"].weight("relative_position_bias_table", [table * table, s.heads]),
        window: s.window, .queryMinusKey)
    case .published:
      positions = RelativePositions.shared(
        try scope["attn"].weight("pos_embedding", [table, table]), window: s.window,
        heads: s.heads)
    }
    let inner = s.heads * s.headWidth
    qkv = try Dense(scope["attn"]["qkv"], s.width, 3 * inner, bias: p.qkvBias)
    projection = try Dense(scope["attn"]["proj"], inner, s.width)
    norm2 = try LayerNorm(scope["norm2"], s.width, epsilon: p.epsilon)
    mlp = try Perceptron(scope["mlp"], s.width, hidden: s.hidden)
    windows = Self.plan(s, p.form, isShifted: isShifted, height: side, width: side)
      .windows(positions)
  }

  private static func plan(
    _ s: SwinPlan.Stage, _ form: SwinPlan.Form, isShifted: Bool, height: Int, width: Int
  ) -> WindowPlan {
    let half = isShifted ? s.window / 2 : 0
    switch form {
    case .original(let shiftsPadding):
      // A window that holds the whole map has nothing to be shifted to.
      return WindowPlan(
        height: height, width: width, window: s.window,
        shift: (height <= s.window ? 0 : half, width <= s.window ? 0 : half),
        shiftsPadding: shiftsPadding, mask: .regions)
    case .published:
      return WindowPlan(
        height: height, width: width, window: s.window, shift: (half, half), shiftsPadding: true,
        mask: .published)
    }
  }

  /// One block over tokens `[N, height * width, C]`.
  func callAsFunction(_ x: Tensor, height: Int, width: Int, _ context: Context) -> Tensor {
    let grid = TokenGrid(height: height, width: width, prefix: 0)
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, stage: stage, roles: roles)
    }
    func mapTap() -> Tap {
      let layout = Tap.Layout.attention(height: shape.window, width: shape.window, prefix: 0)
      return Tap("\(name).attn_map", .attentionMap, layout: layout, stage: stage)
    }
    let own =
      height == side && width == side
      ? windows
      : Self.plan(shape, form, isShifted: isShifted, height: height, width: width)
        .windows(positions)
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      selfAttention(
        x, normalization: norm1.rows, qkv: qkv.weights, projection: projection.weights,
        heads: shape.heads, scale: 1 / Float(shape.headWidth).squareRoot(), windows: own,
        maps: context.inner(mapTap()), branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp(
        attended, norm: norm2, residual: attended,
        hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
  }
}
