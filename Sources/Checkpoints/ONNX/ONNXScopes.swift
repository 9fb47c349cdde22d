/// The modules that the operations of an ONNX model stand in.
///
/// The exporter of PyTorch by `torch.export` writes them beside each operation; there a module that is entered anew is
/// called once more. The older one writes them into the names of operations: `/blocks/blocks.0/attn/MatMul` stands in
/// `blocks.0.attn`, and `/act_1/Relu` in the second call of `act`.
struct ONNXScopes {
  /// The calls that the last operation stood in.
  private var open: [ExportedProgram.ModuleCall] = []
  private var calls: [String: Int] = [:]
  /// Calls by the names of scopes, as far as they go.
  private var named: [String: ExportedProgram.ModuleCall] = [:]

  /// The calls that an operation stands in, outermost first; nil where neither metadata nor its name say it.
  mutating func modules(
    of metadata: [String: String], node name: String
  ) -> [ExportedProgram.ModuleCall]? {
    guard let scopes = metadata["pkg.torch.onnx.name_scopes"].map(Self.texts) else {
      return modules(ofNode: name)
    }
    let types = metadata["pkg.torch.onnx.class_hierarchy"].map(Self.texts) ?? []
    var stack: [ExportedProgram.ModuleCall] = []
    // The last is the operation, the first the model.
    for (place, name) in scopes.dropLast().enumerated() where !name.isEmpty {
      let depth = stack.count
      if depth < open.count, open[depth].module == name, stack.elementsEqual(open[..<depth]) {
        stack.append(open[depth])
      } else {
        let type = types.count == scopes.count ? types[place] : ""
        stack.append(call(of: name, type))
      }
    }
    open = stack
    return stack
  }

  /// By the name of an operation: each part is a scope but the last.
  private mutating func modules(ofNode name: String) -> [ExportedProgram.ModuleCall]? {
    guard name.contains("/") else { return nil }
    var stack: [ExportedProgram.ModuleCall] = []
    var path = ""
    for part in name.split(separator: "/").dropLast() {
      let parent = path
      path += "/" + part
      if named[path] == nil {
        named[path] = call(of: module(String(part), in: parent, stack.last?.module ?? ""), "")
      }
      if let call = named[path] { stack.append(call) }
    }
    return stack
  }

  /// The module that a scope within another is: parts of a `Sequential` repeat its name.
  private func module(_ scope: String, in parent: String, _ owner: String) -> String {
    // A second call has a number behind the name.
    if let cut = scope.lastIndex(of: "_"), Int(scope[scope.index(after: cut)...]) != nil {
      let first = String(scope[..<cut])
      if let call = named[parent + "/" + first] { return call.module }
    }
    for start in owner.indices
    where start == owner.startIndex || owner[owner.index(before: start)] == "." {
      if scope.hasPrefix(owner[start...] + ".") { return owner[..<start] + scope }
    }
    return owner.isEmpty ? scope : owner + "." + scope
  }

  private mutating func call(of module: String, _ type: String) -> ExportedProgram.ModuleCall {
    let count = calls[module, default: 0]
    calls[module] = count + 1
    return ExportedProgram.ModuleCall(module: module, call: count, type: type)
  }

  /// The names of all modules of a graph, in the order in which they are entered.
  func modules(of nodes: [ExportedProgram.Node]) -> [String] {
    var seen: Set<String> = []
    return nodes.flatMap { $0.modules.map(\.module) }.filter { seen.insert($0).inserted }
  }

  /// The texts of a list as Python writes it: `['', 'blocks', "it's"]`.
  private static func texts(_ list: String) -> [String] {
    var texts: [String] = []
    var current: String?
    var quote: Character = "'"
    var isEscaped = false
    for character in list {
      guard let text = current else {
        if character == "'" || character == "\"" { (current, quote) = ("", character) }
        continue
      }
      if isEscaped {
        current = text + String(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == quote {
        texts.append(text)
        current = nil
      } else {
        current = text + String(character)
      }
    }
    return texts
  }
}
