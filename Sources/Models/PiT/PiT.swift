import Tensors

/// The forward pass of ``PiTConfiguration``. Weights by timm's names, the pool after a stage being
/// `transformers.STAGE.pool`.
struct PiT: VisionModel {
  /// Tokens `[N, T, D]` and where they lie.
  struct State {
    var tokens: Tensor
    var grid: TokenGrid
  }

  private let configuration: PiTConfiguration
  private let patches: Tensor
  private let patchBias: ChannelAffine
  private let positions: Tensor
  private let prefix: Tensor
  private let blocks: [(stage: Int, index: Int, block: TransformerBlock)]
  /// What follows each stage but the last.
  private let pools: [TokenPool]
  private let norm: LayerNorm
  private let classifier: Dense?
  private let distillationClassifier: Dense?

  init(_ c: PiTConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let width = c.dims[0]
    let classTokens = try weights.weight("cls_token", [1, c.prefixTokens, width])
      .reshaped([c.prefixTokens, width])
    let area = c.grid * c.grid
    if c.classPosition {
      let table = try weights.weight("pos_embed", [1, c.prefixTokens + area, width])
        .reshaped([c.prefixTokens + area, width])
      prefix = classTokens + table.slice(axis: 0, start: 0, length: c.prefixTokens)
      positions = table.slice(axis: 0, start: c.prefixTokens, length: area)
    } else {
      prefix = classTokens
      positions = try weights.weight("pos_embed", [1, width, c.grid, c.grid])
        .permuted([0, 2, 3, 1]).reshaped([area, width])
    }
    let embedding = weights["patch_embed"]["conv"]
    patches = try embedding.weight(
      "weight", [width, c.channels, c.patch, c.patch], layout: .convolution)
    patchBias = ChannelAffine(
      scale: Tensor(repeating: 1, shape: [width]),
      shift: try embedding.weight("bias", [width], .constant(0)))
    var blocks: [(stage: Int, index: Int, block: TransformerBlock)] = []
    var pools: [TokenPool] = []
    for (stage, depth) in c.depths.enumerated() {
      let scope = weights["transformers"][stage]
      let options = TransformerBlock.Options(
        width: c.dims[stage], heads: c.heads[stage], hidden: c.mlp[stage], epsilon: c.epsilon,
        qkvBias: c.qkvBias)
      for index in 0..<depth {
        blocks.append((stage, index, try TransformerBlock(scope["blocks"][index], options)))
      }
      guard stage + 1 < c.depths.count else { continue }
      pools.append(try TokenPool(scope["pool"], c.dims[stage], c.dims[stage + 1]))
    }
    self.blocks = blocks
    self.pools = pools
    let last = c.dims[c.dims.count - 1]
    norm = try LayerNorm(weights["norm"], last, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], last, c.classes) : nil
    distillationClassifier =
      c.distilled && c.classes > 0 ? try Dense(weights["head_dist"], last, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    let map = convolution(
      images, patches,
      window: SlidingWindow(kernel: configuration.patch, stride: configuration.stride),
      affine: patchBias)
    let (count, height, width, dim) = (map.shape[0], map.shape[1], map.shape[2], map.shape[3])
    let tokens = Tensor.concatenated(
      [prefix.repeated(count), map.reshaped([count, height * width, dim]) + positions], axis: 1)
    let grid = TokenGrid(height: height, width: width, prefix: configuration.prefixTokens)
    let embedded = context.tap(
      Tap("embed", .embed, layout: grid.tokens, roles: .sequence), tokens)
    return State(tokens: context.dropout(embedded, at: "embed"), grid: grid)
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    let (stage, number, block) = blocks[index]
    var state = state
    state.tokens = block(
      state.tokens, name: "transformers.\(stage).blocks.\(number)", grid: state.grid,
      stage: stage, context)
    guard index + 1 < blocks.count, blocks[index + 1].stage != stage else { return state }
    (state.tokens, state.grid) = pools[stage](state.tokens, state.grid)
    state.tokens = context.tap(
      Tap(
        "transformers.\(stage).pool", .pool, layout: state.grid.tokens, stage: stage + 1,
        roles: .sequence), state.tokens)
    return state
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    let (images, dim) = (state.tokens.shape[0], state.tokens.shape.last)
    let count = configuration.prefixTokens
    // Class and distillation tokens side by side.
    let features = context.tap(
      Tap("norm", .norm, layout: .vector),
      norm(state.tokens.slice(axis: 1, start: 0, length: count)).reshaped([images, count * dim]))
    guard let classifier else { return features.slice(axis: 1, start: 0, length: dim) }
    let logits = classifier(features.slice(axis: 1, start: 0, length: dim))
    guard let distillationClassifier else { return logits }
    return 0.5
      * (logits + distillationClassifier(features.slice(axis: 1, start: dim, length: dim)))
  }
}

/// The pooling between two stages: a 3x3 convolution with stride 2 over each channel of the map, which
/// gives several, and a linear map of the tokens before it. Keys `conv`, `fc`.
private struct TokenPool: Sendable {
  /// One kernel a channel `[3, 3, C]`, for each of the channels that one gives.
  let kernels: [Tensor]
  let bias: Tensor
  let token: Dense

  init(_ scope: Scope, _ inputs: Int, _ outputs: Int) throws(ParameterError) {
    let weight = try scope["conv"].weight("weight", [outputs, 1, 3, 3], layout: .depthwise)
    // Channel c of the result is made of channel c / copies.
    let copies = outputs / inputs
    let parts = weight.reshaped([9, inputs, copies]).permuted([2, 0, 1])
    kernels = (0..<copies).map {
      parts.slice(axis: 0, start: $0, length: 1).reshaped([3, 3, inputs])
    }
    bias = try scope["conv"].weight("bias", [outputs], .constant(0))
    token = try Dense(scope["fc"], inputs, outputs)
  }

  func callAsFunction(_ x: Tensor, _ grid: TokenGrid) -> (tokens: Tensor, grid: TokenGrid) {
    let (images, width) = (x.shape[0], x.shape.last)
    let map = x.slice(axis: 1, start: grid.prefix, length: grid.height * grid.width)
      .reshaped([images, grid.height, grid.width, width])
    let window = SlidingWindow(kernel: 3, stride: 2, padding: 1)
    let pooled = kernels.map { map.depthwise($0, window: window) }
    let (height, across) = (pooled[0].shape[1], pooled[0].shape[2])
    let rows = images * height * across
    let joined =
      Tensor.concatenated(pooled.map { $0.reshaped([rows, 1, width]) }, axis: 1)
      .permuted([0, 2, 1]).reshaped([images, height * across, width * kernels.count]) + bias
    let prefix = token(x.slice(axis: 1, start: 0, length: grid.prefix))
    return (
      Tensor.concatenated([prefix, joined], axis: 1),
      TokenGrid(height: height, width: across, prefix: grid.prefix)
    )
  }
}
