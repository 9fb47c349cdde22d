/// Reads an ONNX model: its graph as an ``ExportedProgram`` whose operations are called `onnx.Conv`, and its
/// initializers as tensors.
///
/// Inputs of an operation are its arguments "0", "1", …; attributes have their own names. Values of attributes and of
/// `Constant` are tensors of the file like others.
struct ONNXGraphReader {
  /// The versions of the operations that are known.
  static let opsets = 13...20

  let file: MappedFile
  let neighbours: ONNXNeighbours
  var names: ValueNames
  var tensors: [TensorEntry] = []
  var inputs: [ExportedProgram.Input] = []
  var values: [String: ExportedProgram.Value] = [:]
  var uses = ONNXUses()
  var scopes = ONNXScopes()
  var placement = ONNXPlacement()

  init(_ file: MappedFile) {
    self.file = file
    neighbours = ONNXNeighbours(of: file.path)
    names = ValueNames { [path = file.path] place, found, expected in
      CheckpointError(.malformed, file: path, place: place, found: found, expected: expected)
    }
  }

  /// The graph and every tensor of the model.
  static func contents(
    _ file: MappedFile
  ) throws(CheckpointError) -> Contents {
    defer { withExtendedLifetime(file) {} }
    var reader = ONNXGraphReader(file)
    let program = try reader.model()
    return Contents(
      program: program, tensors: reader.tensors, files: [file.path] + reader.neighbours.paths,
      notes: reader.uses.notes + reader.placement.notes)
  }

  /// What a model holds.
  struct Contents {
    let program: ExportedProgram
    let tensors: [TensorEntry]
    /// Those that hold the tensors.
    let files: [String]
    /// What a reader of the results should know.
    let notes: [String]
  }

  // MARK: The model

  private mutating func model() throws(CheckpointError) -> ExportedProgram {
    var reader = ProtobufReader("ModelProto", file.bytes, of: file)
    var (producer, version, opset) = ("", "", Int?.none)
    var graph: ProtobufField?
    while let field = try reader.next() {
      switch field.number {
      case 1, 5: _ = try field.integer()
      case 2: producer = try field.text()
      case 3: version = try field.text()
      case 4, 6, 14: _ = try field.bytes()
      case 7:
        guard graph == nil else { throw failure("model", "a second graph", "one") }
        graph = field
      case 8:
        let (domain, number) = try Self.operatorSet(field)
        if domain.isEmpty || domain == "ai.onnx" { opset = number }
      case 20: throw unsupported("model", "a graph for training", "one for inference")
      // Functions: an operation of theirs is of no known domain.
      case 25: _ = try field.bytes()
      // Where it would run.
      case 26: _ = try field.bytes()
      default: throw field.unknown
      }
    }
    guard let graph else { throw failure("model", "no graph", "one") }
    guard let opset, Self.opsets.contains(opset) else {
      throw CheckpointError(
        .unsupported, file: file.path,
        found: opset.map { "operations of version \($0) (opset)" } ?? "no version of operations",
        expected: "\(Self.opsets.lowerBound) to \(Self.opsets.upperBound)",
        advice: "Export the model with opset_version=18, or convert it with onnx.version_converter")
    }
    return try self.graph(graph, opset: opset, producer: "\(producer) \(version)")
  }

  private static func operatorSet(
    _ field: ProtobufField
  ) throws(CheckpointError) -> (domain: String, version: Int) {
    var reader = try field.reader("OperatorSetIdProto")
    var (domain, version) = ("", 0)
    while let field = try reader.next() {
      switch field.number {
      case 1: domain = try field.text()
      case 2: version = try field.integer()
      default: throw field.unknown
      }
    }
    return (domain, version)
  }

  /// Key and value.
  static func pair(_ field: ProtobufField) throws(CheckpointError) -> (key: String, value: String) {
    var reader = try field.reader("StringStringEntryProto")
    var (key, value) = ("", "")
    while let field = try reader.next() {
      switch field.number {
      case 1: key = try field.text()
      case 2: value = try field.text()
      default: throw field.unknown
      }
    }
    return (key, value)
  }

  // MARK: The graph

  private mutating func graph(
    _ field: ProtobufField, opset: Int, producer: String
  ) throws(CheckpointError) -> ExportedProgram {
    var reader = try field.reader("GraphProto")
    var (nodes, initializers): ([ProtobufField], [ProtobufField]) = ([], [])
    var (given, results, told): ([ProtobufField], [ProtobufField], [ProtobufField]) = ([], [], [])
    while let field = try reader.next() {
      switch field.number {
      case 1: nodes.append(field)
      case 2, 10, 16: _ = try field.bytes()
      case 5: initializers.append(field)
      case 11: given.append(field)
      case 12: results.append(field)
      case 13: told.append(field)
      case 14: throw unsupported("graph", "quantised tensors", "floats")
      case 15: throw unsupported("graph", "sparse initializers", "dense ones")
      default: throw field.unknown
      }
      guard max(nodes.count, initializers.count, told.count) <= ExportedProgram.maximumNodes else {
        throw CheckpointError(
          .limitExceeded, file: file.path, place: "graph",
          found: "more than \(ExportedProgram.maximumNodes) operations or tensors",
          expected: "at most so many")
      }
    }
    var stored: [(entry: TensorEntry, metadata: [String: String])] = []
    /// Which of them has a name.
    var places: [String: Int] = [:]
    for field in initializers {
      let tensor = try ONNXTensor(field, neighbours)
      try names.define(tensor.name, "initializer \"\(tensor.name)\"")
      places[tensor.name] = stored.count
      stored.append((try tensor.entry(named: tensor.name), tensor.metadata))
    }
    for field in told {
      let info = try ONNXValueInfo(field, file)
      if info.value?.isFixed ?? false { values[info.name] = info.value }
      if let place = places[info.name] {
        stored[place].metadata.merge(info.metadata) { own, _ in own }
      }
    }
    for field in given {
      let info = try ONNXValueInfo(field, file)
      // Before version 4 of the format initializers are inputs, too.
      guard places[info.name] == nil else { continue }
      try names.define(info.name, "input \"\(info.name)\"")
      inputs.append(.user(info.name))
      values[info.name] = info.value
    }
    var program: [ExportedProgram.Node] = []
    program.reserveCapacity(nodes.count)
    for (index, field) in nodes.enumerated() {
      if let node = try node(field, index) { program.append(node) }
    }
    for (entry, metadata) in stored { inputs.append(input(entry, metadata)) }
    tensors = stored.map(\.entry) + tensors
    var outputs: [ExportedProgram.Output] = []
    for field in results {
      let info = try ONNXValueInfo(field, file)
      try names.require(.tensor(info.name), "output \"\(info.name)\"")
      if values[info.name] == nil, info.value?.isFixed ?? false { values[info.name] = info.value }
      // Names of values are the exporter's own, unless the user gave them.
      outputs.append(
        .user(.tensor(info.name), key: info.name == "logits" ? info.name : nil))
    }
    return placement.applied(
      to: ExportedProgram(
        member: "", writer: .onnx(producer: producer, opset: opset), inputs: inputs,
        outputs: outputs, nodes: program, values: values, modules: scopes.modules(of: program)))
  }

  /// What an initializer is: as the exporter says, or else as it is used.
  private mutating func input(
    _ entry: TensorEntry, _ metadata: [String: String]
  ) -> ExportedProgram.Input {
    let name = entry.name
    switch metadata["pkg.torch.export.graph_signature.InputSpec.kind"] {
    case "PARAMETER": return .parameter(name, tensor: name)
    case "BUFFER": return .buffer(name, tensor: name)
    case .some: return .constant(name, tensor: name)
    case nil: break
    }
    switch uses.kind(of: entry) {
    case .weight: return .parameter(name, tensor: name)
    case .statistics: return .buffer(name, tensor: name)
    case .other:
      uses.noteConstant(entry)
      return .constant(name, tensor: name)
    }
  }

  // MARK: Errors

  func failure(_ place: String, _ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(.malformed, file: file.path, place: place, found: found, expected: expected)
  }

  func unsupported(_ place: String, _ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(.unsupported, file: file.path, place: place, found: found, expected: expected)
  }
}

/// What a graph says of a value: its name, and type and extents where these are told.
struct ONNXValueInfo {
  private(set) var name = ""
  /// Type and extents; nil where one of them is not told, and for what is no tensor.
  private(set) var value: ExportedProgram.Value?
  private(set) var metadata: [String: String] = [:]

  init(_ field: ProtobufField, _ file: MappedFile) throws(CheckpointError) {
    var reader = try field.reader("ValueInfoProto")
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try field.text()
      case 2: value = try Self.type(field)
      case 3: _ = try field.bytes()
      case 4:
        let pair = try ONNXGraphReader.pair(field)
        metadata[pair.key] = pair.value
      default: throw field.unknown
      }
    }
  }

  private static func type(
    _ field: ProtobufField
  ) throws(CheckpointError) -> ExportedProgram.Value? {
    var reader = try field.reader("TypeProto")
    var value: ExportedProgram.Value?
    while let field = try reader.next() {
      switch field.number {
      case 1: value = try tensor(field)
      // Sequences, maps, optional and sparse values: no operation that is known takes one.
      case 4, 5, 6, 7, 8, 9: _ = try field.bytes()
      default: throw field.unknown
      }
    }
    return value
  }

  private static func tensor(
    _ field: ProtobufField
  ) throws(CheckpointError) -> ExportedProgram.Value? {
    var reader = try field.reader("TypeProto.Tensor")
    var dtype: ElementType?
    var sizes: [ExportedProgram.Extent?]?
    while let field = try reader.next() {
      switch field.number {
      case 1: dtype = ElementType(onnxCode: try field.integer())
      case 2:
        var shape = try field.reader("TensorShapeProto")
        var extents: [ExportedProgram.Extent?] = []
        while let field = try shape.next() {
          guard field.number == 1 else { throw field.unknown }
          extents.append(try extent(field))
        }
        sizes = extents
      default: throw field.unknown
      }
    }
    guard let dtype, let sizes, sizes.count <= StridedView.maximumRank else { return nil }
    return ExportedProgram.Value(
      dtype: dtype, sizes: sizes.map { $0 ?? .symbolic("?") })
  }

  private static func extent(
    _ field: ProtobufField
  ) throws(CheckpointError) -> ExportedProgram.Extent? {
    var reader = try field.reader("TensorShapeProto.Dimension")
    var extent: ExportedProgram.Extent?
    while let field = try reader.next() {
      switch field.number {
      case 1:
        let value = try field.integer()
        // Some exporters write what was left open as -1.
        extent = value < 0 ? nil : .fixed(value)
      case 2: extent = .symbolic(try field.text())
      case 3: _ = try field.bytes()
      default: throw field.unknown
      }
    }
    return extent
  }
}
