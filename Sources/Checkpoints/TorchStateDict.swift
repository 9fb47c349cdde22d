/// Finds the state dict in what a training script saved, and tells its tensors from the rest.
///
/// The order is that of timm's loader: `state_dict_ema` and `model_ema` if averaged weights are
/// wanted, `state_dict`, `model`, `model_state_dict`, else the dictionary itself; twice, since some
/// files wrap one in another.
struct TorchStateDict {
  private typealias Reference = PickleGraph.Reference
  private typealias Pairs = [(key: Reference, value: Reference)]

  private static let averaged = ["state_dict_ema", "model_ema"]
  private static let plain = ["state_dict", "model", "model_state_dict"]
  private static let maximumMetadata = 1000
  /// Values looked at in search of metadata: a pickle may refer to one dictionary many times.
  private static let maximumVisits = 100_000

  let graph: PickleGraph
  let rebuilder: TorchTensorRebuilder
  let file: String

  func contents(preferringEMA: Bool) throws(CheckpointError) -> TorchArchive.Contents {
    guard var pairs = graph.pairs(graph.root) else {
      throw CheckpointError(
        .unsupported, file: file, found: graph.kindName(graph.root),
        expected: "a dictionary of tensors",
        advice: "A whole model is code as well as weights; save model.state_dict() instead")
    }
    var wrappers: [String] = []
    var metadata: [String: String] = [:]
    var hasEMA = false
    for _ in 0..<2 {
      if Self.averaged.contains(where: { isWrapper($0, in: pairs) }) { hasEMA = true }
      let keys = (preferringEMA ? Self.averaged : []) + Self.plain
      guard let key = keys.first(where: { isWrapper($0, in: pairs) }),
        let inner = value(key, in: pairs).flatMap(graph.pairs)
      else { break }
      collect(pairs, into: &metadata)
      wrappers.append(key)
      pairs = inner
    }
    if wrappers.isEmpty { collect(pairs, into: &metadata) }
    let (tensors, skipped) = try tensors(in: pairs, isBare: wrappers.isEmpty)
    let foreign = graph.globals.filter { !TorchTensorRebuilder.isAllowed($0) }
      .map(\.description).sorted()
    guard !tensors.isEmpty || pairs.isEmpty else {
      let keys = pairs.prefix(12).map { graph.string($0.key) ?? graph.kindName($0.key) }
      throw CheckpointError(
        .unsupported, file: file,
        found: "a dictionary without tensors, with the keys \(keys.joined(separator: ", "))"
          + (foreign.isEmpty ? "" : "; it names \(foreign.prefix(8).joined(separator: ", "))"),
        expected: "a state dict, by itself or under state_dict, model or model_state_dict",
        advice: "Save the state dict alone")
    }
    return TorchArchive.Contents(
      tensors: tensors, metadata: metadata,
      report: TorchContents(
        wrappers: wrappers, hasEMA: hasEMA, skipped: skipped, foreignNames: foreign))
  }

  // MARK: Wrappers

  private func value(_ key: String, in pairs: Pairs) -> Reference? {
    // Python keeps the last value given to a key.
    pairs.last { graph.string($0.key) == key }?.value
  }

  /// Whether a key leads to a dictionary with tensors, or to one that wraps such a dictionary.
  private func isWrapper(_ key: String, in pairs: Pairs) -> Bool {
    guard let inner = value(key, in: pairs).flatMap(graph.pairs) else { return false }
    if inner.isEmpty || inner.contains(where: { rebuilder.isTensor($0.value) }) { return true }
    return (Self.averaged + Self.plain).contains { key in
      value(key, in: inner).flatMap(graph.pairs)?.contains { rebuilder.isTensor($0.value) } ?? false
    }
  }

  // MARK: Tensors

  private func tensors(
    in pairs: Pairs, isBare: Bool
  ) throws(CheckpointError) -> ([TensorEntry], [TorchContents.Skipped]) {
    var tensors: [TensorEntry] = []
    var skipped: [TorchContents.Skipped] = []
    var names: Set<String> = []
    for (key, value) in pairs {
      guard let name = graph.string(key), !name.utf8.contains(0) else {
        skipped.append(.init(name: "(\(graph.kindName(key)))", kind: graph.kindName(value)))
        continue
      }
      guard names.insert(name).inserted else {
        throw CheckpointError(
          .malformed, file: file, place: "tensor \"\(name)\"", found: "the name a second time",
          expected: "each name once")
      }
      if rebuilder.isTensor(value) {
        tensors.append(try rebuilder.tensor(value, name: name))
        continue
      }
      if let call = graph.call(value), !isSideData(name, value, isBare: isBare) {
        throw CheckpointError(
          .unsupported, file: file, place: "tensor \"\(name)\"",
          found: "a value made by \(call.function), which is not on the allow-list",
          expected: "a tensor", advice: "Nothing was run. Save the state dict with plain tensors")
      }
      skipped.append(.init(name: name, kind: graph.kindName(value)))
    }
    return (tensors, skipped)
  }

  /// Whether an unknown object may be left aside: one beside the tensors of a bare dictionary, or
  /// a module's extra state, if no tensor depends on it.
  private func isSideData(_ name: String, _ value: Reference, isBare: Bool) -> Bool {
    guard let call = graph.call(value) else { return true }
    guard isBare || name == "_extra_state" || name.hasSuffix("._extra_state") else { return false }
    // The arguments may be shared by many calls; a function takes few.
    return !call.arguments.prefix(16).contains { rebuilder.isTensor($0) }
  }

  // MARK: Metadata

  /// Numbers and text of a training file, and those of its `args` one level down.
  private func collect(_ pairs: Pairs, into metadata: inout [String: String]) {
    var visits = 0
    for (key, value) in pairs {
      guard visits < Self.maximumVisits, metadata.count < Self.maximumMetadata else { return }
      visits += 1
      guard let name = graph.string(key) else { continue }
      if let text = text(value) {
        add(name, text, to: &metadata)
      } else if let fields = fields(of: value) {
        visits += fields.count
        for (key, value) in fields {
          guard let field = graph.string(key), let text = text(value) else { continue }
          add("\(name).\(field)", text, to: &metadata)
        }
      }
    }
  }

  private func add(_ name: String, _ text: String, to metadata: inout [String: String]) {
    if name.utf8.count + text.utf8.count <= 4096 { metadata[name] = text }
  }

  /// The fields of a plain dictionary or of an `argparse.Namespace`.
  private func fields(of value: Reference) -> Pairs? {
    if let call = graph.call(value) {
      guard call.function == PickleGraph.Global(module: "argparse", name: "Namespace") else {
        return nil
      }
      return graph.attached[value]?.last.flatMap(graph.pairs)
    }
    return graph.pairs(value)
  }

  private func text(_ value: Reference) -> String? {
    switch graph[value] {
    case .bool(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .double(let value): value.description
    case .string(let text): text
    case .call: numpyScalar(value)
    default: nil
    }
  }

  /// `numpy.core.multiarray.scalar(dtype, bytes)`: the loss or accuracy of a training script.
  private func numpyScalar(_ value: Reference) -> String? {
    guard let call = graph.call(value), call.function.name == "scalar",
      ["numpy.core.multiarray", "numpy._core.multiarray"].contains(call.function.module),
      call.arguments.count == 2, let type = graph.call(call.arguments[0]),
      type.function == PickleGraph.Global(module: "numpy", name: "dtype"),
      let code = type.arguments.first.flatMap(graph.string),
      let bytes = bytes(call.arguments[1])
    else { return nil }
    return bytes.withUnsafeBytes { bytes -> String? in
      switch (code, bytes.count) {
      case ("f8", 8):
        bytes.littleEndian(UInt64.self, at: 0).map { Double(bitPattern: $0).description }
      case ("f4", 4):
        bytes.littleEndian(UInt32.self, at: 0).map { Float(bitPattern: $0).description }
      case ("i8", 8): bytes.littleEndian(Int64.self, at: 0).map(String.init)
      case ("i4", 4): bytes.littleEndian(Int32.self, at: 0).map(String.init)
      case ("b1", 1): bytes[0] == 0 ? "false" : "true"
      default: nil
      }
    }
  }

  /// Bytes, or text that stands for bytes: protocol 2 writes `_codecs.encode(text, "latin1")`.
  private func bytes(_ value: Reference) -> [UInt8]? {
    if case .bytes(let bytes) = graph[value] { return bytes }
    guard let call = graph.call(value), call.arguments.count == 2,
      call.function == PickleGraph.Global(module: "_codecs", name: "encode"),
      graph.string(call.arguments[1]) == "latin1", let text = graph.string(call.arguments[0]),
      text.utf8.count <= 64
    else { return nil }
    var result: [UInt8] = []
    for scalar in text.unicodeScalars {
      guard let byte = UInt8(exactly: scalar.value) else { return nil }
      result.append(byte)
    }
    return result
  }
}
