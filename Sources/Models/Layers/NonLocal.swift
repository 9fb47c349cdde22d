import Tensors

/// A non-local block (Wang et al. 2018): `x + norm(z)`, z made of the mixture of all places by how well they fit each one.
struct NonLocal: Sendable {
  typealias Form = ResNetConfiguration.NonLocalForm

  private let query: Dense
  private let key: Dense
  private let value: Dense
  private let output: Dense
  private let norm: BatchNorm?
  private let form: Form
  private let scale: Float
  private let pools: Bool

  /// timm's: keys `t`, `p`, `g`, `z`, `norm`.
  init(gate scope: Scope, _ channels: Int, inner: Int) throws(ParameterError) {
    query = try Dense(pointwise: scope["t"], channels, inner, .heFanOut)
    key = try Dense(pointwise: scope["p"], channels, inner, .heFanOut)
    value = try Dense(pointwise: scope["g"], channels, inner, .heFanOut)
    output = try Dense(pointwise: scope["z"], inner, channels, .heFanOut)
    norm = try BatchNorm(scope["norm"], channels)
    (form, pools, scale) = (.softmax, false, 1 / Float(channels).squareRoot())
  }

  /// AlexHex7's: keys `theta`, `phi`, `g`, `W`; of the maxima of 2 x 2 places `phi.0`, `g.0`, with a normalisation `W.0`, `W.1`.
  init(
    block scope: Scope, _ channels: Int, inner: Int, form: Form, pools: Bool, hasNorm: Bool
  ) throws(ParameterError) {
    let (phi, g, w) = (scope["phi"], scope["g"], scope["W"])
    query = try Dense(pointwise: scope["theta"], channels, inner)
    key = try Dense(pointwise: pools ? phi[0] : phi, channels, inner)
    value = try Dense(pointwise: pools ? g[0] : g, channels, inner)
    output = try Dense(pointwise: hasNorm ? w[0] : w, inner, channels)
    norm = hasNorm ? try BatchNorm(w[1], channels) : nil
    (self.form, self.pools, scale) = (form, pools, 1)
  }

  /// A map `[N, H, W, C]` after the block.
  ///
  /// - Parameters:
  ///   - branch: gets what is added to `x`.
  ///   - map: the tap of the map of the softmax, offered where its keys are the places or halve them evenly.
  func callAsFunction(
    _ x: Tensor, branch: InnerTap? = nil, _ context: Context, map: (Connections) -> Tap
  ) -> Tensor {
    let (images, height, width) = (x.shape[0], x.shape[1], x.shape[2])
    func tokens(_ x: Tensor) -> Tensor {
      x.reshaped([images, x.shape[1] * x.shape[2], x.shape[3]])
    }
    func others(_ layer: Dense) -> Tensor {
      let made = layer(x)
      return tokens(pools ? made.maxPooled(SlidingWindow(kernel: 2, stride: 2)) : made)
    }
    let (q, k, v) = (tokens(query(x)), others(key), others(value))
    let mixed: Tensor
    switch form {
    case .softmax:
      let isEven = !pools || height.isMultiple(of: 2) && width.isMultiple(of: 2)
      func connections() -> Connections {
        Connections(
          height: height, width: width,
          support: pools ? .cells(height: height / 2, width: width / 2) : .tokens,
          declared: .attention(
            tokens: height * width, keys: k.shape[1], width: x.shape[3], inner: q.shape[2],
            parameters: query.parameterCount + key.parameterCount))
      }
      mixed = attention(
        q, k, v, heads: 1, scale: scale, maps: isEven ? context.inner(map(connections())) : nil)
    case .mean:
      mixed = (1 / Float(k.shape[1]) * q.matrixProduct(k.permuted([0, 2, 1]))).matrixProduct(v)
    }
    let z = output(mixed).reshaped(x.shape)
    guard let norm else { return x + (branch?(z) ?? z) }
    return norm(z, residual: x, normed: branch, context)
  }
}

/// A non-local block as a member of a stage, beside residual blocks.
struct NonLocalBlock: Sendable {
  let stage: Int
  private let name: String
  private let layer: NonLocal

  init(_ layer: NonLocal, stage: Int, index: Int) {
    (self.layer, self.stage, name) = (layer, stage, "layer\(stage + 1).\(index)")
  }

  /// One block over a map `[N, H, W, C]`.
  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    func tap(_ suffix: String, _ kind: Tap.Kind) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, stage: stage)
    }
    let y = layer(x, branch: context.branch(tap("attn_branch", .msa)), context) {
      Tap("\(name).attn_map", .attentionMap, layout: .connections($0), stage: stage)
    }
    return context.tap(
      Tap(name, .msa, layout: .featureMap, stage: stage, roles: [.sequence, .block]), y)
  }
}
