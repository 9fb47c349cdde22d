import Checkpoints
import Synchronization
import Tensors

/// Parameters read from a checkpoint through a key mapping.
///
/// Values that lie in the file as they are used (F32, aligned, not transposed) are not copied.
public final class CheckpointParameters: ParameterSource {
  private let view: WeightsView
  private let used = Mutex<Set<String>>([])

  /// Parameters of the given weights.
  public init(_ view: WeightsView) { self.view = view }

  /// Names, as in the file, of the tensors that were asked for so far.
  var usedNames: Set<String> { used.withLock { $0 } }

  /// The parameter, laid out as it is used here.
  public func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    let (name, wanted) = (specification.name, specification.storedShape)
    guard let found = view.find(name) else { throw .missing(name: name, shape: wanted) }
    used.withLock { used in for entry in found.entries { used.insert(entry.name) } }
    let parts = try found.entries.map { entry throws(ParameterError) in
      laidOut(try Self.values(entry), found.transform)
    }
    guard let first = parts.first, let shape = view.shape(name) else {
      throw .missing(name: name, shape: wanted)
    }
    let whole: Tensor
    if parts.count == 1 {
      whole = first
    } else {
      let rest = first.shape.dimensions.dropFirst()
      guard parts.allSatisfy({ $0.shape.rank > 0 && $0.shape.dimensions.dropFirst() == rest })
      else { throw .shape(name: name, expected: wanted, found: shape) }
      whole = Tensor.concatenated(parts, axis: 0)
    }
    let stored = try fit(whole, specification, found.transform)
    return specification.layout.fromStored(stored)
  }

  /// A tensor whose outputs are the last axes, as PyTorch would store it.
  private func laidOut(_ tensor: Tensor, _ transform: KeyMapping.Transform) -> Tensor {
    guard case .outputsLast = transform else { return tensor }
    if tensor.shape.rank == 4 { return tensor.permuted([3, 2, 0, 1]) }
    let shape = transform.shape(tensor.shape.dimensions)
    if shape.count == 1 { return tensor.reshaped(Shape(shape)) }
    return tensor.reshaped([shape[1], shape[0]]).permuted([1, 0])
  }

  /// `tensor` with the shape PyTorch would store it in.
  private func fit(
    _ tensor: Tensor, _ specification: ParameterSpecification, _ transform: KeyMapping.Transform
  ) throws(ParameterError) -> Tensor {
    let wanted = specification.storedShape
    let found = tensor.shape.dimensions
    if found == wanted {
      switch transform {
      case .rows, .outputsLast: return tensor
      case .reshaped, .channelsLastPatch: break
      }
    }
    let isMatrix = found.count == 2 && wanted.count == 4 && found.first == wanted.first
    if tensor.shape.count == Shape(wanted).count {
      switch transform {
      case .rows, .outputsLast: break
      case .reshaped:
        // A matrix for a kernel, or a kernel of extent 1 for a matrix.
        let isPointwise =
          found.prefix(2) == wanted[...] && found.dropFirst(2).allSatisfy { $0 == 1 }
        func long(_ shape: [Int]) -> [Int] { shape.filter { $0 != 1 } }
        if found == wanted || isMatrix || isPointwise || long(found) == long(wanted) {
          return tensor.reshaped(Shape(wanted))
        }
      case .channelsLastPatch:
        if isMatrix {
          return tensor.reshaped([wanted[0], wanted[2], wanted[3], wanted[1]])
            .permuted([0, 3, 1, 2])
        }
      }
    }
    throw .shape(name: specification.name, expected: wanted, found: found)
  }

  /// A tensor of a file, in place where its values lie there as they are used.
  static func values(_ entry: TensorEntry) throws(ParameterError) -> Tensor {
    switch entry.dtype {
    case .float64, .float32, .float16, .bfloat16: break
    default:
      throw .unreadable(
        name: entry.name,
        reason: "elements of type \(entry.dtype); expected weights of floating point (F32, F16, "
          + "BF16, F64). Quantised weights mean nothing without their scales: use the weights "
          + "before they were quantised")
    }
    do {
      let shape = Shape(entry.shape)
      if entry.dtype == .float32 {
        let payload = try entry.payload()
        if payload.isAligned(to: MemoryLayout<Float>.alignment) {
          return Tensor(
            borrowing: payload.bytes.assumingMemoryBound(to: Float.self), shape: shape,
            owner: payload.owner)
        }
      }
      var failure: CheckpointError?
      let tensor = Tensor(shape: shape) { buffer in
        do throws(CheckpointError) { try entry.copyFloats(into: buffer) } catch { failure = error }
      }
      if let failure { throw failure }
      return tensor
    } catch {
      throw .unreadable(name: entry.name, reason: "\(error)")
    }
  }
}
