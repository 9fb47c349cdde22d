/// Operations of an ONNX model.
extension ONNXGraphReader {
  /// One `NodeProto`; nil for a constant, which is a tensor of the file.
  mutating func node(
    _ field: ProtobufField, _ index: Int
  ) throws(CheckpointError) -> ExportedProgram.Node? {
    var reader = try field.reader("NodeProto")
    var (read, made, attributes): ([String], [String], [ProtobufField]) = ([], [], [])
    var (name, operation, domain, overload) = ("", "", "", "")
    var metadata: [String: String] = [:]
    while let field = try reader.next() {
      switch field.number {
      case 1: read.append(try field.text())
      case 2: made.append(try field.text())
      case 3: name = try field.text()
      case 4: operation = try field.text()
      case 5: attributes.append(field)
      case 6, 10: _ = try field.bytes()
      case 7: domain = try field.text()
      case 8: overload = try field.text()
      case 9:
        let pair = try Self.pair(field)
        metadata[pair.key] = pair.value
      default: throw field.unknown
      }
    }
    let place = "node \(index) (\(operation)\(name.isEmpty ? "" : " \"\(name)\""))"
    guard !operation.isEmpty,
      operation.utf8.allSatisfy({ (48...57 ~= $0) || (65...90 ~= $0 & 0xDF) || $0 == 95 })
    else { throw failure(place, "an operation of this name", "letters and digits") }
    let isKnownDomain = (domain.isEmpty || domain == "ai.onnx") && overload.isEmpty
    var arguments: [ExportedProgram.NamedArgument] = []
    for (index, name) in read.enumerated() {
      let value: ExportedProgram.Argument = name.isEmpty ? .none : .tensor(name)
      try names.require(value, place)
      arguments.append(.init(name: "\(index)", value: value))
    }
    let isConstant = isKnownDomain && operation == "Constant" && made.count == 1 && read.isEmpty
    var constant: TensorEntry?
    var seen: Set<String> = []
    for field in attributes {
      var attribute = ONNXAttribute(place)
      try attribute.read(field, neighbours)
      guard seen.insert(attribute.name).inserted else {
        throw failure(place, "the attribute \"\(attribute.name)\" a second time", "each once")
      }
      if isConstant {
        constant = try attribute.entry(named: made[0], file)
        continue
      }
      arguments.append(
        .init(
          name: attribute.name, value: try argument(attribute, of: made.first ?? "\(index)", place))
      )
    }
    if isConstant, let constant {
      try names.define(made[0], place)
      tensors.append(constant)
      inputs.append(.constant(made[0], tensor: made[0]))
      return nil
    }
    for name in made where !name.isEmpty { try names.define(name, place) }
    let told = scopes.modules(of: metadata, node: name)
    if told == nil { placement.note(made) }
    let modules = told ?? []
    if isKnownDomain { uses.note(operation, read, made, modules.last?.module ?? name) }
    return ExportedProgram.Node(
      target: isKnownDomain ? "onnx.\(operation)" : "\(domain)::\(operation)",
      arguments: arguments, outputs: made.map { $0.isEmpty ? .none : .tensor($0) },
      modules: modules)
  }

  /// An attribute as an argument; a tensor in it is a constant of its own.
  private mutating func argument(
    _ attribute: ONNXAttribute, of value: String, _ place: String
  ) throws(CheckpointError) -> ExportedProgram.Argument {
    guard let tensor = attribute.tensor else { return attribute.argument }
    let name = "\(value)#\(attribute.name)"
    try names.define(name, place)
    tensors.append(try tensor.entry(named: name))
    inputs.append(.constant(name, tensor: name))
    return .tensor(name)
  }
}

/// One `AttributeProto`.
struct ONNXAttribute {
  private(set) var name = ""
  private(set) var tensor: ONNXTensor?
  private let place: String
  private var type = 0
  private var (float, integer) = (Float(0), 0)
  private var text: String?
  private var floats: [Float] = []
  private var integers: [Int] = []
  private var texts: [String] = []
  private var other: String?

  init(_ place: String) { self.place = place }

  mutating func read(
    _ field: ProtobufField, _ neighbours: ONNXNeighbours
  ) throws(CheckpointError) {
    var reader = try field.reader("AttributeProto")
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try field.text()
      case 2: float = try field.float()
      case 3: integer = try field.integer()
      case 4: text = try field.text()
      case 5: tensor = try ONNXTensor(field, neighbours)
      case 6, 11: (other, _) = ("a graph within the graph", try field.bytes())
      case 7: try field.appendFloats(to: &floats)
      case 8: try field.appendIntegers(to: &integers)
      case 9: texts.append(try field.text())
      case 10: (other, _) = ("several tensors", try field.bytes())
      case 13: _ = try field.bytes()
      case 14, 15: (other, _) = ("a type", try field.bytes())
      case 20: type = try field.integer()
      case 21: other = "an attribute of a function (\(try field.text()))"
      case 22, 23: (other, _) = ("a sparse tensor", try field.bytes())
      default: throw field.unknown
      }
    }
    // The type says which of the fields counts; a scalar of zero may be left out.
    let isTold =
      switch type {
      case 1: floats.isEmpty && integers.isEmpty
      case 2: floats.isEmpty && integers.isEmpty
      case 4: tensor != nil
      case 3, 5...14: true
      default: false
      }
    guard isTold, tensor == nil || type == 4 else {
      throw CheckpointError(
        .malformed, file: field.file.path, place: place,
        found: "the attribute \"\(name)\" of type \(type)", expected: "a value of a known type")
    }
  }

  /// The value as an argument; a tensor is none.
  var argument: ExportedProgram.Argument {
    if let other { return .other(kind: other) }
    switch type {
    case 1: return .real(Double(float))
    case 2: return .int(integer)
    case 3: return .string(text ?? "")
    case 6: return .list(floats.map { .real(Double($0)) })
    case 7: return .list(integers.map { .int($0) })
    case 8: return .list(texts.map { .string($0) })
    default: return .other(kind: "an attribute of type \(type)")
    }
  }

  /// The value of a `Constant`; nil for text and the like.
  func entry(named name: String, _ file: MappedFile) throws(CheckpointError) -> TensorEntry? {
    if let tensor { return try tensor.entry(named: name) }
    let (dtype, shape, numbers): (ElementType, [Int], [Int])
    switch (self.name, type) {
    case ("value_int", 2): (dtype, shape, numbers) = (.int64, [], [integer])
    case ("value_ints", 7): (dtype, shape, numbers) = (.int64, [integers.count], integers)
    case ("value_float", 1):
      (dtype, shape, numbers) = (.float32, [], [Int(float.bitPattern)])
    case ("value_floats", 6):
      (dtype, shape, numbers) = (.float32, [floats.count], floats.map { Int($0.bitPattern) })
    default: return nil
    }
    let memory = try ONNXTensor.memory(numbers, width: dtype.bits / 8, file: file.path)
    return TensorEntry(
      name: name, dtype: dtype, shape: shape, file: file.path,
      storage: TensorStorage(origin: .memory(memory)))
  }
}
