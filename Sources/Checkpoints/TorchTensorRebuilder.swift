/// Understands the calls by which torch pickles a tensor, and checks each view against its storage.
struct TorchTensorRebuilder {
  private typealias Reference = PickleGraph.Reference

  let graph: PickleGraph
  let storages: TorchStorages

  /// Names that are understood or known to be harmless data.
  static func isAllowed(_ global: PickleGraph.Global) -> Bool {
    switch (global.module, global.name) {
    case ("collections", "OrderedDict"), ("collections", "defaultdict"),
      ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"),
      ("torch._utils", "_rebuild_tensor_v3"), ("torch._utils", "_rebuild_parameter"),
      ("torch._utils", "_rebuild_parameter_with_state"),
      ("torch._tensor", "_rebuild_from_type_v2"), ("torch", "Tensor"), ("torch", "Size"),
      ("torch.nn.parameter", "Parameter"), ("torch.nn.parameter", "Buffer"),
      ("torch", "device"), ("torch.storage", "UntypedStorage"),
      ("argparse", "Namespace"), ("_codecs", "encode"), ("numpy", "dtype"), ("numpy", "ndarray"),
      ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
      ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
      ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"):
      true
    case ("torch", let name), ("torch.cuda", let name):
      elementType(storage: name) != nil || elementType(dtype: name) != nil
    default:
      false
    }
  }

  /// Whether a value is a call that torch writes for some kind of tensor.
  func isTensor(_ reference: PickleGraph.Reference) -> Bool {
    guard let function = graph.call(reference)?.function else { return false }
    return function.module == "torch._utils" && function.name.hasPrefix("_rebuild")
      || function.module == "torch._tensor" && function.name.hasPrefix("_rebuild")
  }

  /// The tensor that a call describes.
  func tensor(
    _ reference: PickleGraph.Reference, name: String
  ) throws(CheckpointError) -> TensorEntry {
    var current = reference
    // A parameter of a subclass of a tensor is three calls deep; a chain without end is a cycle.
    for _ in 0..<8 {
      guard let call = graph.call(current) else {
        throw failure(name, graph.kindName(current), "a tensor")
      }
      switch (call.function.module, call.function.name, call.arguments.count) {
      case ("torch._utils", "_rebuild_tensor", 4), ("torch._utils", "_rebuild_tensor_v2", 6...7):
        return try view(call.arguments, dtype: nil, name: name)
      case ("torch._utils", "_rebuild_tensor_v3", 7...8):
        guard let type = graph.global(call.arguments[6]), type.module == "torch",
          let dtype = Self.elementType(dtype: type.name)
        else {
          throw unsupported(
            name, "elements of type \(graph.kindName(call.arguments[6]))", "a type with plain bytes"
          )
        }
        return try view(call.arguments, dtype: dtype, name: name)
      case ("torch._utils", "_rebuild_parameter", 3),
        ("torch._utils", "_rebuild_parameter_with_state", 4):
        current = call.arguments[0]
      case ("torch._tensor", "_rebuild_from_type_v2", 4):
        let inner = try inner(call.arguments, name: name)
        guard let tensor = inner.tensor else {
          return try view(inner.view, dtype: inner.dtype, name: name)
        }
        current = tensor
      default:
        throw unsupported(
          name, "a tensor made by \(call.function) of \(call.arguments.count) arguments",
          "a dense tensor (torch._utils._rebuild_tensor_v2)")
      }
    }
    throw failure(name, "a chain of calls without end", "a tensor")
  }

  /// The tensor inside of `_rebuild_from_type_v2(function, type, arguments, state)`.
  private func inner(
    _ arguments: [Reference], name: String
  ) throws(CheckpointError) -> (tensor: Reference?, view: [Reference], dtype: ElementType?) {
    guard let function = graph.global(arguments[0]), let type = graph.global(arguments[1]),
      let items = graph.tuple(arguments[2])
    else { throw failure(name, "a call without a function's name", "a tensor") }
    guard Self.isAllowed(type) else {
      throw unsupported(name, "a tensor of the class \(type)", "torch.Tensor or a parameter")
    }
    switch (function.module, function.name, items.count) {
    case ("torch._utils", "_rebuild_tensor", 4), ("torch._utils", "_rebuild_tensor_v2", 6...7):
      return (nil, items, nil)
    case ("torch._utils", "_rebuild_tensor_v3", 7...8):
      guard let type = graph.global(items[6]), type.module == "torch",
        let dtype = Self.elementType(dtype: type.name)
      else { throw unsupported(name, "elements of an unknown type", "a type with plain bytes") }
      return (nil, items, dtype)
    case ("torch._utils", "_rebuild_parameter", 3),
      ("torch._utils", "_rebuild_parameter_with_state", 4):
      return (items[0], [], nil)
    default:
      throw unsupported(name, "a tensor made by \(function)", "a dense tensor")
    }
  }

  // MARK: Views

  /// A view from (storage, offset, sizes, strides, …).
  private func view(
    _ arguments: [Reference], dtype: ElementType?, name: String
  ) throws(CheckpointError) -> TensorEntry {
    let storage = try storage(arguments[0], dtype: dtype, name: name)
    guard let offset = graph.integer(arguments[1]), let shape = integers(arguments[2]),
      let strides = integers(arguments[3]), shape.count == strides.count
    else {
      throw failure(
        name, "offset, sizes or strides of another form",
        "integers from 0 on, as many sizes as strides and at most \(StridedView.maximumRank)")
    }
    guard storage.dtype.byteCount(shape: shape) != nil else {
      throw failure(name, "the shape \(shape)", "a size that fits 64 bits")
    }
    guard let span = StridedView.span(shape, strides) else {
      throw failure(name, "the strides \(strides)", "a view that fits 64 bits")
    }
    guard offset >= 0, let start = checkedSum(offset, storage.start),
      let end = checkedSum(offset, span), end <= storage.count
    else {
      throw failure(
        name, "a view of \(span) elements from \(offset) on",
        "one within its storage of \(storage.count)")
    }
    let width = storage.dtype.bits / 8
    var result = TensorStorage(
      origin: storage.place.origin(start * width),
      isBigEndian: storages.isBigEndian && width > 1)
    if span > 0, !StridedView.isDense(shape, strides) {
      let count = shape.reduce(1, *)
      guard count <= max(storage.count, StridedView.maximumExpanded) else {
        throw CheckpointError(
          .limitExceeded, file: storages.file, place: "tensor \"\(name)\"",
          found: "\(count) elements over a storage of \(storage.count)",
          expected: "at most \(StridedView.maximumExpanded) repeated ones")
      }
      result.strides = strides
      result.extent = span * width
    }
    return TensorEntry(
      name: name, dtype: storage.dtype, shape: shape, file: storages.file, storage: result)
  }

  private func integers(_ reference: Reference) -> [Int]? {
    var items = graph.tuple(reference)
    if items == nil, let call = graph.call(reference), call.arguments.count == 1,
      call.function == PickleGraph.Global(module: "torch", name: "Size")
    {
      items = graph.tuple(call.arguments[0])
    }
    // The rank is checked first, since one long tuple may serve many tensors.
    guard let items, items.count <= StridedView.maximumRank else { return nil }
    var result: [Int] = []
    for item in items {
      guard let value = graph.integer(item), value >= 0 else { return nil }
      result.append(value)
    }
    return result
  }

  // MARK: Storages

  /// What a persistent identifier says: ("storage", class, key, location, count), and in the form before
  /// PyTorch 1.6 a part of that storage, or None.
  struct Identifier {
    let key: String
    let type: PickleGraph.Global
    /// Elements of the storage as a whole.
    let count: Int
    /// Elements of the part, and where it starts.
    let part: (start: Int, count: Int)?
  }

  /// Reads a persistent identifier; nil if it has another form.
  static func identifier(_ reference: PickleGraph.Reference, in graph: PickleGraph) -> Identifier? {
    guard case .persistent(let identifier) = graph[reference],
      let parts = graph.tuple(identifier), (5...6).contains(parts.count),
      graph.string(parts[0]) == "storage", let type = graph.global(parts[1]),
      let key = graph.string(parts[2]), let count = graph.integer(parts[4]), count >= 0
    else { return nil }
    guard parts.count == 6 else { return Identifier(key: key, type: type, count: count, part: nil) }
    if case .none = graph[parts[5]] {
      return Identifier(key: key, type: type, count: count, part: nil)
    }
    guard let view = graph.tuple(parts[5]), view.count == 3, let start = graph.integer(view[1]),
      let size = graph.integer(view[2]), start >= 0, size >= 0,
      let end = checkedSum(start, size), end <= count
    else { return nil }
    return Identifier(key: key, type: type, count: count, part: (start, size))
  }

  /// The bytes of one element of a storage; nil if the class says nothing of it.
  static func width(of type: PickleGraph.Global) -> Int? {
    if type.module == "torch.storage", type.name == "UntypedStorage" { return 1 }
    guard ["torch", "torch.cuda"].contains(type.module) else { return nil }
    return elementType(storage: type.name).map { $0.bits / 8 }
  }

  /// A storage from its persistent identifier: where it is, of what, from which element on and how many.
  private func storage(
    _ reference: Reference, dtype: ElementType?, name: String
  ) throws(CheckpointError) -> (
    place: TorchStorages.Place, dtype: ElementType, start: Int, count: Int
  ) {
    guard let identifier = Self.identifier(reference, in: graph) else {
      throw failure(
        name, "a storage reference of another form", "(\"storage\", class, key, location, count)")
    }
    let type = identifier.type
    let isUntyped = type.module == "torch.storage" && type.name == "UntypedStorage"
    let isTyped = type.module == "torch" || type.module == "torch.cuda"
    guard let dtype = isUntyped ? dtype : isTyped ? Self.elementType(storage: type.name) : nil
    else {
      throw unsupported(name, "a storage of class \(type)", "torch.FloatStorage and the like")
    }
    guard let place = storages[identifier.key] else {
      throw CheckpointError(
        .missing, file: storages.file, place: "tensor \"\(name)\"",
        found: "no \(storages.naming(identifier.key))", expected: "the storage of the tensor",
        advice: "Copy or download the file again")
    }
    // An untyped storage is counted in bytes.
    let width = dtype.bits / 8
    guard let size = isUntyped ? identifier.count : checkedProduct([identifier.count, width]),
      size == place.size
    else {
      throw failure(
        name, "\(place.size) bytes in \(storages.naming(identifier.key))",
        "\(identifier.count) elements of \(isUntyped ? 1 : width) bytes")
    }
    guard let part = identifier.part, !isUntyped else { return (place, dtype, 0, size / width) }
    return (place, dtype, part.start, part.count)
  }

  private static func elementType(storage name: String) -> ElementType? {
    switch name {
    case "DoubleStorage": .float64
    case "FloatStorage": .float32
    case "HalfStorage": .float16
    case "BFloat16Storage": .bfloat16
    case "LongStorage": .int64
    case "IntStorage": .int32
    case "ShortStorage": .int16
    case "CharStorage": .int8
    case "ByteStorage": .uint8
    case "BoolStorage": .bool
    case "ComplexFloatStorage": .complex64
    default: nil
    }
  }

  private static func elementType(dtype name: String) -> ElementType? {
    switch name {
    case "float64": .float64
    case "float32": .float32
    case "float16": .float16
    case "bfloat16": .bfloat16
    case "int64": .int64
    case "int32": .int32
    case "int16": .int16
    case "int8": .int8
    case "uint64": .uint64
    case "uint32": .uint32
    case "uint16": .uint16
    case "uint8": .uint8
    case "bool": .bool
    case "complex64": .complex64
    case "float8_e4m3fn": .float8E4M3
    case "float8_e5m2": .float8E5M2
    case "float8_e4m3fnuz": .float8E4M3FNUZ
    case "float8_e5m2fnuz": .float8E5M2FNUZ
    case "float8_e8m0fnu": .float8E8M0
    default: nil
    }
  }

  // MARK: Errors

  private func failure(_ name: String, _ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: storages.file, place: "tensor \"\(name)\"", found: found,
      expected: expected)
  }

  private func unsupported(
    _ name: String, _ found: String, _ expected: String,
    advice: String = "Save the state dict with dense tensors of plain types"
  ) -> CheckpointError {
    CheckpointError(
      .unsupported, file: storages.file, place: "tensor \"\(name)\"", found: found,
      expected: expected, advice: advice)
  }
}
