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
  private let refinement: (steps: Refinement, norm: BatchNorm)?
  /// What refined maps are multiplied with.
  private let mapScale: Float
  private let projection: Dense
  private let gain: Tensor
  private let norm2: LayerNorm
  private let mlp: Perceptron
  private let channelGain: Tensor

  /// What maps go through, with its normalisations.
  private enum Refinement: Sendable {
    /// To more maps, where there are; under a kernel each; and back.
    case expand(expand: NormedPlanes?, local: NormedPlanes, reduce: NormedPlanes)
    case convolution(Tensor, SlidingWindow)
  }

  /// A map of planes and the normalisation that follows it.
  private struct NormedPlanes: Sendable {
    let weight: Tensor
    let norm: BatchNorm

    /// The weight with the normalisation of evaluation in it, and what is added.
    var folded: (weight: Tensor, shift: Tensor) {
      let (rows, affine) = (weight.shape[0], norm.folded)
      let matrix = weight.reshaped([rows, weight.shape.count / rows])
      return ((matrix * affine.scale.reshaped([rows, 1])).reshaped(weight.shape), affine.shift)
    }
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
      refinement = (
        try Self.refinement(attn["DLA"], c, expand: shares ? c.expand : c.transformExpand),
        try BatchNorm(attn["adapt_bn"], c.heads)
      )
    } else {
      refinement = nil
    }
    mapScale = shares ? scale : 1
    qkv = try Dense(attn["qkv"], c.dim, shares ? c.dim : 3 * c.dim, bias: c.qkvBias)
    projection = try Dense(attn["proj"], c.dim, c.dim)
    norm2 = try LayerNorm(scope["norm2"], c.dim, epsilon: epsilon)
    channelGain = try scope["mlp"].weight("scale_channel", [c.dim], .constant(1e-5))
    mlp = try Perceptron(scope["mlp"], c.dim, hidden: c.mlp)
    gain = Tensor(repeating: Float(1 / Self.ratio), shape: [c.dim])
  }

  private static func refinement(
    _ scope: Scope, _ c: PublishedRefinerConfiguration, expand: Int
  ) throws(ParameterError) -> Refinement {
    let (k, wide) = (c.kernel, expand * c.heads)
    if c.refinement == .conv {
      let (before, after) = ((k - 1) / 2, k / 2)
      return .convolution(
        try scope.weight(
          "conv.weight", [c.heads, c.heads, k, k], layout: .convolution, .heFanOut),
        SlidingWindow(kernel: (k, k), padding: (before, before, after, after)))
    }
    func planes(
      _ name: String, _ stored: [Int], as shape: Shape, _ norm: String
    ) throws(ParameterError) -> NormedPlanes {
      NormedPlanes(
        weight: try scope[name].weight("weight", stored, .heFanOut).reshaped(shape),
        norm: try BatchNorm(scope[norm], stored[0]))
    }
    return .expand(
      expand: expand > 1
        ? try planes("conv_exp", [wide, c.heads, 1, 1], as: [wide, c.heads], "bn1") : nil,
      local: try planes("depth_sep_conv", [wide, 1, k, k], as: [wide, k, k], "bn2"),
      reduce: try planes("conv_pro", [c.heads, wide, 1, 1], as: [c.heads, wide], "bn3"))
  }

  /// Maps refined, `adapt_bn` and all.
  private func refined(_ maps: Tensor, _ look: InnerTap?, _ context: Context) -> Tensor {
    guard let (steps, norm) = refinement else { return maps }
    // In evaluation, normalisations are folded into the weights before them, and the scale into the last.
    func finished(_ y: Tensor) -> Tensor {
      context.training == nil
        ? scaled(norm.folded).onPlanes(y) : mapScale * norm.onPlanes(y, context)
    }
    switch steps {
    case .convolution(let weight, let window):
      let mixed = convolution(maps.permuted([0, 2, 3, 1]), weight, window: window)
        .permuted([0, 3, 1, 2])
      return finished(look?(mixed) ?? mixed)
    case .expand(let expand, let local, let reduce) where context.training != nil:
      var y = maps
      if let expand {
        y = expand.norm.onPlanes(y.mixedPlanes(expand.weight), context).relu6()
      }
      y = local.norm.onPlanes(y.depthwisePlanes(local.weight), context).relu6()
      y = reduce.norm.onPlanes(y.mixedPlanes(reduce.weight), context) + maps
      return finished(look?(y) ?? y)
    case .expand(let expand, let local, let reduce):
      let (first, second, third) = (expand?.folded, local.folded, reduce.folded)
      return MapRefinement(
        expand: first?.weight, expandShift: first?.shift, local: second.weight,
        localShift: second.shift, reduce: third.weight, reduceShift: third.shift,
        activation: .relu6, addsInput: true, affine: scaled(norm.folded)
      )(maps, beforeAffine: look)
    }
  }

  private func scaled(_ affine: ChannelAffine) -> ChannelAffine {
    mapScale == 1
      ? affine : ChannelAffine(scale: mapScale * affine.scale, shift: mapScale * affine.shift)
  }

  /// One block over the tokens and the maps carried along.
  func callAsFunction(
    _ state: PublishedRefiner.State, name: String, _ context: Context
  ) -> PublishedRefiner.State {
    let grid = state.grid
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: grid.tokens, roles: roles)
    }
    func look(_ suffix: String) -> InnerTap? {
      context.inner(Tap("\(name).\(suffix)", .attentionMap, layout: grid.attention))
    }
    let x = state.tokens
    let dim = x.shape.last
    let projected = qkv(x, norm: norm1)
    var maps: Tensor
    if shares, let carried = state.maps {
      maps = refined(carried, look("attn_map_dla"), context)
    } else {
      maps = attentionMaps(
        qkv: projected, heads: heads, scale: scale, carried: state.maps, carriedScale: scale,
        softmax: look("attn_map_raw"))
      maps = refined(maps, look("attn_map_dla"), context)
    }
    maps = look("attn_map")?(maps) ?? maps
    let values = projected.slice(
      axis: 2, start: projected.shape.last - dim, length: dim)
    let attended = context.tap(
      tap("attn_res", .msa, .sequence),
      projection(
        maps.applied(to: values), gain: gain, residual: x,
        branch: context.branch(tap("attn_branch", .msa))))
    // The branch that is tapped has the channels' gain in it.
    let branch = context.branch(tap("mlp_branch", .mlp))
    let y = context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      mlp(
        attended, norm: norm2, gain: branch == nil ? gain * channelGain : gain,
        residual: attended, hidden: context.dropout(at: "\(name).mlp_hidden"),
        branch: branch.map { look -> InnerTap in { look($0 * channelGain) } }))
    return PublishedRefiner.State(
      tokens: y, grid: grid, maps: shares ? state.maps : maps)
  }
}
