import Tensors

/// The forward pass of ``AlterNetConfiguration``. Convolution blocks by the names of pre-activation
/// residual networks (``ResNet``); the stem is `stem.conv`.
struct AlterNet: VisionModel {
  typealias State = Tensor

  private enum Block: Sendable {
    case convolution(ResidualBlock)
    case attention(WindowAttentionBlock)
  }

  private let configuration: AlterNetConfiguration
  private let stem: NormedConvolution
  private let blocks: [Block]
  private let norm: BatchNorm
  private let classifier: Dense?

  init(_ c: AlterNetConfiguration, _ weights: Scope) throws(ParameterError) {
    configuration = c
    let large = c.stem == .imagenet
    stem = try NormedConvolution(
      weights["stem"]["conv"], norm: nil, c.channels, c.stemWidth, kernel: large ? 7 : 3,
      stride: large ? 2 : 1)
    var blocks: [Block] = []
    var channels = c.stemWidth
    for stage in c.depths.indices {
      for (index, isAttention) in c.pattern(stage: stage).enumerated() {
        let scope = weights["layer\(stage + 1)"][index]
        if isAttention {
          blocks.append(
            .attention(
              try WindowAttentionBlock(
                scope, c, stage: stage, index: index, channels: channels)))
        } else {
          let block = try ResidualBlock(
            scope, c.residual, stage: stage, index: index, inputs: channels, width: c.widths[stage])
          blocks.append(.convolution(block))
          channels = block.outputs
        }
      }
    }
    self.blocks = blocks
    norm = try BatchNorm(weights["norm"], channels)
    classifier = c.classes > 0 ? try Dense(weights["fc"], channels, c.classes) : nil
  }

  var blockCount: Int { blocks.count }
  var classCount: Int? { configuration.classes > 0 ? configuration.classes : nil }

  func embed(_ images: Tensor, _ context: Context) -> Tensor {
    var x = context.tap(Tap("conv1", .conv, layout: .featureMap), stem(images, context))
    if configuration.stem == .imagenet {
      x = x.maxPooled(SlidingWindow(kernel: 3, stride: 2, padding: 1))
    }
    return context.tap(Tap("stem", .embed, layout: .featureMap, roles: .sequence), x)
  }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    switch blocks[index] {
    case .convolution(let block): block(x, context)
    case .attention(let block): block(x, context)
    }
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let x = context.tap(
      Tap("norm", .norm, layout: .featureMap), norm(x, activation: .relu, context))
    let features = context.tap(Tap("gap", .pool, layout: .vector), x.globalAverage())
    return classifier.map { $0(features) } ?? features
  }
}
