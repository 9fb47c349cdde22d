import Tensors

/// One block of ``PublishedRefiner``: `x + 2 MSA(norm1(x / 2))`, then `x + 2 MLP(norm2(x / 2))`. Keys `norm1`,
/// `attn.qkv` (of values alone in blocks that share), `attn.proj`, `attn.DLA`, `attn.adapt_bn`, `norm2`,
/// `mlp.fc1`, `mlp.fc2`, `mlp.scale_channel`.
struct PublishedRefinerBlock: Sendable {
  /// What the public code divides branches by and multiplies their inputs with.
  private static let ratio = 0.5

  private let shares: Bool
  private let heads: Int
  private let scale: Float
  private let norm1: LayerNorm
  private let qkv: Dense
  private let refinement: Refinement?
  private let projection: Dense
  private let gain: Tensor
  private let norm2: LayerNorm
  private let mlp: Perceptron
  private let channelGain: Tensor

  private enum Refinement: Sendable {
    case expand(MapRefinement)
    case convolution(Tensor, Window, ChannelAffine)
  }

  init(
    _ scope: Scope, _ c: PublishedRefinerConfiguration, index: Int
  ) throws(ParameterError) {
    shares = c.share[index] == 1
    heads = c.heads
    scale = 1 / (Float(c.dim) / Float(c.heads)).squareRoot()
    // LN(x / 2) with epsilon e is LN(x) with 4 e.
    let epsilon = c.epsilon / (Self.ratio * Self.ratio)
    norm1 = try LayerNorm(scope["norm1"], c.dim, epsilon: epsilon)
    let attn = scope["attn"]
    if shares || c.transform[index] == 1 {
      refinement = try Self.refinement(
        attn, c, expand: shares ? c.expand : c.transformExpand, scale: shares ? scale : 1)
    } else {
      refinement = nil
    }
    qkv = try Dense(attn["qkv"], c.dim, shares ? c.dim : 3 * c.dim, bias: c.qkvBias)
    projection = try Dense(attn["proj"], c.dim, c.dim)
    norm2 = try LayerNorm(scope["norm2"], c.dim, epsilon: epsilon)
    channelGain = try scope["mlp"].weight("scale_channel", [c.dim], .constant(1e-5))
    mlp = try Perceptron(scope["mlp"], c.dim, hidden: c.mlp)
    gain = Tensor(repeating: Float(1 / Self.ratio), shape: [c.dim])
  }

  /// DLA and `adapt_bn`, normalisations folded into the weights before them.
  private static func refinement(
    _ attn: Scope, _ c: PublishedRefinerConfiguration, expand: Int, scale: Float
  ) throws(ParameterError) -> Refinement {
    let (scope, k, wide) = (attn["DLA"], c.kernel, expand * c.heads)
    func affine() throws(ParameterError) -> ChannelAffine {
      let norm = try ChannelAffine(batchNorm: attn["adapt_bn"], c.heads)
      return scale == 1
        ? norm : ChannelAffine(scale: scale * norm.scale, shift: scale * norm.shift)
    }
    if c.refinement == .conv {
      let (before, after) = ((k - 1) / 2, k / 2)
      return .convolution(
        try scope.weight(
          "conv.weight", [c.heads, c.heads, k, k], layout: .convolution, .heFanOut),
        Window(height: k, width: k, stride: 1, padding: (before, before, after, after)),
        try affine())
    }
    func folded(
      _ name: String, _ shape: [Int], _ norm: String
    ) throws(ParameterError) -> (weight: Tensor, shift: Tensor) {
      let rows = shape[0]
      let weight = try scope[name].weight("weight", shape, .heFanOut)
      let norm = try ChannelAffine(batchNorm: scope[norm], rows)
      let matrix = weight.reshaped([rows, weight.shape.count / rows])
      return (matrix * norm.scale.reshaped([rows, 1]), norm.shift)
    }
    var result = MapRefinement(activation: .relu6, addsInput: true)
    if expand > 1 {
      let (weight, shift) = try folded("conv_exp", [wide, c.heads, 1, 1], "bn1")
      (result.expand, result.expandShift) = (weight, shift)
    }
    let (local, localShift) = try folded("depth_sep_conv", [wide, 1, k, k], "bn2")
    (result.local, result.localShift) = (local.reshaped([wide, k, k]), localShift)
    let (reduce, reduceShift) = try folded("conv_pro", [c.heads, wide, 1, 1], "bn3")
    (result.reduce, result.reduceShift) = (reduce, reduceShift)
    result.affine = try affine()
    return .expand(result)
  }

  /// Maps refined, `adapt_bn` and all.
  private func refined(_ maps: Tensor, _ look: ((Tensor) -> Tensor)?) -> Tensor {
    switch refinement {
    case nil: return maps
    case .expand(let refinement): return refinement(maps, beforeAffine: look)
    case .convolution(let weight, let window, let affine):
      let mixed = convolution(maps.permuted([0, 2, 3, 1]), weight, window: window)
        .permuted([0, 3, 1, 2])
      return affine.onPlanes(look?(mixed) ?? mixed)
    }
  }

  /// One block over the tokens and the maps carried along.
  func callAsFunction(
    _ state: PublishedRefiner.State, name: String, _ context: Context
  ) -> PublishedRefiner.State {
    let grid = state.grid
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, roles: roles)
    }
    func look(_ suffix: String) -> ((Tensor) -> Tensor)? {
      let tap = Tap("\(name).\(suffix)", .attentionMap, layout: grid.attention)
      guard context.probe != nil, context.wants(tap) else { return nil }
      return { context.tap(tap, $0) }
    }
    let x = state.tokens
    let dim = x.shape.last
    let projected = qkv(x, norm: norm1)
    var maps: Tensor
    if shares, let carried = state.maps {
      maps = refined(carried, look("attn_map_dla"))
    } else {
      maps = attentionMaps(
        qkv: projected, heads: heads, scale: scale, carried: state.maps, carriedScale: scale,
        softmax: look("attn_map_raw"))
      maps = refined(maps, refinement == nil ? nil : look("attn_map_dla"))
    }
    maps = look("attn_map")?(maps) ?? maps
    let values = projected.slice(
      axis: 2, start: projected.shape.last - dim, length: dim)
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      projection.added(
        to: x, maps.applied(to: values), gain: gain, branch: tap("attn_branch", .msa), context))
    let branch = tap("mlp_branch", .mlp)
    var y: Tensor
    if context.probe != nil, context.wants(branch) {
      y = context.tap(branch, mlp(attended, norm: norm2, gain: channelGain)) * gain + attended
    } else {
      y = mlp(attended, norm: norm2, gain: gain * channelGain, residual: attended)
    }
    y = context.tap(tap("mlp_res", .mlp, [.sequence, .block]), y)
    return PublishedRefiner.State(
      tokens: y, grid: grid, maps: shares ? state.maps : maps)
  }
}
