import Tensors

/// The forward pass of ``VOLOConfiguration``. Weights by the names of sail-sg/volo, which timm has too.
struct VOLO: VisionModel {
  /// Tokens `[N, T, D]` and where they lie.
  struct State {
    var tokens: Tensor
    var grid: TokenGrid
  }

  private enum Block: Sendable {
    case outlooker(Outlooker)
    case transformer(TransformerBlock)
  }

  private let configuration: VOLOConfiguration
  private let stem: [NormedConvolution]
  private let patches: PatchEmbedding
  private let blocks: [(stage: Int, name: String, block: Block)]
  private let downsample: PatchEmbedding
  private let positions: Tensor
  private let classToken: Tensor
  private let classBlocks: [ClassBlock]
  private let norm: LayerNorm
  private let classifier: Dense?
  private let tokenClassifier: Dense?

  init(_ c: VOLOConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let embedding = weights["patch_embed"]
    let convolutions = embedding["conv"]
    stem = [
      try NormedConvolution(
        convolutions[0], norm: convolutions[1], c.channels, c.stemWidth, kernel: 7, stride: 2),
      try NormedConvolution(
        convolutions[3], norm: convolutions[4], c.stemWidth, c.stemWidth, kernel: 3),
      try NormedConvolution(
        convolutions[6], norm: convolutions[7], c.stemWidth, c.stemWidth, kernel: 3),
    ]
    patches = try PatchEmbedding(
      embedding["proj"], channels: c.stemWidth, patch: c.patch / 2, width: c.dims[0])
    downsample = try PatchEmbedding(
      weights["network"][1]["proj"], channels: c.dims[0], patch: 2, width: c.dims[1])
    var blocks: [(stage: Int, name: String, block: Block)] = []
    for (stage, depth) in c.depths.enumerated() {
      let options = TransformerBlock.Options(
        width: c.dims[stage], heads: c.heads[stage], hidden: c.dims[stage] * c.mlpRatio,
        epsilon: c.epsilon, qkvBias: false)
      let number = stage == 0 ? 0 : stage + 1
      for index in 0..<depth {
        let scope = weights["network"][number][index]
        blocks.append(
          (
            stage, "network.\(number).\(index)",
            stage == 0
              ? .outlooker(try Outlooker(scope, c))
              : .transformer(try TransformerBlock(scope, options))
          ))
      }
    }
    self.blocks = blocks
    let width = c.dims[c.dims.count - 1]
    positions = try weights.weight("pos_embed", [1, c.grid, c.grid, width])
      .reshaped([c.grid * c.grid, width])
    classToken = try weights.weight("cls_token", [1, 1, width]).reshaped([1, width])
    classBlocks = try (0..<c.classBlocks).map { index throws(ParameterError) in
      try ClassBlock(weights["post_network"][index], c, width: width)
    }
    norm = try LayerNorm(weights["norm"], width, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], width, c.classes) : nil
    tokenClassifier =
      c.tokenHead && c.classes > 0 ? try Dense(weights["aux_head"], width, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    let map = patches(stem.reduce(images) { $1($0, activation: .relu, context) })
    let grid = TokenGrid(height: map.shape[1], width: map.shape[2], prefix: 0)
    let tokens = map.reshaped([map.shape[0], grid.height * grid.width, map.shape[3]])
    return State(
      tokens: context.tap(
        Tap("patch_embed", .embed, layout: grid.tokens, stage: 0, roles: .sequence), tokens),
      grid: grid)
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    let (stage, name, block) = blocks[index]
    var state = state
    switch block {
    case .outlooker(let outlooker):
      state.tokens = outlooker(state.tokens, name: name, grid: state.grid, context)
    case .transformer(let transformer):
      state.tokens = transformer(
        state.tokens, name: name, grid: state.grid, stage: stage, context)
    }
    guard stage == 0, index + 1 < blocks.count, blocks[index + 1].stage > 0 else { return state }
    let (images, grid) = (state.tokens.shape[0], state.grid)
    let map = downsample(
      state.tokens.reshaped([images, grid.height, grid.width, state.tokens.shape.last]))
    state.grid = TokenGrid(height: map.shape[1], width: map.shape[2], prefix: 0)
    let tokens = map.reshaped([images, map.shape[1] * map.shape[2], map.shape[3]]) + positions
    state.tokens = context.tap(
      Tap("network.1", .pool, layout: state.grid.tokens, stage: 1, roles: .sequence), tokens)
    return state
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    let (images, width) = (state.tokens.shape[0], state.tokens.shape.last)
    var token = classToken.repeated(images)
    for (index, block) in classBlocks.enumerated() {
      let name = "post_network.\(index)"
      token = context.tap(
        Tap("\(name).cls", .msa, layout: .vector),
        block(token, state.tokens, name: name, grid: state.grid, context)
          .reshaped([images, width])
      ).reshaped([images, 1, width])
    }
    let features = context.tap(
      Tap("norm", .norm, layout: .vector), norm(token).reshaped([images, width]))
    guard let classifier else { return features }
    let logits = classifier(features)
    guard let tokenClassifier else { return logits }
    // Token labelling (Jiang et al. 2021): the largest score of any token, by half.
    let largest = tokenClassifier(norm(state.tokens)).maximum(axes: [1])
    return logits + 0.5 * largest
  }
}

/// Outlook attention, then a perceptron (Yuan et al. 2021): every second place makes, of the mean of its four,
/// the weights by which the nine places of its window are mixed into the nine, and the windows are added up. Keys
/// `norm1`, `attn.v`, `attn.attn`, `attn.proj`, `norm2`, `mlp`.
private struct Outlooker: Sendable {
  static let window = SlidingWindow(kernel: 3, stride: 2, padding: 1)
  let norm1: LayerNorm
  let value: Dense
  let weights: Dense
  let projection: Dense
  let norm2: LayerNorm
  let mlp: Perceptron
  let heads: Int
  let scale: Float

  init(_ scope: Scope, _ c: VOLOConfiguration) throws(ParameterError) {
    let (width, attention) = (c.dims[0], scope["attn"])
    heads = c.heads[0]
    scale = Float(1 / (Double(width) / Double(heads)).squareRoot())
    norm1 = try LayerNorm(scope["norm1"], width, epsilon: c.epsilon)
    value = try Dense(attention["v"], width, width, bias: false)
    weights = try Dense(attention["attn"], width, 81 * heads)
    projection = try Dense(attention["proj"], width, width)
    norm2 = try LayerNorm(scope["norm2"], width, epsilon: c.epsilon)
    mlp = try Perceptron(scope["mlp"], width, hidden: width * c.mlpRatio)
  }

  func callAsFunction(
    _ x: Tensor, name: String, grid: TokenGrid, _ context: Context
  ) -> Tensor {
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, stage: 0, roles: roles)
    }
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      projection(
        mixed(norm1(x), name: name, grid, context), residual: x,
        branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp(
        attended, norm: norm2, residual: attended,
        hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
  }

  /// Tokens `[N, T, C]` after outlook attention, before the projection.
  private func mixed(
    _ x: Tensor, name: String, _ grid: TokenGrid, _ context: Context
  ) -> Tensor {
    let (images, height, across, width) = (x.shape[0], grid.height, grid.width, x.shape.last)
    func map(_ tokens: Tensor) -> Tensor { tokens.reshaped([images, height, across, width]) }
    let means = map(x).averagedByTwo(keepingLast: true)
    let cells = means.shape[1] * means.shape[2]
    func mapTap() -> Tap {
      let layout = Connections(
        height: 3, width: 3,
        support: .windows(mapHeight: height, mapWidth: across, stride: 2, padding: 1),
        declared: Connections.Declaration(
          .place, channels: width, parameters: weights.parameterCount,
          multiplyAdds: cells * (weights.weights.weight.shape.count + 81 * width)))
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(layout), stage: 0)
    }
    var maps = (scale * weights(means)).reshaped([images * cells, heads, 9, 9]).softmax()
    if let look = context.inner(mapTap()) {
      maps = look(maps.reshaped([images, cells, heads, 9, 9])).reshaped(maps.shape)
    }
    let values = map(value(x)).unfolded(Self.window).reshaped([images * cells, 9, width])
    return maps.applied(to: values).reshaped([images, cells, 9, width])
      .folded(Self.window, height: height, width: across)
      .reshaped([images, height * across, width])
  }
}

/// Attention of the class token alone to itself and all others, then a perceptron (Touvron et al. 2021). Keys
/// `norm1`, `attn.q`, `attn.kv`, `attn.proj`, `norm2`, `mlp`.
private struct ClassBlock: Sendable {
  let norm1: LayerNorm
  let query: Dense
  let keyValue: Dense
  let projection: Dense
  let norm2: LayerNorm
  let mlp: Perceptron
  let heads: Int

  init(_ scope: Scope, _ c: VOLOConfiguration, width: Int) throws(ParameterError) {
    let attention = scope["attn"]
    heads = c.heads[c.heads.count - 1]
    norm1 = try LayerNorm(scope["norm1"], width, epsilon: c.epsilon)
    query = try Dense(attention["q"], width, width, bias: false)
    keyValue = try Dense(attention["kv"], width, 2 * width, bias: false)
    projection = try Dense(attention["proj"], width, width)
    norm2 = try LayerNorm(scope["norm2"], width, epsilon: c.epsilon)
    mlp = try Perceptron(scope["mlp"], width, hidden: width * c.mlpRatio)
  }

  /// The class token `[N, D]` or `[N, 1, D]` after one look at the tokens `[N, T, D]`: `[N, 1, D]`.
  func callAsFunction(
    _ token: Tensor, _ tokens: Tensor, name: String, grid: TokenGrid, _ context: Context
  ) -> Tensor {
    let (images, width) = (tokens.shape[0], tokens.shape.last)
    func mapTap() -> Tap {
      let layout = Connections(
        height: grid.height, width: grid.width, prefix: grid.prefix + 1, support: .pooling,
        declared: .attention(
          tokens: 1, keys: tokens.shape[1] + 1, width: width, inner: width,
          parameters: query.parameterCount + keyValue.parameterCount / 2))
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(layout))
    }
    let token = token.reshaped([images, 1, width])
    let both = keyValue(norm1(Tensor.concatenated([token, tokens], axis: 1)))
    let mixed = attention(
      query(norm1(token)), both.slice(axis: -1, start: 0, length: width),
      both.slice(axis: -1, start: width, length: width), heads: heads,
      scale: Float(1 / (Double(width) / Double(heads)).squareRoot()),
      maps: context.inner(mapTap()))
    let attended = projection(mixed, residual: token)
    return mlp(attended, norm: norm2, residual: attended)
  }
}
