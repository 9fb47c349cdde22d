import Tensors

/// The forward pass of ``ConvolutionalViTConfiguration``. Weights by the names of xxxnell/how-do-vits-work.
struct ConvolutionalViT: VisionModel {
  private struct Block: Sendable {
    let norm1: LayerNorm
    let query: Dense
    let keyValue: Dense
    let projection: Dense
    let norm2: LayerNorm
    let mlp: Perceptron

    init(_ scope: Scope, _ c: ConvolutionalViTConfiguration) throws(ParameterError) {
      let (attention, perceptron) = (scope["attn"], scope["ff"]["net"])
      norm1 = try LayerNorm(scope["norm1"][1], c.dim, epsilon: c.epsilon)
      query = try Dense(pointwise: attention["to_q"], c.dim, c.inner, bias: false)
      keyValue = try Dense(pointwise: attention["to_kv"], c.dim, 2 * c.inner, bias: false)
      projection = try Dense(pointwise: attention["to_out"][0], c.inner, c.dim)
      norm2 = try LayerNorm(scope["norm2"][1], c.dim, epsilon: c.epsilon)
      mlp = Perceptron(
        try Dense(pointwise: perceptron[0], c.dim, c.mlp),
        try Dense(pointwise: perceptron[3], c.mlp, c.dim))
    }
  }

  private let configuration: ConvolutionalViTConfiguration
  private let patches: PatchEmbedding
  private let positions: Tensor
  private let blocks: [Block]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ c: ConvolutionalViTConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let (embedding, head) = (weights["embedding"], weights["classifier"])
    patches = try PatchEmbedding(
      embedding[0], channels: c.channels, patch: c.patch, width: c.dim)
    let side = c.imageSize.side / c.patch
    positions = try embedding[2].weight("pos_embedding", [1, side * side, c.dim])
      .reshaped([side, side, c.dim])
    blocks = try (0..<c.depth).map { index throws(ParameterError) in
      try Block(weights["transformers"][index], c)
    }
    norm = try LayerNorm(head[2], c.dim, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(head[3], c.dim, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    context.tap(
      Tap("embed", .embed, layout: .featureMap, roles: .sequence), patches(images) + positions)
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    let (block, name, c) = (blocks[index], "transformers.\(index)", configuration)
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, roles: roles)
    }
    let normed = block.norm1(x)
    let both = block.keyValue(normed)
    let window = SlidingWindow(kernel: c.kernel, padding: c.kernel / 2)
    func map() -> Tap {
      let connections = Connections.local(
        x.shape, window, inner: c.inner, parameters: 2 * c.dim * c.inner)
      return Tap("\(name).attn_map", .attentionMap, layout: .connections(connections))
    }
    let mixed = localAttention(
      queries: block.query(normed), keys: both.slice(axis: -1, start: 0, length: c.inner),
      values: both.slice(axis: -1, start: c.inner, length: c.inner),
      window: window, heads: c.heads,
      scale: Float(1 / (Double(c.inner) / Double(c.heads)).squareRoot()),
      maps: context.inner(map()))
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      block.projection(mixed, residual: x, branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      block.mlp(
        attended, norm: block.norm2, residual: attended,
        hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = context.tap(
      Tap("norm", .norm, layout: .vector), norm(x.globalAverage()))
    return classifier.map { $0(features) } ?? features
  }
}
