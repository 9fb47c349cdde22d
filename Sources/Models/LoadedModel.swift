import Tensors

/// A model with its weights, and how it came to be.
public struct LoadedModel: Sendable {
  /// The network.
  public let model: any VisionModel
  /// Its architecture, hyper-parameters as found.
  public let architecture: Architecture
  /// How its images are prepared.
  public let preprocessing: Preprocessing
  /// Its parameters and buffers by canonical name, in the order they were asked for.
  public let parameters: [NamedParameter]
  /// What was found in the checkpoint and what was not.
  public let report: LoadReport

  /// The same architecture with other weights: tracked ones, or ones a step away.
  ///
  /// - Parameters:
  ///   - tensors: every parameter and buffer by canonical name, laid out as in ``parameters``.
  public func rebuilt(
    with tensors: [String: Tensor]
  ) throws(ParameterError) -> any VisionModel {
    try architecture.configuration.makeModel(Scope(GivenParameters(tensors)))
  }
}

/// A parameter or buffer with its value.
public struct NamedParameter: Sendable {
  /// Its name, shape and kind.
  public let specification: ParameterSpecification
  /// Its value, laid out as it is used here.
  public let tensor: Tensor
}
