import Checkpoints
import Tensors

/// Parameters and buffers of the file as values of a graph.
extension GraphCompiler {
  /// A parameter or buffer as a value, laid out as is best where it is first used.
  ///
  /// - Parameter ofConvolution: whether its axes `[out, in, kh, kw]` lie with the inputs last.
  func value(
    of stored: StoredTensor, ofConvolution isConvolution: Bool = false
  ) throws(GraphError) -> GraphValue {
    let entry = stored.entry
    if let value = loaded[entry.name] { return value }
    if let twin = shared.first(where: { $0.entry.isSameData(as: entry) }) {
      loaded[entry.name] = twin.value
      return twin.value
    }
    switch entry.dtype {
    case .float32: break
    case .float64, .float16, .bfloat16: noteConversion(entry.dtype)
    default:
      throw GraphError(
        "the tensor \(entry.name) of type \(entry.dtype) among floats",
        expected: "weights of floating point",
        advice:
          "Quantised weights mean nothing without their scales: export the model before it is quantised"
      )
    }
    let specification = ParameterSpecification(
      name: entry.name, storedShape: entry.shape, layout: isConvolution ? .convolution : .asStored,
      isBuffer: !stored.isParameter,
      initialization: .normal(0.02))
    let slot = newSlot(Tensor(abstract: specification.shape, meter: meter))
    plan.parameters.append((slot, specification))
    let value = GraphValue(
      slot: slot, dimensions: entry.shape,
      order: isConvolution ? [0, 2, 3, 1] : Array(0..<entry.shape.count), batchAxis: nil)
    if !isConvolution, stored.isConstant, entry.count <= Self.maximumFolded {
      tables[slot] = stored
    }
    loaded[entry.name] = value
    shared.append((entry, value))
    return value
  }

  private func noteConversion(_ type: ElementType) {
    let note = "weights of type \(type) are computed with as 32-bit floats"
    if !notes.contains(note) { notes.append(note) }
  }

  /// What is known of an operand; nil for what depends on images or parameters.
  func known(_ operand: GraphOperand) throws(GraphError) -> HostArray? {
    switch operand {
    case .known(let array): return array
    case .value(let value):
      guard let tensor = folded[value.slot] else { return nil }
      let axes = (0..<value.rank).map { axis in value.order.firstIndex(of: axis) ?? 0 }
      return HostArray(.float32, value.memory, tensor.values.map(Double.init)).permuted(axes)
    case .stored(let stored)
    where !stored.isParameter && (stored.isConstant || loaded[stored.entry.name] == nil):
      let entry = stored.entry
      guard let kind = HostArray.Kind(entry.dtype) else { return nil }
      seen.insert(entry.name)
      _ = try HostArray.count(entry.shape)
      do {
        if kind == .integer, entry.dtype == .int64 || entry.dtype == .int32 {
          return HostArray(kind, entry.shape, try Self.integers(entry))
        }
        return HostArray(kind, entry.shape, try entry.floats().map(Double.init))
      } catch {
        throw GraphError("\(error)")
      }
    default: return nil
    }
  }

  /// Whole numbers beyond what a Float holds.
  private static func integers(_ entry: TensorEntry) throws(CheckpointError) -> [Double] {
    let payload = try entry.payload()
    return payload.withBytes { bytes in
      (0..<entry.count).map { index in
        entry.dtype == .int64
          ? Double(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self))
          : Double(bytes.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self))
      }
    }
  }
}

extension ElementType {
  /// Whether elements are of floating point, as networks compute with.
  var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    default: false
    }
  }
}
