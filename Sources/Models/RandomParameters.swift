import Tensors

/// Parameters of a model that was never trained, from a seed. The value at an index depends on the
/// seed, the parameter's name and the index (in PyTorch's order) alone.
public struct RandomParameters: ParameterSource {
  private let seed: UInt64

  /// Parameters made from a seed.
  public init(seed: UInt64) { self.seed = seed }

  /// The parameter, laid out as it is used here.
  public func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    let shape = Shape(specification.storedShape)
    let deviation: Double
    switch specification.initialization {
    case .constant(let value): return Tensor(repeating: value, shape: specification.shape)
    case .normal(let value): deviation = Double(value)
    case .heFanOut:
      let fanOut = shape.count / max(1, shape.rank > 1 ? shape[1] : 1)
      deviation = (2 / Double(max(1, fanOut))).squareRoot()
    }
    let random = CounterRandom(seed: seed, purpose: specification.name)
    let stored = Tensor(shape: shape) { buffer in
      nonisolated(unsafe) let buffer = buffer
      let chunk = 1 << 14
      Threads.forEach((buffer.count + chunk - 1) / chunk) { part in
        for index in (part * chunk)..<min(buffer.count, (part + 1) * chunk) {
          buffer[index] = Float(deviation * random.normal(at: UInt64(index)))
        }
      }
    }
    return specification.layout.fromStored(stored)
  }
}
