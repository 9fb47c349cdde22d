import StrictJSON

/// Reads the graph of a program of `torch.export` from its JSON.
///
/// The schema is that of major version 8 (`torch/_export/serde/schema.py`). What bears on values is
/// understood or kept as ``ExportedProgram/Argument/other(kind:)``; names of values are checked: each is
/// made once, before it is used.
struct ExportedProgramReader {
  static let supportedMajor = 8

  private let file: String
  private let member: String
  private var names: ValueNames

  init(file: String, member: String) {
    (self.file, self.member) = (file, member)
    names = ValueNames { place, found, expected in
      CheckpointError(
        .malformed, file: file, place: "\(member): \(place)", found: found, expected: expected)
    }
  }

  mutating func program(_ document: JSONValue) throws(CheckpointError) -> ExportedProgram {
    let version = try object(document["schema_version"], "schema_version")
    let major = try integer(version["major"], "schema_version.major")
    let minor = try integer(version["minor"], "schema_version.minor")
    guard major == Self.supportedMajor else {
      throw CheckpointError(
        .unsupported, file: file, place: member,
        found: "a graph of schema version \(major).\(minor)",
        expected: "version \(Self.supportedMajor)",
        advice: "Export the model again, with a version of PyTorch between 2.6 and 2.15")
    }
    let module = try object(document["graph_module"], "graph_module")
    let graph = try object(module["graph"], "graph")
    let signature = try object(module["signature"], "signature")
    let values = try values(graph["tensor_values"])
    let inputs = try inputs(signature["input_specs"])
    let listed = try list(graph["nodes"], "nodes")
    guard listed.count <= ExportedProgram.maximumNodes else {
      throw CheckpointError(
        .limitExceeded, file: file, place: member, found: "a graph of \(listed.count) operations",
        expected: "at most \(ExportedProgram.maximumNodes)")
    }
    var nodes: [ExportedProgram.Node] = []
    nodes.reserveCapacity(listed.count)
    for (index, entry) in listed.enumerated() { nodes.append(try node(entry, index)) }
    let calls = try list(module["module_call_graph"], "module_call_graph")
    let keys = outputKeys(calls.first { $0["fqn"]?.stringValue == "" })
    return ExportedProgram(
      member: member,
      writer: .torch(
        version: document["torch_version"]?.stringValue ?? "unknown", schema: "\(major).\(minor)"),
      inputs: inputs, outputs: try outputs(signature["output_specs"], keys: keys), nodes: nodes,
      values: values,
      modules: calls.compactMap { $0["fqn"]?.stringValue }.filter { !$0.isEmpty })
  }

  // MARK: Values

  private func values(
    _ json: JSONValue?
  ) throws(CheckpointError) -> [String: ExportedProgram.Value] {
    guard let members = json?.objectValue else { throw wrong(json, "tensor_values", "an object") }
    var values: [String: ExportedProgram.Value] = [:]
    for member in members {
      let place = "tensor_values.\(member.name)"
      let dtype = try Self.elementType(integer(member.value["dtype"], place + ".dtype"))
      guard let dtype else {
        throw unsupported(place, "a tensor of type \(member.value["dtype"]?.intValue ?? 0)")
      }
      let sizes = try list(member.value["sizes"], place + ".sizes")
      guard sizes.count <= StridedView.maximumRank else {
        throw failure(place, "\(sizes.count) axes", "at most \(StridedView.maximumRank)")
      }
      values[member.name] = ExportedProgram.Value(
        dtype: dtype,
        sizes: try sizes.map { size throws(CheckpointError) in try extent(size, place + ".sizes") })
    }
    return values
  }

  private func extent(
    _ json: JSONValue, _ place: String
  ) throws(CheckpointError) -> ExportedProgram.Extent {
    if let value = json["as_int"]?.intValue, value >= 0 { return .fixed(value) }
    if let text = json["as_expr"]?["expr_str"]?.stringValue { return .symbolic(text) }
    throw wrong(json, place, "an extent from 0 on")
  }

  /// The type of a number of the schema's `ScalarType`.
  static func elementType(_ code: Int) -> ElementType? {
    switch code {
    case 1: .uint8
    case 2: .int8
    case 3: .int16
    case 4: .int32
    case 5: .int64
    case 6: .float16
    case 7: .float32
    case 8: .float64
    case 10: .complex64
    case 12: .bool
    case 13: .bfloat16
    case 28: .uint16
    case 29: .float8E4M3
    case 30: .float8E5M2
    case 31: .float8E4M3FNUZ
    case 32: .float8E5M2FNUZ
    case 33: .float8E8M0
    case 34: .uint32
    case 35: .uint64
    default: nil
    }
  }

  // MARK: Inputs and outputs

  private mutating func inputs(
    _ json: JSONValue?
  ) throws(CheckpointError) -> [ExportedProgram.Input] {
    var inputs: [ExportedProgram.Input] = []
    for (index, entry) in try list(json, "input_specs").enumerated() {
      let place = "input \(index)"
      guard let (kind, value) = union(entry) else {
        throw wrong(entry, place, "an object of one member")
      }
      let argument = value["arg"]
      func name() throws(CheckpointError) -> String {
        try string(argument?["name"], place + ".arg.name")
      }
      func tensor(_ key: String) throws(CheckpointError) -> String {
        try string(value[key], place + "." + key)
      }
      switch kind {
      case "parameter":
        inputs.append(.parameter(try name(), tensor: try tensor("parameter_name")))
      case "buffer": inputs.append(.buffer(try name(), tensor: try tensor("buffer_name")))
      case "tensor_constant":
        inputs.append(.constant(try name(), tensor: try tensor("tensor_constant_name")))
      case "constant_input":
        inputs.append(
          .fixed(try string(value["name"], place), try self.argument(value["value"], place)))
      case "user_input":
        switch try self.argument(argument, place, defining: true) {
        case .tensor(let name): inputs.append(.user(name))
        case .symbol(let name): inputs.append(.other(name, kind: "a number"))
        case let other: inputs.append(.fixed("", other))
        }
        continue
      default: inputs.append(.other(argument?["name"]?.stringValue ?? "", kind: kind))
      }
      switch inputs[inputs.count - 1] {
      case .parameter(let name, _), .buffer(let name, _), .constant(let name, _):
        try names.define(name, place)
      default: break
      }
    }
    return inputs
  }

  private func outputs(
    _ json: JSONValue?, keys: [String]?
  ) throws(CheckpointError) -> [ExportedProgram.Output] {
    let entries = try list(json, "output_specs")
    var outputs: [ExportedProgram.Output] = []
    let users = entries.filter { $0["user_output"] != nil }.count
    var position = 0
    for (index, entry) in entries.enumerated() {
      guard let (kind, value) = union(entry) else {
        throw wrong(entry, "output \(index)", "an object of one member")
      }
      guard kind == "user_output" else {
        outputs.append(.other(kind: kind))
        continue
      }
      let key = keys.flatMap { $0.count == users ? $0[position] : nil }
      position += 1
      let result = try argument(value["arg"], "output \(index)")
      try names.require(result, "output \(index)")
      outputs.append(.user(result, key: key))
    }
    return outputs
  }

  /// The keys of a dictionary (or fields of a class) that the root gives; nil for other results.
  private func outputKeys(_ root: JSONValue?) -> [String]? {
    guard let text = root?["signature"]?["out_spec"]?.stringValue,
      let spec = try? JSONValue(parsing: Array(text.utf8), limits: JSONLimits(bytes: 1 << 20)),
      let top = spec.arrayValue?.last, let context = top["context"],
      let children = top["children_spec"]?.arrayValue,
      children.allSatisfy({ $0["children_spec"]?.arrayValue?.isEmpty ?? true })
    else { return nil }
    var keys = context
    if let inner = context.stringValue {
      guard let parsed = try? JSONValue(parsing: Array(inner.utf8)) else { return nil }
      keys = parsed
    }
    let names = keys.arrayValue?.compactMap(\.stringValue)
    return names?.count == children.count ? names : nil
  }

  // MARK: Nodes

  private mutating func node(
    _ json: JSONValue, _ index: Int
  ) throws(CheckpointError) -> ExportedProgram.Node {
    var target = try string(json["target"], "node \(index).target")
    let place = "node \(index) (\(target))"
    if target.hasPrefix("torch.ops.") { target.removeFirst("torch.ops.".count) }
    var arguments: [ExportedProgram.NamedArgument] = []
    for entry in try list(json["inputs"], place + ".inputs") {
      let value = try argument(entry["arg"], place)
      try names.require(value, place)
      let name = try string(entry["name"], place + ".inputs.name")
      guard !arguments.contains(where: { $0.name == name && !name.isEmpty }) else {
        throw failure(place, "the argument \"\(name)\" a second time", "each argument once")
      }
      arguments.append(.init(name: name, value: value))
    }
    var outputs: [ExportedProgram.Argument] = []
    for entry in try list(json["outputs"], place + ".outputs") {
      outputs.append(try argument(entry, place, defining: true))
    }
    let stack = json["metadata"]?["nn_module_stack"]?.stringValue ?? ""
    return ExportedProgram.Node(
      target: target, arguments: arguments, outputs: outputs,
      modules: stack.split(separator: ";").compactMap(Self.moduleCall))
  }

  /// One entry of `nn_module_stack`: `L__self__act@1,layer1.0.act,torch.nn.modules.activation.ReLU`, the
  /// number being the calls before. A graph of `strict=True` has the module's address for its first part, or the
  /// expression that it is reached by: `getattr_L__self___layer1___0___act`.
  private static func moduleCall(_ text: Substring) -> ExportedProgram.ModuleCall? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == 3, !parts[1].isEmpty else { return nil }
    var call = 0
    if let at = parts[0].lastIndex(of: "@") {
      call = Int(parts[0][parts[0].index(after: at)...]) ?? 0
    }
    // In an early form the module's own name carries the number too.
    let name = parts[1].split(separator: "@").first ?? parts[1]
    return ExportedProgram.ModuleCall(module: String(name), call: call, type: String(parts[2]))
  }

  // MARK: Arguments

  private mutating func argument(
    _ json: JSONValue?, _ place: String, defining: Bool
  ) throws(CheckpointError) -> ExportedProgram.Argument {
    let value = try argument(json, place)
    switch value {
    case .tensor(let name), .symbol(let name): try names.define(name, place)
    case .list(let items):
      for case .tensor(let name) in items { try names.define(name, place) }
    default: break
    }
    return value
  }

  private func argument(
    _ json: JSONValue?, _ place: String
  ) throws(CheckpointError) -> ExportedProgram.Argument {
    guard let json, let (kind, value) = union(json) else {
      throw wrong(json, place, "an argument: an object of one member")
    }
    func items(
      _ each: (JSONValue) throws(CheckpointError) -> ExportedProgram.Argument
    ) throws(CheckpointError) -> ExportedProgram.Argument {
      .list(try list(value, place).map(each))
    }
    func number(_ json: JSONValue) throws(CheckpointError) -> ExportedProgram.Argument {
      if let value = json.doubleValue { return .real(value) }
      switch json.stringValue {
      case "Infinity": return .real(.infinity)
      case "-Infinity": return .real(-.infinity)
      case "NaN": return .real(.nan)
      default: throw wrong(json, place, "a number")
      }
    }
    func scalar(_ json: JSONValue) throws(CheckpointError) -> ExportedProgram.Argument {
      guard let (kind, value) = union(json) else { throw wrong(json, place, "a scalar") }
      switch kind {
      case "as_name": return .symbol(try string(value, place))
      case "as_int": return .int(try integer(value, place))
      case "as_float": return try number(value)
      case "as_bool": return .bool(try truth(value, place))
      default: return .other(kind: kind)
      }
    }
    func tensor(_ json: JSONValue) throws(CheckpointError) -> ExportedProgram.Argument {
      .tensor(try string(json["name"], place))
    }
    func optional(_ json: JSONValue) throws(CheckpointError) -> ExportedProgram.Argument {
      guard let (kind, value) = union(json) else { throw wrong(json, place, "a tensor or none") }
      return kind == "as_tensor" ? try tensor(value) : .none
    }
    switch kind {
    case "as_none": return .none
    case "as_tensor": return try tensor(value)
    case "as_optional_tensor": return try optional(value)
    case "as_tensors": return try items(tensor)
    case "as_optional_tensors": return try items(optional)
    case "as_int": return .int(try integer(value, place))
    case "as_ints":
      return try items { item throws(CheckpointError) in .int(try integer(item, place)) }
    case "as_float": return try number(value)
    case "as_floats": return try items(number)
    case "as_bool": return .bool(try truth(value, place))
    case "as_bools":
      return try items { item throws(CheckpointError) in .bool(try truth(item, place)) }
    case "as_string": return .string(try string(value, place))
    case "as_strings":
      return try items { item throws(CheckpointError) in .string(try string(item, place)) }
    case "as_sym_int", "as_sym_float", "as_sym_bool": return try scalar(value)
    case "as_sym_ints", "as_sym_floats", "as_sym_bools": return try items(scalar)
    case "as_scalar_type": return .dtype(Self.elementType(try integer(value, place)))
    case "as_device", "as_layout", "as_memory_format": return .placement
    default: return .other(kind: kind)
    }
  }

  // MARK: JSON

  /// An object of one member, as the schema writes a choice; others may stand beside it as null.
  private func union(_ json: JSONValue) -> (kind: String, value: JSONValue)? {
    guard let members = json.objectValue else { return nil }
    let told = members.filter { $0.value != .null }
    if told.count == 1 { return (told[0].name, told[0].value) }
    return members.count == 1 ? (members[0].name, members[0].value) : nil
  }

  private func object(_ json: JSONValue?, _ place: String) throws(CheckpointError) -> JSONValue {
    guard let json, json.objectValue != nil else { throw wrong(json, place, "an object") }
    return json
  }

  private func list(_ json: JSONValue?, _ place: String) throws(CheckpointError) -> [JSONValue] {
    guard let items = json?.arrayValue else { throw wrong(json, place, "a list") }
    return items
  }

  private func string(_ json: JSONValue?, _ place: String) throws(CheckpointError) -> String {
    guard let text = json?.stringValue else { throw wrong(json, place, "a string") }
    return text
  }

  private func integer(_ json: JSONValue?, _ place: String) throws(CheckpointError) -> Int {
    guard let value = json?.intValue else { throw wrong(json, place, "an integer") }
    return value
  }

  private func truth(_ json: JSONValue, _ place: String) throws(CheckpointError) -> Bool {
    guard let value = json.boolValue else { throw wrong(json, place, "true or false") }
    return value
  }

  private func wrong(_ json: JSONValue?, _ place: String, _ expected: String) -> CheckpointError {
    failure(place, json?.kindName ?? "nothing", expected)
  }

  private func failure(_ place: String, _ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: file, place: "\(member): \(place)", found: found, expected: expected)
  }

  private func unsupported(_ place: String, _ found: String) -> CheckpointError {
    CheckpointError(.unsupported, file: file, place: "\(member): \(place)", found: found)
  }
}
