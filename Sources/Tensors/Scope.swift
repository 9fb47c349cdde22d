import Synchronization

/// How a parameter is stored by PyTorch, and how it lies in memory here (channels last).
public enum ParameterLayout: Sendable, Codable {
  /// The same in both.
  case asStored
  /// Stored `[out, in, kh, kw]`; here `[out, kh, kw, in]`.
  case convolution
  /// Stored `[C, 1, kh, kw]`; here `[kh, kw, C]`.
  case depthwise

  /// The shape here of a parameter stored with `shape`.
  public func shape(ofStored shape: Shape) -> Shape {
    switch self {
    case .asStored: shape
    case .convolution: [shape[0], shape[2], shape[3], shape[1]]
    case .depthwise: [shape[2], shape[3], shape[0]]
    }
  }

  /// A stored parameter, laid out as it is used here.
  public func fromStored(_ tensor: Tensor) -> Tensor {
    switch self {
    case .asStored: tensor
    case .convolution: tensor.permuted([0, 2, 3, 1])
    case .depthwise:
      tensor.permuted([2, 3, 0, 1]).reshaped(shape(ofStored: tensor.shape))
    }
  }

  /// A parameter as PyTorch stores it.
  public func toStored(_ tensor: Tensor) -> Tensor {
    switch self {
    case .asStored: tensor
    case .convolution: tensor.permuted([0, 3, 1, 2])
    case .depthwise:
      tensor.reshaped(Shape(tensor.shape.dimensions + [1])).permuted([2, 3, 0, 1])
    }
  }
}

/// How a parameter starts out in a model that was never trained.
public enum Initialization: Sendable, Codable, Equatable {
  /// Normal values of the given standard deviation.
  case normal(Float)
  /// One value everywhere.
  case constant(Float)
  /// Normal values of variance `2 / (out * kh * kw)`, for convolutions before a ReLU (He et al. 2015).
  case heFanOut
}

/// A parameter or buffer that a model asks for.
public struct ParameterSpecification: Sendable, Codable {
  /// The canonical name, `blocks.3.attn.qkv.weight`.
  public let name: String
  /// The shape as PyTorch stores it.
  public let storedShape: [Int]
  /// Where its axes go here.
  public let layout: ParameterLayout
  /// Whether it is a buffer (running statistics): not differentiated by, not counted.
  public let isBuffer: Bool
  /// How it starts out.
  public let initialization: Initialization

  /// A parameter or buffer, as it is stored and as it is used.
  public init(
    name: String, storedShape: [Int], layout: ParameterLayout, isBuffer: Bool,
    initialization: Initialization
  ) {
    (self.name, self.storedShape, self.layout) = (name, storedShape, layout)
    (self.isBuffer, self.initialization) = (isBuffer, initialization)
  }

  /// The shape here.
  public var shape: Shape { layout.shape(ofStored: Shape(storedShape)) }
}

/// Why a parameter could not be had.
public enum ParameterError: Error, Sendable, Equatable, CustomStringConvertible {
  /// There is none of that name.
  case missing(name: String, shape: [Int])
  /// It has another shape.
  case shape(name: String, expected: [Int], found: [Int])
  /// It could not be read.
  case unreadable(name: String, reason: String)

  /// What happened, in a sentence.
  public var description: String {
    switch self {
    case .missing(let name, let shape):
      "no parameter \(name) (expected with shape \(shape))"
    case .shape(let name, let expected, let found):
      "parameter \(name) has shape \(found), expected \(expected)"
    case .unreadable(let name, let reason):
      "parameter \(name) cannot be read: \(reason)"
    }
  }
}

/// Where parameters come from: a checkpoint, a random generator, a list of tracked tensors, nowhere.
public protocol ParameterSource: Sendable {
  /// The parameter, laid out as it is used here: of `specification.shape`.
  func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor
}

/// Hands out the weights of a model by name while it is built, and notes what was asked for.
///
/// `scope["blocks"][3]["attn"].weight("qkv.weight", [3 * d, d])` serves loading, initialising and listing.
public struct Scope: Sendable {
  private final class Ledger: Sendable {
    let requests = Mutex<[ParameterSpecification]>([])
  }

  private let source: any ParameterSource
  private let ledger: Ledger
  private let path: String

  /// The root scope of a source.
  public init(_ source: any ParameterSource) {
    self.source = source
    ledger = Ledger()
    path = ""
  }

  private init(_ parent: Scope, _ component: String) {
    source = parent.source
    ledger = parent.ledger
    path = parent.path + component + "."
  }

  /// The scope one name further down.
  public subscript(_ child: String) -> Scope { Scope(self, child) }

  /// The scope of one member of a list.
  public subscript(_ index: Int) -> Scope { Scope(self, String(index)) }

  /// The canonical name of a parameter below this scope.
  public func name(_ child: String) -> String { path + child }

  /// What was asked for so far, in order.
  public var requests: [ParameterSpecification] { ledger.requests.withLock { $0 } }

  /// A parameter.
  ///
  /// - Parameters:
  ///   - name: below this scope.
  ///   - shape: as PyTorch stores it.
  ///   - layout: where the axes go.
  ///   - initialization: how it starts out in an untrained model.
  /// - Returns: the tensor, laid out as it is used here.
  public func weight(
    _ name: String, _ shape: [Int], layout: ParameterLayout = .asStored,
    _ initialization: Initialization = .normal(0.02)
  ) throws(ParameterError) -> Tensor {
    try request(name, shape, layout, isBuffer: false, initialization)
  }

  /// A buffer: a running statistic.
  public func buffer(
    _ name: String, _ shape: [Int], _ initialization: Initialization
  ) throws(ParameterError) -> Tensor {
    try request(name, shape, .asStored, isBuffer: true, initialization)
  }

  private func request(
    _ name: String, _ shape: [Int], _ layout: ParameterLayout, isBuffer: Bool,
    _ initialization: Initialization
  ) throws(ParameterError) -> Tensor {
    let specification = ParameterSpecification(
      name: self.name(name), storedShape: shape, layout: layout, isBuffer: isBuffer,
      initialization: initialization)
    ledger.requests.withLock { $0.append(specification) }
    let tensor = try source.tensor(for: specification)
    guard tensor.shape == specification.shape else {
      throw .shape(
        name: specification.name, expected: specification.shape.dimensions,
        found: tensor.shape.dimensions)
    }
    return tensor
  }
}

/// Parameters given as tensors by canonical name; to build a model again from other weights.
public struct GivenParameters: ParameterSource {
  private let tensors: [String: Tensor]

  /// A source of the given tensors, laid out as they are used here.
  public init(_ tensors: [String: Tensor]) { self.tensors = tensors }

  /// The tensor of that name.
  public func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    guard let tensor = tensors[specification.name] else {
      throw .missing(name: specification.name, shape: specification.storedShape)
    }
    return tensor
  }
}

/// Parameters with shapes and no values: to count what a model would cost.
public struct AbstractParameters: ParameterSource {
  private let meter: Meter

  /// A source whose tensors are counted by `meter`.
  public init(meter: Meter) { self.meter = meter }

  /// An abstract tensor of the specified shape.
  public func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    Tensor(abstract: specification.shape, meter: meter)
  }
}
