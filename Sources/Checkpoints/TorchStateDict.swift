/// Takes one entry of what a training script saved, and tells its tensors from the rest.
struct TorchStateDict {
  private typealias Reference = PickleGraph.Reference
  private typealias Pairs = [(key: Reference, value: Reference)]

  /// What was read of a file.
  struct Contents {
    var tensors: [TensorEntry]
    var metadata: [String: String]
    var report: TorchContents
  }

  private static let maximumMetadata = 1000
  /// Values looked at in search of metadata: a pickle may refer to one dictionary many times.
  private static let maximumVisits = 100_000

  private let graph: PickleGraph
  private let rebuilder: TorchTensorRebuilder
  private let arrays: PickledArrays
  private let file: String

  init(graph: PickleGraph, storages: TorchStorages) {
    self.graph = graph
    file = storages.file
    rebuilder = TorchTensorRebuilder(graph: graph, storages: storages)
    arrays = PickledArrays(graph: graph, file: storages.file)
  }

  private func isTensor(_ reference: Reference) -> Bool {
    rebuilder.isTensor(reference) || arrays.isArray(reference)
  }

  func contents(_ choice: CheckpointEntry) throws(CheckpointError) -> Contents {
    guard let root = graph.pairs(graph.root) else { throw notADictionary() }
    let entries = TorchEntries(graph: graph, isTensor: isTensor)
    let foreign = graph.globals.filter { !TorchTensorRebuilder.isAllowed($0) }
      .map(\.description).sorted()
    guard let chosen = try entries.choose(choice, file: file) else {
      guard root.isEmpty else { throw noTensors(in: root, foreign) }
      return Contents(
        tensors: [], metadata: [:],
        report: TorchContents(wrappers: [], entries: [], skipped: [], foreignNames: foreign))
    }
    var metadata: [String: String] = [:]
    var pairs = root
    for key in chosen.path {
      collect(pairs, into: &metadata)
      pairs = TorchEntries.value(key, in: pairs, graph).flatMap(graph.pairs) ?? []
    }
    if chosen.path.isEmpty { collect(pairs, into: &metadata) }
    let (tensors, skipped) = try tensors(in: pairs, isBare: chosen.path.isEmpty)
    return Contents(
      tensors: tensors, metadata: metadata,
      report: TorchContents(
        wrappers: chosen.path, entries: entries.found.map(\.described), skipped: skipped,
        foreignNames: foreign))
  }

  // MARK: No state dict

  private func notADictionary() -> CheckpointError {
    if let known = PickledObject.first(in: graph.globals) {
      return CheckpointError(
        .unsupported, file: file, found: known.found, expected: "a dictionary of tensors",
        advice: known.advice)
    }
    return CheckpointError(
      .unsupported, file: file, found: graph.kindName(graph.root),
      expected: "a dictionary of tensors",
      advice: "A whole model is code as well as weights; save model.state_dict() instead")
  }

  private func noTensors(in pairs: Pairs, _ foreign: [String]) -> CheckpointError {
    let keys = pairs.prefix(12).map { graph.string($0.key) ?? graph.kindName($0.key) }
    let names = Set(keys)
    if names.isSuperset(of: ["state", "param_groups"]) {
      return CheckpointError(
        .unsupported, file: file,
        found: "the state of an optimizer alone (state, param_groups), without weights",
        expected: "a state dict", advice: "Name the file that model.state_dict() went to")
    }
    return CheckpointError(
      .unsupported, file: file,
      found: "a dictionary without tensors, with the keys \(keys.joined(separator: ", "))"
        + (foreign.isEmpty ? "" : "; it names \(foreign.prefix(8).joined(separator: ", "))"),
      expected: "a state dict, by itself or under a key", advice: "Save the state dict alone")
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
      if arrays.isArray(value) {
        tensors.append(try arrays.tensor(value, name: name))
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
    guard let call = graph.call(value), !PickledArrays.makesArrays(call.function) else {
      return true
    }
    guard isBare || name == "_extra_state" || name.hasSuffix("._extra_state") else { return false }
    // The arguments may be shared by many calls; a function takes few.
    return !call.arguments.prefix(16).contains(where: isTensor)
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
      let bytes = PickledArrays.bytes(call.arguments[1], in: graph, atMost: 64)
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
}
