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
  private let plan: WindowPlan
  private let bias: Tensor

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
      let stored = try scope["attn"].weight(
        "relative_position_bias_table", [table * table, s.heads])
      positions = Self.bias(
        stored.gatherRows(Self.offsets(s.window, sign: 1), rowsIn: table * table), s.window)
    case .published:
      let stored = try scope["attn"].weight("pos_embedding", [table, table])
      let shared = stored.reshaped([table * table, 1])
        .gatherRows(Self.offsets(s.window, sign: -1), rowsIn: table * table)
      positions = Self.bias(shared, s.window).reshaped([s.window * s.window, s.window * s.window])
        .repeated(s.heads)
    }
    let inner = s.heads * s.headWidth
    qkv = try Dense(scope["attn"]["qkv"], s.width, 3 * inner, bias: p.qkvBias)
    projection = try Dense(scope["attn"]["proj"], inner, s.width)
    norm2 = try LayerNorm(scope["norm2"], s.width, epsilon: p.epsilon)
    mlp = try Perceptron(scope["mlp"], s.width, hidden: s.hidden)
    plan = Self.plan(s, p.form, isShifted: isShifted, height: side, width: side)
    bias = plan.bias(positions)
  }

  /// For each pair of a query and a key in a window, the row of the table for their offset:
  /// query minus key (sign 1), or key minus query.
  private static func offsets(_ window: Int, sign: Int) -> [Int32] {
    let area = window * window
    return (0..<(area * area)).map { pair in
      let (query, key) = (pair / area, pair % area)
      let down = sign * (query / window - key / window) + window - 1
      let across = sign * (query % window - key % window) + window - 1
      return Int32(down * (2 * window - 1) + across)
    }
  }

  /// Rows `[1, T T, heads]` as `[heads, T, T]`.
  private static func bias(_ rows: Tensor, _ window: Int) -> Tensor {
    let (area, heads) = (window * window, rows.shape.last)
    return rows.reshaped([area * area, heads]).permuted([1, 0]).reshaped([heads, area, area])
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
    var (plan, bias) = (plan, bias)
    if height != side || width != side {
      plan = Self.plan(shape, form, isShifted: isShifted, height: height, width: width)
      bias = plan.bias(positions)
    }
    let looks = context.probe != nil && context.wants(mapTap())
    let branch = tap("attn_branch", .msa)
    let scale = 1 / Float(shape.headWidth).squareRoot()
    var attended: Tensor
    if plan.padding == nil, !looks, context.probe == nil || !context.wants(branch) {
      attended = selfAttention(
        x, normalization: norm1.rows, qkv: (qkv.weight, qkv.bias),
        projection: (projection.weight, projection.bias), heads: shape.heads, scale: scale,
        windows: (plan.layout, bias))
    } else {
      let projected =
        plan.padding.map { qkv(norm1(x).gatherRows($0, rowsIn: height * width)) }
        ?? qkv(x, norm: norm1)
      var mixed = windowAttention(
        qkv: projected, plan.layout, heads: shape.heads, scale: scale, bias: bias,
        maps: looks ? { context.tap(mapTap(), $0) } : nil)
      if let padding = plan.padding {
        mixed = mixed.gatherRows(plan.cropping, rowsIn: padding.count)
      }
      attended = projection.added(to: x, mixed, gain: nil, branch: branch, context)
    }
    attended = context.tap(tap("attn_res", .msa, .sequence), attended)
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp.added(
        to: attended, norm: norm2, gain: nil, branch: tap("mlp_branch", .mlp), context))
  }
}
