import Tensors

/// The forward pass of ``MixerConfiguration``. Weights by timm's names.
struct Mixer: VisionModel {
  /// Tokens `[N, T, D]` and where they lie.
  struct State {
    var tokens: Tensor
    let grid: TokenGrid
  }

  private struct Block: Sendable {
    let norm1: LayerNorm
    let tokens: Perceptron
    let norm2: LayerNorm
    let channels: Perceptron
  }

  private let configuration: MixerConfiguration
  private let patches: PatchEmbedding
  private let blocks: [Block]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ c: MixerConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    patches = try PatchEmbedding(
      weights["stem"]["proj"], channels: c.channels, patch: c.patch, width: c.dim)
    blocks = try (0..<c.depth).map { index throws(ParameterError) in
      let scope = weights["blocks"][index]
      return Block(
        norm1: try LayerNorm(scope["norm1"], c.dim, epsilon: c.epsilon),
        tokens: try Perceptron(scope["mlp_tokens"], c.tokens, hidden: c.tokenMLP),
        norm2: try LayerNorm(scope["norm2"], c.dim, epsilon: c.epsilon),
        channels: try Perceptron(scope["mlp_channels"], c.dim, hidden: c.mlp))
    }
    norm = try LayerNorm(weights["norm"], c.dim, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], c.dim, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> State {
    let map = patches(images)
    let grid = TokenGrid(height: map.shape[1], width: map.shape[2], prefix: 0)
    let tokens = map.reshaped([map.shape[0], grid.height * grid.width, map.shape[3]])
    return State(
      tokens: context.tap(
        Tap("embed", .embed, layout: grid.tokens, roles: .sequence), tokens), grid: grid)
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    let (block, x) = (blocks[index], state.tokens)
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("blocks.\(index).\(suffix)", kind, layout: state.grid.tokens, roles: roles)
    }
    let columns = block.norm1(x).permuted([0, 2, 1])
    var branch = block.tokens(
      columns, hidden: context.dropout(at: "blocks.\(index).token_hidden")
    ).permuted([0, 2, 1])
    if let look = context.branch(tap("token_branch", .mlpToken)) { branch = look(branch) }
    let mixed = context.tap(tap("token_res", .mlpToken, .sequence), branch + x)
    let result = context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      block.channels(
        mixed, norm: block.norm2, residual: mixed,
        hidden: context.dropout(at: "blocks.\(index).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
    return State(tokens: result, grid: state.grid)
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    let tokens = context.tap(Tap("norm", .norm, layout: state.grid.tokens), norm(state.tokens))
    let features = tokens.mean(axis: 1)
    return classifier.map { $0(features) } ?? features
  }
}
