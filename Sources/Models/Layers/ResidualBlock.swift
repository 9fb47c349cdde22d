import Tensors

/// One residual block, basic or bottleneck, with its normalisations after or before the convolutions. Keys
/// `convN`, `bnN`, `downsample.0`, `downsample.1` (one more behind a mean), `se`.
struct ResidualBlock: Sendable {
  let stage: Int
  let index: Int
  let outputs: Int
  private let isPreActivation: Bool
  /// In a pre-activation block, each is followed by the next one's normalisation.
  private let convolutions: [NormedConvolution]
  /// The convolution after which a map is halved instead of in it, and by what stride.
  private let antialias: (after: Int, kind: ResNetConfiguration.Antialias, stride: Int)?
  private let shortcut: Shortcut
  private let gate: Gate?
  private let first: BatchNorm?
  private let act: Activation
  private let innerAct: Activation

  /// What the branch goes through before it is added.
  private enum Gate: Sendable {
    case squeeze(SqueezeExcitation)
    case nonLocal(NonLocal)
    case context(GlobalContext)

    init?(_ scope: Scope, _ c: ResNetConfiguration, stage: Int) throws(ParameterError) {
      guard !c.squeeze.isEmpty else { return nil }
      let (outputs, reduced) = (c.outs[stage], c.squeeze[stage])
      switch c.gate {
      case .squeeze:
        self = .squeeze(
          try SqueezeExcitation(scope, outputs, reduced: reduced, bias: c.squeezeBias))
      case .nonLocal: self = .nonLocal(try NonLocal(gate: scope, outputs, inner: reduced))
      case .context, .addedContext:
        self = .context(
          try GlobalContext(scope, outputs, reduced: reduced, isAdded: c.gate == .addedContext))
      }
    }

    /// - Parameters:
    ///   - map: the tap of what places or channels are weighted by, and what it is called.
    func callAsFunction(
      _ x: Tensor, _ context: Context, map: (Connections, String) -> Tap
    ) -> Tensor {
      switch self {
      case .squeeze(let gate): gate(x, context) { map($0, "se_map") }
      case .nonLocal(let gate): gate(x, context) { map($0, "attn_map") }
      case .context(let gate): gate(x, context) { map($0, "context_map") }
      }
    }
  }

  /// What the branch is added to.
  private enum Shortcut: Sendable {
    case identity
    case projection(NormedConvolution, averages: Bool)
    /// Every so manyth place, and channels of zeros around.
    case padded(stride: Int, before: Int)
  }

  init(
    _ scope: Scope, _ c: ResNetConfiguration, stage: Int, index: Int, inputs: Int
  ) throws(ParameterError) {
    (self.stage, self.index, isPreActivation) = (stage, index, c.preActivation)
    (act, innerAct) = (c.act.function, c.innerAct.function)
    let width = c.widths[stage]
    outputs = c.outs[stage]
    let stride = index == 0 ? c.stride(of: stage) : 1
    // The first block of a stage still sees the map of the stage before.
    let dilation = c.dilation[stage]
    let firstDilation = index == 0 && stage > 0 ? c.dilation[stage - 1] : dilation
    // The 3x3 that may have a stride, and its place.
    let spatial = c.block == .basic ? 0 : 1
    let smooths = c.antialias != .none && (stride > 1 || firstDilation != dilation)
    antialias = smooths ? (spatial, c.antialias, stride) : nil
    let inner = smooths ? 1 : stride
    let inFirst = c.downsample == .first && c.block == .bottleneck
    // Kernel, channels, stride, dilation, groups of each convolution.
    let plan: [(kernel: Int, channels: Int, stride: Int, dilation: Int, groups: Int)] =
      c.block == .basic
      ? [(3, width, inner, firstDilation, 1), (3, outputs, 1, dilation, 1)]
      : [
        (1, width, inFirst ? inner : 1, 1, 1),
        (3, width, inFirst ? 1 : inner, firstDilation, c.groups), (1, outputs, 1, 1, 1),
      ]
    first = c.preActivation ? try BatchNorm(scope["bn1"], inputs) : nil
    var convolutions: [NormedConvolution] = []
    var channels = inputs
    for (place, step) in plan.enumerated() {
      let isLast = place + 1 == plan.count
      let norm = c.preActivation ? (isLast ? nil : place + 2) : place + 1
      convolutions.append(
        try NormedConvolution(
          scope["conv\(place + 1)"], norm: norm.map { scope["bn\($0)"] }, channels, step.channels,
          kernel: step.kernel, stride: step.stride, groups: step.groups, dilation: step.dilation))
      channels = step.channels
    }
    self.convolutions = convolutions
    gate = try Gate(scope["se"], c, stage: stage)
    if stride == 1, inputs == outputs {
      shortcut = .identity
    } else if c.shortcut == .projection {
      let down = scope["downsample"]
      let place = c.averageDown ? 1 : 0
      shortcut = .projection(
        try NormedConvolution(
          down[place], norm: c.preActivation ? nil : down[place + 1], inputs, outputs, kernel: 1,
          stride: c.averageDown ? 1 : stride, padding: 0),
        averages: c.averageDown && stride > 1)
    } else {
      shortcut = .padded(
        stride: stride, before: c.shortcut == .padded ? max(0, outputs - inputs) / 2 : 0)
    }
  }

  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    let name = "layer\(stage + 1).\(index)"
    func tap(_ suffix: String, _ kind: Tap.Kind = .conv) -> Tap {
      Tap("\(name).\(suffix)", kind, layout: .featureMap, stage: stage)
    }
    var y = x
    if let first { y = context.tap(tap("bn1", .norm), first(x, activation: act, context)) }
    let skip = context.tap(tap("skip"), skipped(isPreActivation ? y : x, x, context))
    for (place, convolution) in convolutions.enumerated() {
      let isLast = place + 1 == convolutions.count
      // A gate stands between the last normalisation and the addition.
      let isFused = isLast && gate == nil
      let after: Activation = isLast ? (isFused && !isPreActivation ? act : .none) : innerAct
      convolution.offer(y.shape, context) {
        Tap(
          "\(name).conv\(place + 1)_map", .attentionMap, layout: .connections($0), stage: stage)
      }
      let norm =
        convolution.norm == nil
        ? nil : context.inner(tap("bn\(place + (isPreActivation ? 2 : 1))", .norm))
      y = convolution(
        y, activation: after, residual: isFused ? skip : nil,
        raw: context.inner(tap("conv\(place + 1)")),
        normed: isFused ? context.branch(tap("branch"), after: norm) : norm, context)
      if let antialias, antialias.after == place {
        y = smoothed(y, antialias.kind, antialias.stride)
      }
    }
    if let gate {
      y = gate(y, context) {
        Tap("\(name).\($1)", .attentionMap, layout: .connections($0), stage: stage)
      }
      y = context.branch(tap("branch"))?(y) ?? y
      y = isPreActivation ? y + skip : act(y + skip)
    }
    let kind: Tap.Kind = stage > 0 && index == 0 ? .pool : .conv
    return context.tap(
      Tap(name, kind, layout: .featureMap, stage: stage, roles: [.sequence, .block]), y)
  }

  /// What the branch is added to: the input `x`, or made of it (`normed`, where normalised first).
  private func skipped(_ normed: Tensor, _ x: Tensor, _ context: Context) -> Tensor {
    switch shortcut {
    case .identity: x
    case .projection(let convolution, let averages):
      convolution(averages ? normed.averagedByTwo(keepingLast: true) : normed, context)
    case .padded(let stride, let before):
      x.subsampled(stride: stride).padded(axis: 3, before: before, total: outputs)
    }
  }

  private func smoothed(
    _ x: Tensor, _ kind: ResNetConfiguration.Antialias, _ stride: Int
  ) -> Tensor {
    switch kind {
    case .none: x
    case .blur: x.blurred(stride: stride)
    case .average: stride == 1 ? x : x.averagedByTwo(keepingLast: false)
    }
  }
}
