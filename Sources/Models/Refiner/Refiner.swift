import Tensors

/// The forward pass of ``RefinerConfiguration``. Weights by timm's names of a vision transformer; each
/// block has `attn.expand.weight` `[h', h]`, `attn.local.weight` `[h', 1, k, k]` and
/// `attn.reduce.weight` `[h, h']` besides.
struct Refiner: VisionModel {
  /// Tokens `[N, T, D]` and where they lie.
  struct State {
    var tokens: Tensor
    let grid: TokenGrid
  }

  private let configuration: RefinerConfiguration
  private let embedding: RefinerEmbedding
  private let blocks: [RefinerBlock]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ c: RefinerConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    embedding = try RefinerEmbedding(
      weights, kind: c.embedding, channels: c.channels, patch: c.patch, dim: c.dim, grid: c.grid,
      resampling: c.resampling)
    blocks = try (0..<c.depth).map { index throws(ParameterError) in
      try RefinerBlock(weights["blocks"][index], c)
    }
    norm = try LayerNorm(weights["norm"], c.dim, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], c.dim, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    let (tokens, grid) = embedding(images, context)
    let embedded = context.tap(
      Tap("embed", .embed, layout: grid.tokens, roles: .sequence), tokens)
    return State(tokens: context.dropout(embedded, at: "embed"), grid: grid)
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    State(
      tokens: blocks[index](state.tokens, name: "blocks.\(index)", grid: state.grid, context),
      grid: state.grid)
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    var tokens = state.tokens
    let tap = Tap("norm", .norm, layout: state.grid.tokens)
    if !context.wants(tap) {
      tokens = tokens.slice(axis: 1, start: 0, length: 1)
    }
    tokens = context.tap(tap, norm(tokens))
    let features = tokens.slice(axis: 1, start: 0, length: 1)
      .reshaped([tokens.shape[0], configuration.dim])
    return classifier.map { $0(features) } ?? features
  }
}

/// A pre-norm transformer block whose attention maps are refined.
private struct RefinerBlock: Sendable {
  let heads: Int
  let scale: Float
  let norm1: LayerNorm
  let qkv: Dense
  let refinement: MapRefinement
  let projection: Dense
  let norm2: LayerNorm
  let mlp: Perceptron

  init(_ scope: Scope, _ c: RefinerConfiguration) throws(ParameterError) {
    heads = c.heads
    scale = 1 / (Float(c.dim) / Float(c.heads)).squareRoot()
    norm1 = try LayerNorm(scope["norm1"], c.dim, epsilon: c.epsilon)
    let (attn, maps, k) = (scope["attn"], c.heads * c.expand, c.kernel)
    qkv = try Dense(attn["qkv"], c.dim, 3 * c.dim, bias: c.qkvBias)
    var refinement = MapRefinement()
    refinement.expand = try attn["expand"].weight(
      "weight", [maps, c.heads], .normal(1 / Float(c.heads).squareRoot()))
    if c.local {
      refinement.local = try attn["local"].weight("weight", [maps, 1, k, k], .normal(1 / Float(k)))
        .reshaped([maps, k, k])
    }
    if c.reduce {
      refinement.reduce = try attn["reduce"].weight(
        "weight", [c.heads, maps], .normal(1 / Float(maps).squareRoot()))
    }
    self.refinement = refinement
    projection = try Dense(attn["proj"], c.dim, c.dim)
    norm2 = try LayerNorm(scope["norm2"], c.dim, epsilon: c.epsilon)
    mlp = try Perceptron(scope["mlp"], c.dim, hidden: c.mlp)
  }

  /// One block over tokens `[N, T, D]`.
  func callAsFunction(
    _ x: Tensor, name: String, grid: TokenGrid, _ context: Context
  ) -> Tensor {
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, roles: roles)
    }
    func mapTap(_ suffix: String) -> Tap {
      Tap("\(name).\(suffix)", .attentionMap, layout: grid.attention(qkv))
    }
    let dim = x.shape.last
    let projected = qkv(x, norm: norm1)
    let maps = context.tap(
      mapTap("attn_map"),
      refinement(
        attentionMaps(
          qkv: projected, heads: heads, scale: scale,
          softmax: context.inner(mapTap("attn_map_raw")))))
    let values = projected.slice(axis: 2, start: 2 * dim, length: dim)
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      projection(
        maps.applied(to: values), residual: x, branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp(
        attended, norm: norm2, residual: attended,
        hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
  }
}
