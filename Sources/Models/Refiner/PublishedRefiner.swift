import Tensors

/// The forward pass of ``PublishedRefinerConfiguration``. Weights by the names of the public code.
struct PublishedRefiner: VisionModel {
  /// Tokens `[N, T, D]`, where they lie, and the maps carried along.
  struct State {
    var tokens: Tensor
    let grid: TokenGrid
    var maps: Tensor?
  }

  private let configuration: PublishedRefinerConfiguration
  private let embedding: RefinerEmbedding
  private let blocks: [PublishedRefinerBlock]
  private let norm: LayerNorm
  private let classifier: Dense?
  private let denseClassifier: Dense?

  init(_ c: PublishedRefinerConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    embedding = try RefinerEmbedding(
      weights, kind: c.embedding, channels: c.channels, patch: c.patch, dim: c.dim, grid: c.grid,
      resampling: c.resampling)
    blocks = try (0..<c.depth).map { index throws(ParameterError) in
      try PublishedRefinerBlock(weights["blocks"][index], c, index: index)
    }
    norm = try LayerNorm(weights["norm"], c.dim, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], c.dim, c.classes) : nil
    denseClassifier = c.dense ? try Dense(weights["aux_head"], c.dim, c.classes) : nil
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
    blocks[index](state, name: "blocks.\(index)", context)
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    let (grid, dim, images) = (state.grid, configuration.dim, state.tokens.shape[0])
    var tokens = state.tokens
    let tap = Tap("norm", .norm, layout: grid.tokens)
    if denseClassifier == nil, !context.wants(tap) {
      tokens = tokens.slice(axis: 1, start: 0, length: 1)
    }
    tokens = context.tap(tap, norm(tokens))
    let features = tokens.slice(axis: 1, start: 0, length: 1).reshaped([images, dim])
    guard let classifier else { return features }
    let logits = context.tap(Tap("logits_cls", .logits, layout: .vector), classifier(features))
    guard let denseClassifier else { return logits }
    let count = grid.height * grid.width
    let scores = context.tap(
      Tap(
        "logits_aux", .logits, layout: .tokens(height: grid.height, width: grid.width, prefix: 0)),
      denseClassifier(tokens.slice(axis: 1, start: grid.prefix, length: count)))
    // The largest over the patches, for each class.
    let classes = configuration.classes
    let largest = scores.reshaped([images, count, 1, classes])
      .maxPooled(SlidingWindow(kernel: (count, 1)))
      .reshaped([images, classes])
    return logits + 0.5 * largest
  }
}
