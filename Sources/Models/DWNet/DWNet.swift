import Tensors

/// The forward pass of ``DWNetConfiguration``. Weights by the names of Atten4Vis/DemystifyLocalViT.
struct DWNet: VisionModel {
  private struct Block: Sendable {
    let stage: Int
    let name: String
    let mixer: LocalBranch
    let norm: BatchNorm
    let mlp: Perceptron
  }

  private let configuration: DWNetConfiguration
  private let patches: PatchEmbedding
  private let patchNorm: LayerNorm
  private let blocks: [Block]
  /// What follows each stage but the last.
  private let merges: [PatchMerging]
  private let norm: LayerNorm
  private let classifier: Dense?

  init(_ c: DWNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let embedding = weights["patch_embed"]
    patches = try PatchEmbedding(
      embedding["proj"], channels: c.channels, patch: c.patch, width: c.dim)
    patchNorm = try LayerNorm(embedding["norm"], c.dim, epsilon: c.epsilon)
    var blocks: [Block] = []
    var merges: [PatchMerging] = []
    for (stage, width) in c.widths.enumerated() {
      let scope = weights["layers"][stage]
      for index in 0..<c.depths[stage] {
        let own = scope["blocks"][index]
        blocks.append(
          Block(
            stage: stage, name: "layers.\(stage).blocks.\(index)",
            mixer: try LocalBranch(own["attn2conv"], c, stage: stage),
            norm: try BatchNorm(own["bn"], width),
            mlp: try Perceptron(own["mlp"], width, hidden: width * c.mlpRatio)))
      }
      if stage + 1 < c.widths.count {
        merges.append(
          try PatchMerging(
            scope["downsample"], from: width, to: c.widths[stage + 1], epsilon: c.epsilon))
      }
    }
    self.blocks = blocks
    self.merges = merges
    let width = c.widths[c.widths.count - 1]
    norm = try LayerNorm(weights["norm"], width, epsilon: c.epsilon)
    classifier = c.classes > 0 ? try Dense(weights["head"], width, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    context.tap(
      Tap("patch_embed", .embed, layout: .featureMap, roles: .sequence), patchNorm(patches(images)))
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    let block = blocks[index]
    func tap(_ suffix: String, _ kind: Tap.Kind, _ roles: Tap.Roles = []) -> Tap {
      Tap(
        "\(block.name).\(suffix)", kind, layout: .featureMap, stage: block.stage, roles: roles)
    }
    let mixed = context.tap(
      tap("dw_res", .conv, .sequence),
      block.mixer(
        x, residual: x, branch: context.branch(tap("dw_branch", .conv)), context
      ) {
        Tap("\(block.name).dw_map", .attentionMap, layout: .connections($0), stage: block.stage)
      })
    let done = context.tap(
      tap("mlp_res", .mlp, [.sequence, .block]),
      block.mlp(
        block.norm(mixed, context), residual: mixed,
        hidden: context.dropout(at: "\(block.name).mlp_hidden"),
        branch: context.branch(tap("mlp_branch", .mlp))))
    guard index + 1 < blocks.count, blocks[index + 1].stage != block.stage else { return done }
    return context.tap(
      Tap(
        "layers.\(block.stage).downsample", .pool, layout: .featureMap, stage: block.stage + 1,
        roles: .sequence), merges[block.stage](done))
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = context.tap(Tap("norm", .norm, layout: .featureMap), norm(x)).globalAverage()
    return classifier.map { $0(features) } ?? features
  }
}

/// `norm(conv2 relu(norm(mix(relu(norm(conv0 x))))))`: what stands in the place of attention. Keys `conv0`,
/// `bn0`, `conv`, `bn`, `conv2`, `bn2`.
private struct LocalBranch: Sendable {
  let first: NormedConvolution
  let window: SlidingWindow
  let kernels: LocalKernels
  /// Added behind the kernels; involution has none.
  let bias: Tensor?
  let norm: BatchNorm
  let last: NormedConvolution

  init(_ scope: Scope, _ c: DWNetConfiguration, stage: Int) throws(ParameterError) {
    let (width, local) = (c.widths[stage], scope["conv"])
    first = try NormedConvolution(scope["conv0"], norm: scope["bn0"], width, width, kernel: 1)
    window = SlidingWindow(kernel: c.window, padding: c.window / 2)
    switch c.kernels {
    case .fixed:
      kernels = try .depthwise(local, channels: width, side: c.window)
    case .dynamic:
      kernels = .ofImage(
        try KernelGenerator(
          reduce: local["conv1"], norm: local["bn"], expand: local["conv2"], channels: width,
          side: c.window, groups: width, hasReducedBias: false))
    case .inhomogeneous:
      kernels = .ofEachPlace(
        try KernelGenerator(
          reduce: local["conv1"][0], norm: local["conv1"][1], expand: local["conv2"][0],
          channels: width, side: c.window, groups: width / c.groupChannels[stage],
          hasReducedBias: true))
    }
    bias = c.kernels == .inhomogeneous ? nil : try local.weight("bias", [width], .constant(0))
    norm = try BatchNorm(scope["bn"], width)
    last = try NormedConvolution(scope["conv2"], norm: scope["bn2"], width, width, kernel: 1)
  }

  func callAsFunction(
    _ x: Tensor, residual: Tensor, branch: InnerTap?, _ context: Context,
    map: (Connections) -> Tap
  ) -> Tensor {
    let inner = first(x, activation: .relu, context)
    var mixed = kernels.mix(inner, window: window, context, map: map)
    if let bias { mixed = mixed + bias }
    return last(
      norm(mixed, activation: .relu, context), residual: residual, normed: branch, context)
  }
}
