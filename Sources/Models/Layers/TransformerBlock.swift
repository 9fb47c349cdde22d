import Tensors

/// Where the normalisations of a transformer block stand.
public enum NormPlacement: String, ConfigurationValue, Codable, Sendable, CaseIterable {
  /// Before each branch: `x + f(norm x)`.
  case pre
  /// After each addition: `norm(x + f(x))` (Vaswani et al. 2017).
  case post
  /// At the end of each branch: `x + norm f(x)` (Liu et al. 2022).
  case resPost = "res-post"
}

/// A transformer block with global attention: `x + ls1 MSA(norm1 x)`, then `x + ls2 MLP(norm2 x)`
/// (Dosovitskiy et al. 2021; layer scale: Touvron et al. 2021), or with its normalisations elsewhere. Keys
/// `norm1`, `attn.qkv`, `attn.proj`, `norm2`, `mlp`, `ls1.gamma`, `ls2.gamma`.
struct TransformerBlock: Sendable {
  /// The hyper-parameters of a block.
  struct Options: Sendable {
    var width: Int
    var heads: Int
    var hidden: Int
    var epsilon = 1e-6
    var qkvBias = true
    var layerScale = false
    /// Whether keys have a bias where queries and values do; without, these are `attn.q_bias`, `.v_bias`.
    var keyBias = true
    var perceptron = PerceptronKind.gelu
    var act = ActivationFunction.gelu
    var norm = NormPlacement.pre
    /// Width of all heads together; that of the tokens if nil.
    var inner: Int?
    /// What scores are multiplied by; the head width to the power -1/2 if nil.
    var scale: Double?
  }

  let norm1: LayerNorm
  let qkv: Dense
  let projection: Dense
  let norm2: LayerNorm
  let mlp: Perceptron
  let gain1: Tensor?
  let gain2: Tensor?
  let heads: Int
  let scale: Float
  let norm: NormPlacement

  init(_ scope: Scope, _ o: Options) throws(ParameterError) {
    norm1 = try LayerNorm(scope["norm1"], o.width, epsilon: o.epsilon)
    let (attention, inner) = (scope["attn"], o.inner ?? o.width)
    let whole = try Dense(
      attention["qkv"], o.width, 3 * inner, bias: o.qkvBias && o.keyBias)
    if o.qkvBias, !o.keyBias {
      let bias = [
        try attention.weight("q_bias", [inner], .constant(0)), Tensor(repeating: 0, shape: [inner]),
        try attention.weight("v_bias", [inner], .constant(0)),
      ]
      qkv = Dense((whole.weights.weight, Tensor.concatenated(bias, axis: 0)))
    } else {
      qkv = whole
    }
    projection = try Dense(attention["proj"], inner, o.width)
    gain1 = o.layerScale ? try scope["ls1"].weight("gamma", [o.width], .constant(1e-5)) : nil
    norm2 = try LayerNorm(scope["norm2"], o.width, epsilon: o.epsilon)
    mlp = try Perceptron(scope["mlp"], o.width, hidden: o.hidden, kind: o.perceptron, act: o.act)
    gain2 = o.layerScale ? try scope["ls2"].weight("gamma", [o.width], .constant(1e-5)) : nil
    heads = o.heads
    scale = Float(o.scale ?? 1 / (Double(inner) / Double(o.heads)).squareRoot())
    norm = o.norm
  }

  /// One block over tokens `[N, T, D]`.
  ///
  /// - Parameters:
  ///   - name: what its taps start with: `blocks.3`.
  ///   - grid: where the tokens lie, and how many stand before them.
  ///   - count: how many of the first tokens are wanted; nil for all. The rest is read by attention only.
  func callAsFunction(
    _ x: Tensor, name: String, grid: TokenGrid, stage: Int? = nil, first count: Int? = nil,
    _ context: Context
  ) -> Tensor {
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, stage: stage, roles: roles)
    }
    func mapTap() -> Tap {
      Tap(
        "\(name).attn_map", .attentionMap, layout: grid.attention(qkv), stage: stage)
    }
    let (attendedTap, done) = (
      tap("attn_res", .msa, .sequence), tap("mlp_res", .mlp, [.sequence, .block])
    )
    let (attentionBranch, perceptronBranch) = (
      context.branch(tap("attn_branch", .msa)), context.branch(tap("mlp_branch", .mlp))
    )
    let hidden = context.dropout(at: "\(name).mlp_hidden")
    guard norm == .pre else {
      let mixed = attention(
        qkv: qkv(x), heads: heads, scale: scale, maps: context.inner(mapTap()))
      func wanted(_ tokens: Tensor) -> Tensor {
        tokens.slice(axis: 1, start: 0, length: count ?? tokens.shape[1])
      }
      let attended = context.tap(
        attendedTap,
        added(wanted(x), projection(wanted(mixed)), norm1, gain1, branch: attentionBranch))
      return context.tap(
        done, added(attended, mlp(attended, hidden: hidden), norm2, gain2, branch: perceptronBranch)
      )
    }
    let attended = context.tap(
      attendedTap,
      context.removes(tap("attn_branch", .msa))
        ? x.slice(axis: 1, start: 0, length: count ?? x.shape[1])
        : selfAttention(
          x, normalization: norm1.rows, qkv: qkv.weights, projection: projection.weights,
          heads: heads, scale: scale, gain: gain1, first: count, maps: context.inner(mapTap()),
          branch: attentionBranch))
    return context.tap(
      done,
      context.removes(tap("mlp_branch", .mlp))
        ? attended
        : mlp(
          attended, norm: norm2, gain: gain2, residual: attended, hidden: hidden,
          branch: perceptronBranch))
  }

  /// A branch added to its input, the normalisation behind the branch or behind the sum.
  private func added(
    _ x: Tensor, _ value: Tensor, _ norm: LayerNorm, _ gain: Tensor?, branch look: InnerTap?
  ) -> Tensor {
    let isInside = self.norm == .resPost
    var branch = isInside ? norm(value) : value
    branch = look?(branch) ?? branch
    if let gain { branch = branch * gain }
    return isInside ? x + branch : norm(x + branch)
  }
}

/// Where the tokens of a sequence lie: a grid in row-major order behind `prefix` others.
struct TokenGrid: Sendable, Equatable {
  var height: Int
  var width: Int
  var prefix: Int

  var tokens: Tap.Layout { .tokens(height: height, width: width, prefix: prefix) }
  /// The layout of attention maps of all tokens whose declaration is not known.
  var attention: Tap.Layout { .attention(height: height, width: width, prefix: prefix) }

  /// The layout of attention maps of all tokens, made of a product for queries, keys and values.
  func attention(_ qkv: Dense) -> Tap.Layout {
    .connections(
      Connections(
        height: height, width: width, prefix: prefix,
        declared: .attention(qkv, tokens: prefix + height * width)))
  }
}

extension Connections.Declaration {
  /// What attention of one product for queries, keys and values declares.
  ///
  /// - Parameters:
  ///   - extra: parameters beside those of queries and keys, such as biases of positions.
  static func attention(_ qkv: Dense, tokens: Int, seen: Int? = nil, plus extra: Int = 0) -> Self {
    let weight = qkv.weights.weight.shape
    return attention(
      tokens: tokens, seen: seen, width: weight[1], inner: weight[0] / 3,
      parameters: qkv.parameterCount / 3 * 2 + extra)
  }

  /// What attention among tokens declares: products for queries and keys, scores, and the mixing of values.
  ///
  /// - Parameters:
  ///   - tokens: queries of an image.
  ///   - keys: tokens that keys are made of; nil: those of queries.
  ///   - seen: keys that a query sees; nil for all of them.
  ///   - inner: the width of all heads together.
  static func attention(
    tokens: Int, keys: Int? = nil, seen: Int? = nil, width: Int, inner: Int, parameters: Int
  ) -> Self {
    let keys = keys ?? tokens
    return Self(
      .pair, channels: inner, parameters: parameters,
      multiplyAdds: (tokens + keys) * width * inner + 2 * tokens * (seen ?? keys) * inner)
  }
}
