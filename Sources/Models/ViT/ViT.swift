import Tensors

/// The forward pass of ``ViTConfiguration``. Weights by timm's names.
struct ViT: VisionModel {
  /// Tokens `[N, T, D]` and where they lie.
  struct State {
    var tokens: Tensor
    let grid: TokenGrid
  }

  private let configuration: ViTConfiguration
  private let patches: PatchEmbedding
  private let patchInputNorm: LayerNorm?
  private let patchNorm: LayerNorm?
  private let preNorm: LayerNorm?
  private let prefix: Tensor?
  private let positions: PositionTable
  private let blocks: [TransformerBlock]
  private let norm: LayerNorm?
  private let pooledNorm: LayerNorm?
  private let attentionPool: AttentionPool?
  private let classifier: Dense?
  private let distillationClassifier: Dense?
  private let projection: Dense?

  init(_ c: ViTConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    var tokens: [Tensor] = []
    if c.classToken { tokens.append(try weights.weight("cls_token", [1, 1, c.dim])) }
    if c.distillationToken { tokens.append(try weights.weight("dist_token", [1, 1, c.dim])) }
    if c.registers > 0 { tokens.append(try weights.weight("reg_token", [1, c.registers, c.dim])) }
    let rows = c.positionedPrefix + c.grid * c.grid
    let table = try weights.weight("pos_embed", [1, rows, c.dim])
    positions = PositionTable(
      table.slice(axis: 1, start: c.positionedPrefix, length: c.grid * c.grid)
        .reshaped([c.grid * c.grid, c.dim]), grid: (c.grid, c.grid), c.resampling)
    if tokens.isEmpty {
      prefix = nil
    } else {
      // The prefix is the same for every image: its positions are added once.
      let joined = Tensor.concatenated(tokens, axis: 1)
      let own = table.slice(axis: 1, start: 0, length: c.positionedPrefix)
      prefix =
        c.positionedPrefix == 0
        ? joined
        : joined + own.padded(axis: 1, before: 0, total: c.prefixTokens)
    }
    let embedding = weights["patch_embed"]
    patches = try PatchEmbedding(
      embedding["proj"], channels: c.channels, patch: c.patch, width: c.dim, bias: c.patchBias)
    patchInputNorm =
      c.patchInputNorm
      ? try LayerNorm(embedding["input_norm"], c.patch * c.patch * c.channels, epsilon: c.epsilon)
      : nil
    patchNorm =
      c.patchNorm ? try LayerNorm(embedding["norm"], c.dim, epsilon: c.epsilon) : nil
    preNorm = c.preNorm ? try LayerNorm(weights["norm_pre"], c.dim, epsilon: c.epsilon) : nil
    let options = TransformerBlock.Options(
      width: c.dim, heads: c.heads, hidden: c.mlp, epsilon: c.epsilon, qkvBias: c.qkvBias,
      layerScale: c.layerScale, keyBias: c.keyBias, perceptron: c.perceptron, act: c.act,
      norm: c.norm, inner: c.inner,
      scale: c.scale == .model ? 1 / Double(c.dim).squareRoot() : nil)
    blocks = try (0..<c.depth).map { index throws(ParameterError) in
      try TransformerBlock(weights["blocks"][index], options)
    }
    let normalisesMean = c.pool == .average
    norm = normalisesMean ? nil : try LayerNorm(weights["norm"], c.dim, epsilon: c.epsilon)
    attentionPool =
      c.pool == .attention ? try AttentionPool(weights["attn_pool"], c) : nil
    pooledNorm = normalisesMean ? try LayerNorm(weights["fc_norm"], c.dim, epsilon: c.epsilon) : nil
    let features = c.pool == .tokenAndAverage ? 2 * c.dim : c.dim
    classifier = c.classes > 0 ? try Dense(weights["head"], features, c.classes) : nil
    distillationClassifier =
      c.distillationHead ? try Dense(weights["head_dist"], features, c.classes) : nil
    projection =
      c.projection > 0
      ? try Dense(weights["projection"], features, c.projection, bias: false) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    var map = patchInputNorm.map { patches(images, norm: $0) } ?? patches(images)
    if let patchNorm { map = patchNorm(map) }
    let (height, width, dim) = (map.shape[1], map.shape[2], map.shape[3])
    var tokens =
      map.reshaped([map.shape[0], height * width, dim]) + positions(height: height, width: width)
    if let prefix {
      let repeated = prefix.reshaped([configuration.prefixTokens, dim]).repeated(map.shape[0])
      tokens = Tensor.concatenated([repeated, tokens], axis: 1)
    }
    if let preNorm { tokens = preNorm(tokens) }
    let grid = TokenGrid(height: height, width: width, prefix: configuration.prefixTokens)
    tokens = context.tap(Tap("embed", .embed, layout: grid.tokens, roles: .sequence), tokens)
    return State(tokens: context.dropout(tokens, at: "embed"), grid: grid)
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    block(index, state, first: nil, context)
  }

  private func block(
    _ index: Int, _ state: State, first count: Int?, _ context: Context
  ) -> State {
    State(
      tokens: blocks[index](
        state.tokens, name: "blocks.\(index)", grid: state.grid, first: count, context),
      grid: state.grid)
  }

  func finish(_ state: State, _ context: Context) -> Tensor {
    guard let last = blocks.indices.last else { return head(state, context) }
    // The head reads these alone when nobody listens: rows are independent.
    let alone = context.probe == nil ? classTokens : nil
    return head(block(last, state, first: alone, context), context)
  }

  /// How many tokens the head reads, where it reads no others.
  private var classTokens: Int? {
    configuration.pool == .token ? (configuration.distillationHead ? 2 : 1) : nil
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    let (grid, dim) = (state.grid, configuration.dim)
    let images = state.tokens.shape[0]
    func row(_ tokens: Tensor, _ index: Int) -> Tensor {
      tokens.slice(axis: 1, start: index, length: 1).reshaped([images, dim])
    }
    func own(_ tokens: Tensor) -> Tensor {
      if configuration.poolsPrefix { return tokens }
      return tokens.slice(axis: 1, start: grid.prefix, length: grid.height * grid.width)
    }
    func mean(_ tokens: Tensor) -> Tensor { own(tokens).mean(axis: 1) }
    var tokens = state.tokens
    if let norm {
      let tap = Tap("norm", .norm, layout: grid.tokens)
      if let classTokens, !context.wants(tap) {
        tokens = tokens.slice(axis: 1, start: 0, length: classTokens)
      }
      tokens = context.tap(tap, norm(tokens))
    }
    var features: Tensor
    switch configuration.pool {
    case .token: features = row(tokens, 0)
    case .normalisedAverage: features = mean(tokens)
    case .tokenAndAverage:
      features = Tensor.concatenated([row(tokens, 0), mean(tokens)], axis: 1)
    case .average:
      features = mean(tokens)
      if let pooledNorm {
        features = context.tap(Tap("fc_norm", .norm, layout: .vector), pooledNorm(features))
      }
    case .attention:
      features = own(tokens)
      if let attentionPool {
        let pooled = TokenGrid(
          height: grid.height, width: grid.width,
          prefix: configuration.poolsPrefix ? grid.prefix : 0)
        features = context.tap(
          Tap("pool", .msa, layout: .vector),
          attentionPool(features, name: "pool", grid: pooled, context))
      }
    }
    if let projection { return projection(features) }
    guard let classifier else { return features }
    let logits = classifier(features)
    guard let distillationClassifier else { return logits }
    return 0.5 * (logits + distillationClassifier(row(tokens, 1)))
  }
}

/// Attention with a learned query, then a perceptron: the MAP head of Zhai et al. 2022. Keys
/// `latent`, `q`, `kv`, `proj`, `norm`, `mlp`.
private struct AttentionPool: Sendable {
  let latent: Tensor
  let query: Dense
  let keyValue: Dense
  let projection: Dense
  let norm: LayerNorm
  let mlp: Perceptron
  let heads: Int

  init(_ scope: Scope, _ c: ViTConfiguration) throws(ParameterError) {
    heads = c.heads
    latent = try scope.weight("latent", [1, 1, c.dim])
    query = try Dense(scope["q"], c.dim, c.dim)
    keyValue = try Dense(scope["kv"], c.dim, 2 * c.dim)
    projection = try Dense(scope["proj"], c.dim, c.dim)
    norm = try LayerNorm(scope["norm"], c.dim, epsilon: c.epsilon)
    mlp = try Perceptron(scope["mlp"], c.dim, hidden: c.mlp, act: c.act)
  }

  /// Tokens `[N, T, D]` to features `[N, D]`.
  func callAsFunction(
    _ tokens: Tensor, name: String, grid: TokenGrid, _ context: Context
  ) -> Tensor {
    let (images, count, dim) = (tokens.shape[0], tokens.shape[1], tokens.shape.last)
    func mapTap() -> Tap {
      // The query is the same for all images.
      let layout = Connections(
        height: grid.height, width: grid.width, prefix: grid.prefix, support: .pooling,
        declared: Connections.Declaration(
          .key, channels: dim,
          parameters: dim + query.parameterCount + keyValue.parameterCount / 2,
          multiplyAdds: count * dim * dim + 2 * count * dim))
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(layout))
    }
    let q = query(latent).reshaped([1, dim]).repeated(images)
    let both = keyValue(tokens)
    let mixed = attention(
      q, both.slice(axis: 2, start: 0, length: dim), both.slice(axis: 2, start: dim, length: dim),
      heads: heads, scale: 1 / (Float(dim) / Float(heads)).squareRoot(),
      maps: context.inner(mapTap()))
    let x = projection(mixed.reshaped([images, dim]))
    return mlp(x, norm: norm, residual: x)
  }
}
