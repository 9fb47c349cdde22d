import Tensors

/// A model with its weights, and how it came to be.
public struct LoadedModel: ModelNetwork {
  /// The forward pass.
  public let model: any VisionModel
  /// Its architecture, hyper-parameters as found.
  public let architecture: Architecture
  /// How its images are prepared.
  public let preprocessing: Preprocessing
  /// Its parameters and buffers by canonical name, in the order they were asked for.
  public let parameters: [NamedParameter]
  /// What was found in the checkpoint and what was not.
  public let report: LoadReport

  /// What it takes.
  public var inputShape: ImageShape { architecture.inputShape }

  /// The same architecture with other weights.
  public func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
    try architecture.network(from: source)
  }
}

/// A parameter or buffer with its value.
public struct NamedParameter: Sendable {
  /// Its name, shape and kind.
  public let specification: ParameterSpecification
  /// Its value, laid out as it is used here.
  public let tensor: Tensor

  /// A parameter with its value.
  public init(specification: ParameterSpecification, tensor: Tensor) {
    self.specification = specification
    self.tensor = tensor
  }
}
