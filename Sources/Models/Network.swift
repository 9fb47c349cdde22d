import Tensors

/// A network with its weights: all that a subject, a summary, a Hessian and a plan need of one.
///
/// An ``Architecture`` makes such networks from configurations; another maker needs neither.
public protocol Network: Sendable {
  /// What it takes: one image.
  var inputShape: ImageShape { get }

  /// How many classes its output tells apart; nil if the output is no class scores.
  var classCount: Int? { get }

  /// Parameters and buffers by name, in the order in which they are asked for.
  var parameters: [NamedParameter] { get }

  /// The output `[N, classes]` (features without a head) of normalised images `[N, H, W, C]`; every
  /// tap is offered to the context's probe. Class scores are a tap of kind `logits`.
  func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor

  /// A pass up to the first block, to be gone on with block by block; nil for a network without blocks.
  func begin(_ images: Tensor, _ context: Context) -> PartialPass?

  /// The same network from other weights: tracked ones, ones a step away, or shapes alone.
  ///
  /// - Parameter source: hands out every parameter and buffer by name, laid out as in ``parameters``.
  func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network
}

/// The extents of an image as a network takes it.
public struct ImageShape: Sendable, Hashable, Codable, CustomStringConvertible {
  /// Rows of pixels.
  public var height: Int
  /// Columns of pixels.
  public var width: Int
  /// Colour channels.
  public var channels: Int

  /// An image of the given extents.
  public init(height: Int, width: Int, channels: Int) {
    (self.height, self.width, self.channels) = (height, width, channels)
  }

  /// The side of a square image; nil if it is not square.
  public var side: Int? { height == width ? height : nil }

  /// `224 x 224 x 3`
  public var description: String { "\(height) x \(width) x \(channels)" }
}

extension Network {
  /// The same network from other weights.
  ///
  /// - Parameter tensors: every parameter and buffer by name, laid out as in ``parameters``.
  public func rebuilt(with tensors: [String: Tensor]) throws(ParameterError) -> any Network {
    try rebuilt(from: GivenParameters(tensors))
  }

  /// Without anybody who looks.
  public func callAsFunction(_ images: Tensor) -> Tensor { self(images, Context()) }
}

/// A network whose pass is a model's: its classes and blocks are those of the model.
public protocol ModelNetwork: Network {
  /// The forward pass.
  var model: any VisionModel { get }
}

extension ModelNetwork {
  /// How many classes the model's head tells apart; nil without a head.
  public var classCount: Int? { model.classCount }

  /// The model's output.
  public func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
    model(images, context)
  }

  /// A pass of the model up to its first block; nil for a model without blocks.
  public func begin(_ images: Tensor, _ context: Context) -> PartialPass? {
    func begun(_ model: some VisionModel) -> PartialPass? {
      model.blockCount == 0
        ? nil : PartialPass(model, before: 0, model.embed(images, context))
    }
    return begun(model)
  }
}

/// The network that an architecture's configuration makes of weights.
struct ArchitectureNetwork: ModelNetwork {
  let architecture: Architecture
  let model: any VisionModel
  let parameters: [NamedParameter]

  init(_ architecture: Architecture, _ source: any ParameterSource) throws(ParameterError) {
    let collected = CollectedParameters(source)
    model = try architecture.configuration.makeModel(Scope(collected))
    parameters = collected.collected
    self.architecture = architecture
  }

  var inputShape: ImageShape { architecture.inputShape }

  func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
    try ArchitectureNetwork(architecture, source)
  }
}

extension Architecture {
  /// What its networks take.
  public var inputShape: ImageShape {
    ImageShape(
      height: configuration.imageSize.height, width: configuration.imageSize.width,
      channels: configuration.channels)
  }

  /// The network that it makes of weights.
  public func network(from source: any ParameterSource) throws(ParameterError) -> any Network {
    try ArchitectureNetwork(self, source)
  }
}
