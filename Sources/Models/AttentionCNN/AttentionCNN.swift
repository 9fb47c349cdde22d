import Tensors

/// The forward pass of ``AttentionCNNConfiguration``. Weights by the names of epfml/attention-cnn.
struct AttentionCNN: VisionModel {
  private let configuration: AttentionCNNConfiguration
  private let patches: Dense
  private let blocks: [Block]
  private let classifier: Dense?

  init(_ c: AttentionCNNConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    patches = try Dense(weights["features_upscale"], c.channels * c.patch * c.patch, c.dim)
    blocks = try (0..<c.depth).map { index throws(ParameterError) in
      try Block(weights["encoder"]["layer"][index], c)
    }
    classifier = c.classes > 0 ? try Dense(weights["classifier"], c.dim, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    let (side, patch) = (configuration.side, configuration.patch)
    let (count, channels) = (images.shape[0], images.shape[3])
    let values = images.reshaped([count, side, patch, side, patch * channels])
      .permuted([0, 1, 3, 2, 4]).reshaped([count, side * side, patch * patch * channels])
    return context.tap(
      Tap("embed", .embed, layout: configuration.grid.tokens, roles: .sequence), patches(values))
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    blocks[index](x, name: "encoder.layer.\(index)", grid: configuration.grid, context)
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.mean(axis: 1))
    return classifier.map { $0(features) } ?? features
  }

  /// A block with its normalisations behind the sums. Keys `attention.self`, `attention.output.dense`,
  /// `attention.output.LayerNorm`, `intermediate.dense`, `output.dense`, `output.LayerNorm`.
  private struct Block: Sendable {
    let attention: PositionalAttention
    let projection: Dense
    let norm1: LayerNorm
    let mlp: Perceptron
    let norm2: LayerNorm

    init(_ scope: Scope, _ c: AttentionCNNConfiguration) throws(ParameterError) {
      let (attended, output) = (scope["attention"], scope["output"])
      attention = try PositionalAttention(attended["self"], c)
      projection = try Dense(attended["output"]["dense"], c.dim, c.dim)
      norm1 = try LayerNorm(attended["output"]["LayerNorm"], c.dim, epsilon: c.epsilon)
      mlp = Perceptron(
        try Dense(scope["intermediate"]["dense"], c.dim, c.mlp),
        try Dense(output["dense"], c.mlp, c.dim))
      norm2 = try LayerNorm(output["LayerNorm"], c.dim, epsilon: c.epsilon)
    }

    func callAsFunction(
      _ x: Tensor, name: String, grid: TokenGrid, _ context: Context
    ) -> Tensor {
      func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
        Tap("\(name).\(suffix)", kind, layout: grid.tokens, roles: roles)
      }
      func map() -> Tap {
        Tap(
          "\(name).attn_map", .attentionMap,
          layout: .connections(
            Connections(height: grid.height, width: grid.width, declared: attention.declared)))
      }
      let maps = context.inner(map())
      let attended = context.tap(
        tap("attn_res", .msa, .sequence),
        norm1(
          projection(
            attention(x, maps: maps), residual: x,
            branch: context.branch(tap("attn_branch", .msa)))))
      return context.tap(
        tap("mlp_res", .mlp, [.sequence, .block]),
        norm2(
          mlp(
            attended, residual: attended, hidden: context.dropout(at: "\(name).mlp_hidden"),
            branch: context.branch(tap("mlp_branch", .mlp)))))
    }
  }
}

/// Attention whose scores are a function of the offset of two places, and of their contents if wanted; every head mixes the
/// whole token, and one product makes the result of all mixtures (Cordonnier et al. 2020). Keys `attention_centers`,
/// `attention_spreads` or `row_embeddings`, `col_embeddings`, `head_keys_row`, `head_keys_col`; `query`, `key`; `value`.
private struct PositionalAttention: Sendable {
  /// Scores by offset, `[heads, T, T]`.
  let scores: Tensor
  /// What the scores and the mixing of values take.
  let declared: Connections.Declaration
  let content: (query: Dense, key: Dense)?
  let value: Dense
  let heads: Int

  init(_ scope: Scope, _ c: AttentionCNNConfiguration) throws(ParameterError) {
    heads = c.heads
    let width = c.heads * c.dim
    scores =
      c.positions == .learned ? try Self.learned(scope, c) : try Self.quadratic(scope, c)
    let (area, ofOffsets) = (c.side * c.side, Self.parameters(c))
    declared =
      c.content
      ? .attention(
        tokens: area, width: c.dim, inner: width, parameters: 2 * (c.dim + 1) * width + ofOffsets)
      : Connections.Declaration(
        .parameters, channels: c.dim, parameters: ofOffsets, multiplyAdds: area * area * width)
    content =
      c.content
      ? (try Dense(scope["query"], c.dim, width), try Dense(scope["key"], c.dim, width)) : nil
    value = try Dense(scope["value"], width, c.dim)
  }

  /// Parameters of the scores by offset.
  private static func parameters(_ c: AttentionCNNConfiguration) -> Int {
    switch c.positions {
    case .quadratic: 3 * c.heads
    case .generalized: 6 * c.heads
    case .learned: 2 * c.dim * (2 * c.reach - 1 + c.heads)
    }
  }

  func callAsFunction(_ x: Tensor, maps: InnerTap?) -> Tensor {
    let (images, tokens, width) = (x.shape[0], x.shape[1], x.shape[2])
    var mixed: Tensor
    if let content {
      func byHead(_ y: Tensor) -> Tensor {
        y.reshaped([images, tokens, heads, width]).permuted([0, 2, 1, 3])
      }
      let values = x.reshaped([images, 1, tokens, width])
        .expanded(to: [images, heads, tokens, width])
      mixed = scaledDotProductAttention(
        byHead(content.query(x)), byHead(content.key(x)), values, bias: scores,
        scale: 1 / Float(width).squareRoot(), maps: maps)
    } else {
      let weights = scores.softmax()
      if let maps {
        mixed = maps(weights.repeated(images)).reshaped([images, heads * tokens, tokens])
          .matrixProduct(x)
      } else {
        mixed = weights.reshaped([1, heads * tokens, tokens]).matrixProduct(x)
      }
      mixed = mixed.reshaped([images, heads, tokens, width])
    }
    return value(mixed.permuted([0, 2, 1, 3]).reshaped([images, tokens, heads * width]))
  }

  /// `-1/2 (δ - m)ᵀ A (δ - m)` without what the softmax takes away, `δ` the offset (down, across) from query to key, `A` the
  /// square of a spread, or a spread times its transpose.
  private static func quadratic(
    _ scope: Scope, _ c: AttentionCNNConfiguration
  ) throws(ParameterError) -> Tensor {
    let heads = c.heads
    let centers = try scope.weight("attention_centers", [heads, 2], .normal(2))
    let isIsotropic = c.positions == .quadratic
    let spreads = try scope.weight(
      "attention_spreads", isIsotropic ? [heads] : [heads, 2, 2], .normal(1))
    let precision: (a: Tensor, b: Tensor, c: Tensor)
    if isIsotropic {
      let square = (spreads * spreads).reshaped([heads, 1])
      precision = (square, Tensor(repeating: 0, shape: [heads, 1]), square)
    } else {
      let product = spreads.matrixProduct(spreads.permuted([0, 2, 1])).reshaped([heads, 4])
      func entry(_ index: Int) -> Tensor { product.slice(axis: 1, start: index, length: 1) }
      precision = (entry(0), entry(1), entry(3))
    }
    let (down, across) = (
      centers.slice(axis: 1, start: 0, length: 1), centers.slice(axis: 1, start: 1, length: 1)
    )
    // What (down, across, down², across², down across) are multiplied by.
    let factors = [
      precision.a * down + precision.b * across, precision.c * across + precision.b * down,
      -0.5 * precision.a, -0.5 * precision.c, -1 * precision.b,
    ]
    let extent = 2 * c.side - 1
    let offsets = Tensor(shape: [extent * extent, 5]) { values in
      for index in 0..<(extent * extent) {
        let (dy, dx) = (Float(index / extent - c.side + 1), Float(index % extent - c.side + 1))
        for (place, value) in [dy, dx, dy * dy, dx * dx, dy * dx].enumerated() {
          values[5 * index + place] = value
        }
      }
    }
    return all(linear(offsets, Tensor.concatenated(factors, axis: 1)), c)
  }

  /// The sum of a number for the columns and one for the rows between two places, each the product of a head's key and an
  /// offset's vector. (The code's `row_embeddings` are those of columns.)
  private static func learned(
    _ scope: Scope, _ c: AttentionCNNConfiguration
  ) throws(ParameterError) -> Tensor {
    let extent = 2 * c.side - 1
    func table(_ name: String, _ key: String) throws(ParameterError) -> Tensor {
      let vectors = try scope[name].weight("weight", [2 * c.reach - 1, c.dim], .normal(1))
      return linear(vectors, try scope[key].weight("weight", [c.heads, c.dim]))
        .slice(axis: 0, start: c.reach - c.side, length: extent)
    }
    let across = try table("row_embeddings", "head_keys_row").reshaped([1, extent, c.heads])
    let down = try table("col_embeddings", "head_keys_col").reshaped([extent, 1, c.heads])
    return all((down + across).reshaped([extent * extent, c.heads]), c)
  }

  /// Scores `[heads, T, T]` from those of each offset.
  private static func all(_ table: Tensor, _ c: AttentionCNNConfiguration) -> Tensor {
    RelativePositions.bias(table, stored: c.side, window: c.side, sign: .keyMinusQuery)
  }
}
