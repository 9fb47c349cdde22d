import Tensors

/// A pre-norm transformer block with global attention:
/// `x + ls1 MSA(norm1 x)`, then `x + ls2 MLP(norm2 x)` (Dosovitskiy et al. 2021; layer scale:
/// Touvron et al. 2021). Keys `norm1`, `attn.qkv`, `attn.proj`, `norm2`, `mlp`, `ls1.gamma`, `ls2.gamma`.
struct TransformerBlock: Sendable {
  /// The hyper-parameters of a block.
  struct Options: Sendable {
    var width: Int
    var heads: Int
    var hidden: Int
    var epsilon = 1e-6
    var qkvBias = true
    var layerScale = false
    var perceptron = PerceptronKind.gelu
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

  init(_ scope: Scope, _ o: Options) throws(ParameterError) {
    norm1 = try LayerNorm(scope["norm1"], o.width, epsilon: o.epsilon)
    qkv = try Dense(scope["attn"]["qkv"], o.width, 3 * o.width, bias: o.qkvBias)
    projection = try Dense(scope["attn"]["proj"], o.width, o.width)
    gain1 = o.layerScale ? try scope["ls1"].weight("gamma", [o.width], .constant(1e-5)) : nil
    norm2 = try LayerNorm(scope["norm2"], o.width, epsilon: o.epsilon)
    mlp = try Perceptron(scope["mlp"], o.width, hidden: o.hidden, kind: o.perceptron)
    gain2 = o.layerScale ? try scope["ls2"].weight("gamma", [o.width], .constant(1e-5)) : nil
    heads = o.heads
    scale = Float(o.scale ?? 1 / (Double(o.width) / Double(o.heads)).squareRoot())
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
      Tap("\(name).attn_map", .attentionMap, layout: grid.attention, stage: stage)
    }
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      selfAttention(
        x, normalization: norm1.rows, qkv: qkv.weights, projection: projection.weights,
        heads: heads, scale: scale, gain: gain1, first: count, maps: context.inner(mapTap()),
        branch: context.branch(tap("attn_branch", .msa))))
    return context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp(
        attended, norm: norm2, gain: gain2, residual: attended,
        hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
  }
}

/// Where the tokens of a sequence lie: a grid in row-major order behind `prefix` others.
struct TokenGrid: Sendable, Equatable {
  var height: Int
  var width: Int
  var prefix: Int

  var tokens: Tap.Layout { .tokens(height: height, width: width, prefix: prefix) }
  var attention: Tap.Layout { .attention(height: height, width: width, prefix: prefix) }
}
