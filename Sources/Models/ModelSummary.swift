import Synchronization
import Tensors

/// What a model is and what it costs, from running it on shapes without values.
public struct ModelSummary: Sendable {
  /// A tap and the shape of its value.
  public struct Entry: Sendable {
    /// The tap.
    public let tap: Tap
    /// The shape of its value, images included.
    public let shape: Shape
  }

  /// The architecture.
  public let architecture: Architecture
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
  /// - Parameters:
  ///   - architecture: what to run.
  ///   - batchSize: how many images at once.
  ///   - looking: which taps somebody looks at during the run whose memory is measured; attention maps
  ///     and branches are only made for those who look.
  /// - Throws: ``ModelError`` if the architecture makes no network.
  public init(
    _ architecture: Architecture, batchSize: Int = 1,
    looking: @escaping @Sendable (Tap) -> Bool = { _ in false }
  ) throws(ModelError) {
    let configuration = architecture.configuration
    try configuration.validate()
    let meter = Meter()
    let scope = Scope(AbstractParameters(meter: meter))
    let model: any VisionModel
    do throws(ParameterError) {
      model = try configuration.makeModel(scope)
    } catch {
      throw ModelError(.badArgument, place: architecture.text, found: error.description)
    }
    let weights = meter.liveBytes
    let (size, channels) = (configuration.imageSize, configuration.channels)

    func run(images: Int, _ probe: ShapeProbe, recording: Bool = false) -> Int {
      let before = meter.multiplyAdds
      let values = Tensor(abstract: [images, size.height, size.width, channels], meter: meter)
      _ = model(recording ? values.tracked() : values, Context(probe: probe))
      return meter.multiplyAdds - before
    }
    let measured = ShapeProbe(wanting: looking)
    multiplyAdds = run(images: batchSize, measured) / max(1, batchSize)
    peakActivationBytes = meter.peakBytes - weights
    let before = meter.madeBytes
    _ = run(images: batchSize, measured, recording: true)
    recordedBytes = meter.madeBytes - before
    let all = ShapeProbe { _ in true }
    _ = run(images: batchSize, all)
    taps = all.entries
    // 1 PiB: no machine, and far from where counts end.
    guard !meter.isSaturated, max(meter.peakBytes, recordedBytes) <= 1 << 50 else {
      throw ModelError(
        .badArgument, place: architecture.text, found: "a network too large to be run or counted",
        expected: "at most 1 PiB of values in a pass")
    }
    parameters = scope.requests
    parameterBytes = weights
    self.architecture = architecture
    self.batchSize = batchSize
  }
}

/// Notes the shapes of what it is shown.
private final class ShapeProbe: Probe {
  private let isWanted: (Tap) -> Bool
  private(set) var entries: [ModelSummary.Entry] = []

  init(wanting isWanted: @escaping (Tap) -> Bool) { self.isWanted = isWanted }

  func wants(_ tap: Tap) -> Bool { isWanted(tap) }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    entries.append(.init(tap: tap, shape: value.shape))
    return value
  }
}
