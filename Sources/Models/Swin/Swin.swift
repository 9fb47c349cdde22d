import Tensors

/// The forward pass of ``SwinConfiguration``. Weights by the names of microsoft/Swin-Transformer.
struct Swin: VisionModel {
  /// Tokens `[N, height * width, C]`.
  struct State {
    var tokens: Tensor
    var height: Int
    var width: Int

    var layout: Tap.Layout { .tokens(height: height, width: width, prefix: 0) }
  }

  private let configuration: SwinConfiguration
  private let patches: PatchEmbedding
  private let patchNorm: LayerNorm?
  /// Absolute positions of the patches, `[T, C]`.
  private let positions: Tensor?
  private let blocks: [SwinBlock]
  /// What follows each stage but the last.
  private let merges: [TokenMerging]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ c: SwinConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    patches = try PatchEmbedding(
      weights["patch_embed"]["proj"], channels: c.channels, patch: c.patch, width: c.dim)
    patchNorm =
      c.form == .original
      ? try LayerNorm(weights["patch_embed"]["norm"], c.dim, epsilon: c.patchEpsilon) : nil
    positions =
      c.absolutePositions
      ? try weights.weight("absolute_pos_embed", [1, c.grid * c.grid, c.dim])
        .reshaped([c.grid * c.grid, c.dim]) : nil
    var blocks: [SwinBlock] = []
    var merges: [TokenMerging] = []
    let stages = c.stages
    for (index, stage) in stages.enumerated() {
      let scope = weights["layers"][index]
      let windows = StageWindows(stage, c)
      for block in 0..<c.depths[index] {
        blocks.append(try SwinBlock(scope["blocks"][block], c, windows, stage: index, index: block))
      }
      guard index + 1 < stages.count else { continue }
      merges.append(
        try TokenMerging(
          scope["downsample"], c.form, from: stage.width, to: stages[index + 1].width,
          epsilon: c.patchEpsilon))
    }
    self.blocks = blocks
    self.merges = merges
    let width = stages[stages.count - 1].width
    norm = try LayerNorm(weights["norm"], width, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], width, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    let map = patches(images)
    var state = State(
      tokens: map.reshaped([map.shape[0], map.shape[1] * map.shape[2], map.shape[3]]),
      height: map.shape[1], width: map.shape[2])
    if let patchNorm { state.tokens = patchNorm(state.tokens) }
    if let positions { state.tokens = state.tokens + positions }
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
    switch configuration.form {
    case .original:
      let tokens = context.tap(Tap("norm", .norm, layout: state.layout), norm(state.tokens))
      features = tokens.mean(axis: 1)
    case .howDoViTsWork:
      features = norm(state.tokens.mean(axis: 1))
      features = context.tap(Tap("norm", .norm, layout: .vector), features)
    }
    return classifier.map { $0(features) } ?? features
  }
}

/// What makes four (or more) tokens one between two stages.
private enum TokenMerging: Sendable {
  case linear(PatchMerging)
  /// A convolution whose stride is its kernel. Keys `weight`, `bias`.
  case convolution(PatchEmbedding)

  init(
    _ scope: Scope, _ form: SwinConfiguration.Form, from width: Int, to next: Int, epsilon: Double
  ) throws(ParameterError) {
    switch form {
    case .original:
      self = .linear(try PatchMerging(scope, from: width, to: next, epsilon: epsilon))
    case .howDoViTsWork:
      self = .convolution(try PatchEmbedding(scope, channels: width, patch: 2, width: next))
    }
  }

  /// Tokens `[N, height * width, C]` as `[N, H' * W', C']`.
  func callAsFunction(
    _ x: Tensor, height: Int, width: Int
  ) -> (tokens: Tensor, height: Int, width: Int) {
    let map = x.reshaped([x.shape[0], height, width, x.shape.last])
    let merged =
      switch self {
      case .linear(let merging): merging(map)
      case .convolution(let convolution): convolution(map)
      }
    let (down, across) = (merged.shape[1], merged.shape[2])
    return (merged.reshaped([x.shape[0], down * across, merged.shape.last]), down, across)
  }
}
