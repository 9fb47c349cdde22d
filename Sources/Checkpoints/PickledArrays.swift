/// Understands the calls by which NumPy pickles an array, and the bytes that stand within the pickle.
struct PickledArrays {
  private typealias Reference = PickleGraph.Reference
  private typealias Global = PickleGraph.Global
  private static let modules: Set = ["numpy.core", "numpy._core"]

  let graph: PickleGraph
  let file: String
  private let copies = Copies()

  /// Bytes copied so far: many names may show the same ones.
  private final class Copies {
    var views: [PickleGraph.Reference: PayloadView] = [:]
  }

  init(graph: PickleGraph, file: String) {
    self.graph = graph
    self.file = file
  }

  /// An array taken apart.
  private struct Array {
    var dtype: ElementType
    var isBigEndian: Bool
    var shape: [Int]
    var isFortranOrder: Bool
    var data: Reference
  }

  /// Whether a value is an array of plain numbers.
  func isArray(_ reference: PickleGraph.Reference) -> Bool { parts(reference) != nil }

  /// Whether a function is one by which NumPy pickles arrays, of numbers or not.
  static func makesArrays(_ function: PickleGraph.Global) -> Bool {
    modules.contains { function.module == $0 + ".multiarray" || function.module == $0 + ".numeric" }
  }

  /// The array as a tensor.
  func tensor(
    _ reference: PickleGraph.Reference, name: String
  ) throws(CheckpointError) -> TensorEntry {
    func failure(_ found: String, _ expected: String) -> CheckpointError {
      CheckpointError(
        .malformed, file: file, place: "array \"\(name)\"", found: found, expected: expected)
    }
    guard let array = parts(reference) else {
      throw failure(graph.kindName(reference), "an array of numbers")
    }
    guard let size = array.dtype.byteCount(shape: array.shape) else {
      throw failure("the shape \(array.shape)", "a size that fits 64 bits")
    }
    let view: PayloadView
    if let kept = copies.views[array.data] {
      view = kept
    } else {
      guard let bytes = Self.bytes(array.data, in: graph, atMost: size) else {
        throw failure(graph.kindName(array.data), "\(size) bytes")
      }
      let memory = try OwnedBytes(count: bytes.count, file: file)
      memory.bytes.copyBytes(from: bytes)
      view = PayloadView(memory)
      copies.views[array.data] = view
    }
    guard view.bytes.count == size else {
      throw failure("\(view.bytes.count) bytes", "\(size) for the shape \(array.shape)")
    }
    let header = NumpyHeader(
      dtype: array.dtype, isBigEndian: array.isBigEndian, isFortranOrder: array.isFortranOrder,
      shape: array.shape)
    return TensorEntry(
      name: name, dtype: array.dtype, shape: array.shape, file: file,
      storage: header.storage(.memory(view)))
  }

  /// `_reconstruct(ndarray, (0,), b"b")` with the state (version, shape, dtype, order, bytes), or, in
  /// protocol 5, `_frombuffer(bytes, dtype, shape, order)`.
  private func parts(_ reference: Reference) -> Array? {
    guard let call = graph.call(reference) else { return nil }
    let path = call.function.module.split(separator: ".")
    guard path.count == 3, Self.modules.contains(path.prefix(2).joined(separator: ".")) else {
      return nil
    }
    switch (path[2], call.function.name, call.arguments.count) {
    case ("multiarray", "_reconstruct", 3):
      guard graph.global(call.arguments[0]) == Global(module: "numpy", name: "ndarray"),
        let state = graph.attached[reference]?.last.flatMap(graph.tuple), state.count == 5,
        let shape = shape(state[1]), let type = elementType(state[2]),
        case .bool(let isFortranOrder) = graph[state[3]]
      else { return nil }
      return Array(
        dtype: type.0, isBigEndian: type.isBigEndian, shape: shape,
        isFortranOrder: isFortranOrder, data: state[4])
    case ("numeric", "_frombuffer", 4):
      guard let type = elementType(call.arguments[1]), let shape = shape(call.arguments[2]),
        let order = graph.string(call.arguments[3]), order == "C" || order == "F"
      else { return nil }
      return Array(
        dtype: type.0, isBigEndian: type.isBigEndian, shape: shape,
        isFortranOrder: order == "F", data: call.arguments[0])
    default: return nil
    }
  }

  private func shape(_ reference: Reference) -> [Int]? {
    guard let items = graph.tuple(reference), items.count <= NumpyHeader.maximumRank else {
      return nil
    }
    let extents = items.compactMap(graph.integer)
    return extents.count == items.count && extents.allSatisfy { $0 >= 0 } ? extents : nil
  }

  /// `dtype("f4", False, True)` with the state (version, order of bytes, …).
  private func elementType(_ reference: Reference) -> (ElementType, isBigEndian: Bool)? {
    guard let call = graph.call(reference),
      call.function == Global(module: "numpy", name: "dtype"),
      let code = call.arguments.first.flatMap(graph.string)
    else { return nil }
    let order = graph.attached[reference]?.last.flatMap(graph.tuple)
      .flatMap { $0.count > 1 ? graph.string($0[1]) : nil }
    return NumpyHeader.elementType(code: code).map { ($0, order == ">") }
  }

  /// Bytes, or text that stands for bytes: protocol 2 writes `_codecs.encode(text, "latin1")`, and
  /// Python 2 a string.
  ///
  /// - Parameter atMost: how many bytes are wanted; of many more, no copy is made.
  static func bytes(
    _ value: PickleGraph.Reference, in graph: PickleGraph, atMost limit: Int
  ) -> [UInt8]? {
    switch graph[value] {
    case .bytes(let bytes): return bytes
    case .string(let text): return latin1(text, atMost: limit)
    default: break
    }
    guard let call = graph.call(value) else { return nil }
    if call.arguments.isEmpty, ["builtins", "__builtin__"].contains(call.function.module),
      ["bytes", "bytearray"].contains(call.function.name)
    {
      return []
    }
    guard call.arguments.count == 2,
      call.function == Global(module: "_codecs", name: "encode"),
      graph.string(call.arguments[1]) == "latin1", let text = graph.string(call.arguments[0])
    else { return nil }
    return latin1(text, atMost: limit)
  }

  private static func latin1(_ text: String, atMost limit: Int) -> [UInt8]? {
    // A character of Latin 1 takes two bytes of UTF-8 at most.
    guard text.utf8.count / 2 <= limit else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(min(limit, text.utf8.count))
    for scalar in text.unicodeScalars {
      guard let byte = UInt8(exactly: scalar.value) else { return nil }
      result.append(byte)
    }
    return result
  }
}
