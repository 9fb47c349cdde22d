import Synchronization
import Tensors

/// Passes parameters on and keeps them, in order.
final class CollectedParameters: ParameterSource {
  private let source: any ParameterSource
  private let kept = Mutex<[NamedParameter]>([])

  init(_ source: any ParameterSource) { self.source = source }

  var collected: [NamedParameter] { kept.withLock { $0 } }

  func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    let tensor = try source.tensor(for: specification)
    kept.withLock { $0.append(NamedParameter(specification: specification, tensor: tensor)) }
    return tensor
  }
}
