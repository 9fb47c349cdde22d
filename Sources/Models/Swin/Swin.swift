import Tensors

/// The forward pass of ``SwinConfiguration`` and ``HDVSwinConfiguration``. Weights by the names of
/// microsoft/Swin-Transformer.
struct Swin: VisionModel {
  /// Tokens `[N, height * width, C]`.
  struct State {
    var tokens: Tensor
    var height: Int
    var width: Int

    var layout: Tap.Layout { .tokens(height: height, width: width, prefix: 0) }
  }

  private let plan: SwinPlan
  private let patches: PatchEmbedding
  private let patchNorm: LayerNorm?
  private let blocks: [SwinBlock]
  /// What follows each stage but the last.
  private let merges: [PatchMerging]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ p: SwinPlan, _ weights: Scope) throws(ParameterError) {
    plan = p
    let first = p.stages[0]
    patches = try PatchEmbedding(
      weights["patch_embed"]["proj"], channels: p.channels, patch: first.pool, width: first.width)
    if case .original = p.form {
      patchNorm = try LayerNorm(weights["patch_embed"]["norm"], first.width, epsilon: p.epsilon)
    } else {
      patchNorm = nil
    }
    var blocks: [SwinBlock] = []
    var merges: [PatchMerging] = []
    let sides = p.sides
    for (index, stage) in p.stages.enumerated() {
      let scope = weights["layers"][index]
      for block in 0..<stage.depth {
        blocks.append(
          try SwinBlock(
            scope["blocks"][block], p, stage: index, index: block, side: sides[index]))
      }
      guard index + 1 < p.stages.count else { continue }
      let next = p.stages[index + 1]
      switch p.form {
      case .original:
        merges.append(
          .linear(
            try LayerNorm(scope["downsample"]["norm"], 4 * stage.width, epsilon: p.epsilon),
            try Dense(scope["downsample"]["reduction"], 4 * stage.width, next.width, bias: false)))
      case .published:
        merges.append(
          .convolution(
            try PatchEmbedding(
              scope["downsample"], channels: stage.width, patch: next.pool, width: next.width)))
      }
    }
    self.blocks = blocks
    self.merges = merges
    let width = p.stages[p.stages.count - 1].width
    norm = try LayerNorm(weights["norm"], width, epsilon: p.epsilon)
    classifier = p.classes > 0 ? try Dense(weights["head"], width, p.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { plan.classes > 0 ? plan.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    let map = patches(images)
    var state = State(
      tokens: map.reshaped([map.shape[0], map.shape[1] * map.shape[2], map.shape[3]]),
      height: map.shape[1], width: map.shape[2])
    if let patchNorm { state.tokens = patchNorm(state.tokens) }
    state.tokens = context.tap(
      Tap("patch_embed", .embed, layout: state.layout, roles: .sequence), state.tokens)
    return state
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    let block = blocks[index]
    var state = state
    state.tokens = block(state.tokens, height: state.height, width: state.width, context)
    guard index + 1 < blocks.count, blocks[index + 1].stage != block.stage else { return state }
    (state.tokens, state.height, state.width) = merges[block.stage](
      state.tokens, height: state.height, width: state.width)
    state.tokens = context.tap(
      Tap(
        "layers.\(block.stage).downsample", .pool, layout: state.layout, stage: block.stage + 1,
        roles: .sequence), state.tokens)
    return state
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    var features: Tensor
    switch plan.form {
    case .original:
      let tokens = context.tap(Tap("norm", .norm, layout: state.layout), norm(state.tokens))
      features = tokens.mean(axis: 1)
    case .published:
      features = norm(state.tokens.mean(axis: 1))
      features = context.tap(Tap("norm", .norm, layout: .vector), features)
    }
    return classifier.map { $0(features) } ?? features
  }
}
