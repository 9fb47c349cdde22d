import Tensors

/// The forward pass of ``PVTConfiguration``. Weights by the names of whai362/PVT.
struct PVT: VisionModel {
  /// Tokens `[N, T, D]` and where they lie.
  struct State {
    var tokens: Tensor
    var grid: TokenGrid
  }

  private let configuration: PVTConfiguration
  private let stages: [PVTStage]
  private let blocks: [(stage: Int, index: Int, block: PVTBlock)]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ c: PVTConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    var stages: [PVTStage] = []
    var blocks: [(stage: Int, index: Int, block: PVTBlock)] = []
    for stage in c.depths.indices {
      stages.append(try PVTStage(weights, c, stage: stage))
      for index in 0..<c.depths[stage] {
        let scope = weights["block\(stage + 1)"][index]
        blocks.append((stage, index, try PVTBlock(scope, c, stage: stage)))
      }
    }
    (self.stages, self.blocks) = (stages, blocks)
    let width = c.dims[c.dims.count - 1]
    norm = try LayerNorm(weights["norm"], width, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], width, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State { stages[0](images, context) }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    let (stage, number, block) = blocks[index]
    let tokens = block(
      state.tokens, name: "block\(stage + 1).\(number)", grid: state.grid, stage: stage, context)
    guard index + 1 < blocks.count, blocks[index + 1].stage != stage else {
      return State(tokens: tokens, grid: state.grid)
    }
    let grid = state.grid
    return stages[stage + 1](
      tokens.reshaped([tokens.shape[0], grid.height, grid.width, tokens.shape.last]), context)
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    let tap = Tap("norm", .norm, layout: state.grid.tokens)
    // The head reads the class token alone.
    let count = context.wants(tap) ? state.tokens.shape[1] : 1
    let tokens = context.tap(tap, norm(state.tokens.slice(axis: 1, start: 0, length: count)))
    let features = tokens.slice(axis: 1, start: 0, length: 1)
      .reshaped([tokens.shape[0], tokens.shape.last])
    return classifier.map { $0(features) } ?? features
  }
}

/// What begins a stage: patches, their normalisation and positions; before the last one's, the class token. Keys
/// `patch_embedS.proj`, `patch_embedS.norm`, `pos_embedS`, `cls_token`.
private struct PVTStage: Sendable {
  let number: Int
  let patches: PatchEmbedding
  let norm: LayerNorm
  let positions: Tensor
  let classToken: Tensor?

  init(_ weights: Scope, _ c: PVTConfiguration, stage: Int) throws(ParameterError) {
    number = stage
    let (scope, width) = (weights["patch_embed\(stage + 1)"], c.dims[stage])
    patches = try PatchEmbedding(
      scope["proj"], channels: stage == 0 ? c.channels : c.dims[stage - 1],
      patch: stage == 0 ? c.patch : 2, width: width)
    norm = try LayerNorm(scope["norm"], width, epsilon: 1e-5)
    let isLast = stage + 1 == c.depths.count
    let rows = c.sides[stage] * c.sides[stage] + (isLast ? 1 : 0)
    positions = try weights.weight("pos_embed\(stage + 1)", [1, rows, width])
      .reshaped([rows, width])
    classToken =
      isLast ? try weights.weight("cls_token", [1, 1, width]).reshaped([1, width]) : nil
  }

  /// A map `[N, H, W, C]`, or images, as the tokens of the stage.
  func callAsFunction(_ x: Tensor, _ context: Context) -> PVT.State {
    let map = patches(x)
    let (count, height, width) = (map.shape[0], map.shape[1], map.shape[2])
    var tokens = norm(map.reshaped([count, height * width, map.shape[3]]))
    if let classToken {
      tokens = Tensor.concatenated([classToken.repeated(count), tokens], axis: 1)
    }
    let grid = TokenGrid(height: height, width: width, prefix: classToken == nil ? 0 : 1)
    let tap = Tap(
      "patch_embed\(number + 1)", number == 0 ? .embed : .pool, layout: grid.tokens,
      stage: number, roles: .sequence)
    return PVT.State(tokens: context.tap(tap, tokens + positions), grid: grid)
  }
}

/// A transformer block whose keys and values are made of a map of fewer places (spatial-reduction attention). Keys
/// `norm1`, `attn.q`, `attn.kv`, `attn.sr`, `attn.norm`, `attn.proj`, `norm2`, `mlp`.
private struct PVTBlock: Sendable {
  let norm1: LayerNorm
  let query: Dense
  let keyValue: Dense
  let reduction: (patches: PatchEmbedding, norm: LayerNorm)?
  let projection: Dense
  let norm2: LayerNorm
  let mlp: Perceptron
  let heads: Int

  init(_ scope: Scope, _ c: PVTConfiguration, stage: Int) throws(ParameterError) {
    let (width, attention, ratio) = (c.dims[stage], scope["attn"], c.reductions[stage])
    heads = c.heads[stage]
    norm1 = try LayerNorm(scope["norm1"], width, epsilon: c.epsilon)
    query = try Dense(attention["q"], width, width, bias: c.qkvBias)
    keyValue = try Dense(attention["kv"], width, 2 * width, bias: c.qkvBias)
    reduction =
      ratio > 1
      ? (
        try PatchEmbedding(attention["sr"], channels: width, patch: ratio, width: width),
        try LayerNorm(attention["norm"], width, epsilon: 1e-5)
      ) : nil
    projection = try Dense(attention["proj"], width, width)
    norm2 = try LayerNorm(scope["norm2"], width, epsilon: c.epsilon)
    mlp = try Perceptron(scope["mlp"], width, hidden: c.mlp[stage])
  }

  func callAsFunction(
    _ x: Tensor, name: String, grid: TokenGrid, stage: Int, _ context: Context
  ) -> Tensor {
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, stage: stage, roles: roles)
    }
    let (images, width) = (x.shape[0], x.shape.last)
    let normed = norm1(x)
    var source = normed
    if let reduction {
      let map = reduction.patches(normed.reshaped([images, grid.height, grid.width, width]))
      source = reduction.norm(map.reshaped([images, map.shape[1] * map.shape[2], width]))
    }
    let both = keyValue(source)
    let queries = grid.prefix + grid.height * grid.width
    func mapTap() -> Tap {
      let own = reduction.map { $0.patches.patch }
      let reducing = reduction?.patches.parameterCount ?? 0
      let layout = Connections(
        height: grid.height, width: grid.width, prefix: grid.prefix,
        support: own.map { .cells(height: grid.height / $0, width: grid.width / $0) } ?? .tokens,
        declared: .attention(
          tokens: queries, keys: source.shape[1], width: width, inner: width,
          parameters: reducing + query.parameterCount + keyValue.parameterCount / 2))
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(layout), stage: stage)
    }
    let mixed = attention(
      query(normed), both.slice(axis: -1, start: 0, length: width),
      both.slice(axis: -1, start: width, length: width), heads: heads,
      scale: Float(1 / (Double(width) / Double(heads)).squareRoot()),
      maps: context.inner(mapTap()))
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      projection(mixed, residual: x, branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp(
        attended, norm: norm2, residual: attended,
        hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
  }
}
