import Diagnostics
import Glibc
import Models
import Tensors

/// Directions in weight space, tensor by tensor.
enum WeightDirection {
  /// A random direction of a tensor, laid out as the tensor is used.
  ///
  /// - Parameters:
  ///   - axis: which of several directions.
  static func random(
    _ parameter: NamedParameter, _ kind: LandscapeStudy.Direction, seed: UInt64, axis: Int
  ) -> Tensor {
    let specification = parameter.specification
    let name = specification.name
    // As PyTorch stores it, so that a filter is a run of values.
    let own = specification.layout.toStored(parameter.tensor)
    let isPosition = name.contains("pos_embed") || name.contains("relative_position")
    if kind == .hdvw, isPosition { return Tensor(repeating: 0, shape: parameter.tensor.shape) }
    let random = CounterRandom(
      seed: seed, purpose: "landscape direction of \(name)", stream: UInt64(axis))
    var direction = random.normals(own.shape.count)
    let weights = own.values.map(Double.init)
    let filters = max(1, own.shape.rank > 0 ? own.shape[0] : 1)
    let length = weights.count / filters
    func norm(_ values: [Double], _ places: some Sequence<Int>) -> Double {
      places.reduce(0) { $0 + values[$1] * values[$1] }.squareRoot()
    }
    func scale(_ places: some Sequence<Int>, epsilon: Double) {
      let factor = norm(weights, places) / (norm(direction, places) + epsilon)
      for place in places { direction[place] *= factor }
    }
    switch kind {
    case .li:
      for filter in 0..<filters {
        scale((filter * length)..<((filter + 1) * length), epsilon: 1e-10)
      }
    case .hdvw:
      for place in 0..<length {
        scale(stride(from: place, to: weights.count, by: max(1, length)), epsilon: 1e-7)
      }
    case .layer: scale(weights.indices, epsilon: 0)
    case .none, .hessian, .checkpoint, .trajectory: break
    }
    return specification.layout.fromStored(
      Tensor(direction.map(Float.init), shape: own.shape))
  }

  /// The sum of tensors, each times its number, in Float64.
  static func sum(_ tensors: [Tensor], _ coefficients: [Double]) -> Tensor {
    let terms = zip(tensors, coefficients).filter { $0.1 != 0 }
    // Exactly the tensor itself, whatever the others hold.
    if terms.count == 1, terms[0].1 == 1 { return terms[0].0 }
    // In pieces that stay in the cache: there are as many sums as weights.
    var sum = [Double](repeating: 0, count: min(tensors[0].shape.count, 1 << 12))
    return Tensor(shape: tensors[0].shape) { result in
      sum.withUnsafeMutableBufferPointer { sum in
        for start in stride(from: 0, to: result.count, by: max(1, sum.count)) {
          let piece = start..<min(start + sum.count, result.count)
          let own = UnsafeMutableBufferPointer(rebasing: result[piece])
          sum.update(repeating: 0)
          for (tensor, coefficient) in terms {
            tensor.withValues { values in
              let values = UnsafeBufferPointer(rebasing: values[piece])
              for place in own.indices { sum[place] += coefficient * Double(values[place]) }
            }
          }
          for place in own.indices { own[place] = Float(sum[place]) }
        }
      }
    }
  }
}
