import Tensors

/// What a model is and what it costs, from running it on shapes without values.
public struct ModelSummary: Sendable {
  /// A tap and the shape of its value.
  public struct Entry: Sendable {
    /// The tap.
    public let tap: Tap
    /// The shape of its value, images included.
    public let shape: Shape
    /// The block that it lies in, from 0; nil before the first, and in a network without blocks.
    public let block: Int?
  }

  /// What the network takes.
  public let inputShape: ImageShape
  /// How many classes it tells apart; nil without a head.
  public let classCount: Int?
  /// Images that went through at once.
  public let batchSize: Int
  /// Every tap in the order of the forward pass, optional ones included.
  public let taps: [Entry]
  /// Parameters and buffers in the order they are asked for.
  public let parameters: [ParameterSpecification]
  /// Multiply-adds for one image.
  public let multiplyAdds: Int
  /// Bytes of the weights as the model holds them, as 32-bit floats.
  public let parameterBytes: Int
  /// The most bytes that activations take up at one time, the images included.
  public let peakActivationBytes: Int
  /// Bytes of all values that a pass makes when it is recorded to be differentiated.
  public let recordedBytes: Int

  /// Number of parameters; buffers are not counted.
  public var parameterCount: Int {
    parameters.reduce(0) { $1.isBuffer ? $0 : $0 + $1.shape.count }
  }

  /// Number of values in buffers.
  public var bufferCount: Int {
    parameters.reduce(0) { $1.isBuffer ? $0 + $1.shape.count : $0 }
  }

  /// The taps of a standard ordering.
  public func taps(_ role: Tap.Roles) -> [Entry] { taps.filter { $0.tap.roles.contains(role) } }

  /// Runs an architecture on shapes.
  ///
  /// - Parameters: as for a network.
  /// - Throws: ``ModelError`` if the architecture makes no network, or one too large to be counted.
  public init(
    _ architecture: Architecture, batchSize: Int = 1,
    looking: @escaping @Sendable (Tap) -> Bool = { _ in false }
  ) throws(ModelError) {
    try architecture.configuration.validate()
    try self.init(of: architecture.text, batchSize: batchSize, looking: looking) {
      source throws(ParameterError) in try architecture.network(from: source)
    }
  }

  /// Runs a network on shapes.
  ///
  /// - Parameters:
  ///   - network: what to run.
  ///   - batchSize: how many images at once.
  ///   - looking: which taps somebody looks at during the run whose memory is measured; attention maps
  ///     and branches are only made for those who look.
  /// - Throws: ``ModelError`` if it cannot be built from shapes, or is too large to be counted.
  public init(
    _ network: any Network, batchSize: Int = 1,
    looking: @escaping @Sendable (Tap) -> Bool = { _ in false }
  ) throws(ModelError) {
    try self.init(of: "the network", batchSize: batchSize, looking: looking) {
      source throws(ParameterError) in try network.rebuilt(from: source)
    }
  }

  private init(
    of place: String, batchSize: Int, looking: @escaping (Tap) -> Bool,
    build: (any ParameterSource) throws(ParameterError) -> any Network
  ) throws(ModelError) {
    let meter = Meter()
    let network: any Network
    do throws(ParameterError) {
      network = try build(AbstractParameters(meter: meter))
    } catch {
      throw ModelError(.badArgument, place: place, found: error.description)
    }
    let weights = meter.liveBytes
    let input = network.inputShape

    func run(images: Int, _ probe: ShapeProbe, recording: Bool = false) -> Int {
      let before = meter.multiplyAdds
      let values = Tensor(
        abstract: [images, input.height, input.width, input.channels], meter: meter)
      _ = network(recording ? values.tracked() : values, Context(probe: probe))
      return meter.multiplyAdds - before
    }
    let measured = ShapeProbe(wanting: looking)
    multiplyAdds = run(images: batchSize, measured) / max(1, batchSize)
    peakActivationBytes = meter.peakBytes - weights
    let before = meter.madeBytes
    _ = run(images: batchSize, measured, recording: true)
    recordedBytes = meter.madeBytes - before
    let all = ShapeProbe { _ in true }
    all.look(
      at: network,
      Tensor(abstract: [batchSize, input.height, input.width, input.channels], meter: meter))
    taps = all.entries
    // 1 PiB: no machine, and far from where counts end.
    guard !meter.isSaturated, max(meter.peakBytes, recordedBytes) <= 1 << 50 else {
      throw ModelError(
        .badArgument, place: place, found: "a network too large to be run or counted",
        expected: "at most 1 PiB of values in a pass")
    }
    parameters = network.parameters.map(\.specification)
    parameterBytes = weights
    inputShape = input
    classCount = network.classCount
    self.batchSize = batchSize
  }
}

/// Notes the shapes of what it is shown.
private final class ShapeProbe: Probe {
  private let isWanted: (Tap) -> Bool
  private(set) var entries: [ModelSummary.Entry] = []
  private var block: Int?

  init(wanting isWanted: @escaping (Tap) -> Bool) { self.isWanted = isWanted }

  func wants(_ tap: Tap) -> Bool { isWanted(tap) }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    entries.append(.init(tap: tap, shape: value.shape, block: block))
    return value
  }

  /// Runs a network block by block, where it has some.
  func look(at network: any Network, _ images: Tensor) {
    let context = Context(probe: self)
    guard var pass = network.begin(images, context) else {
      _ = network(images, context)
      return
    }
    block = pass.block
    while pass.block + 1 < pass.blockCount {
      pass = pass.next(context)
      block = pass.block
    }
    _ = pass.finish(context)
  }
}
