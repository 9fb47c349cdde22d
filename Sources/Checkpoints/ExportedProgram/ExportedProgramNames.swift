/// The names of values by which operations are joined to a graph.
extension ExportedProgram {
  /// The names of the values that the graph gives.
  package var results: Set<String> {
    var names: Set<String> = []
    for case .user(let value, _) in outputs { value.collect(into: &names) }
    return names
  }

  /// Names of what is made of the images' values, rather than of constants and extents.
  package var dependentValues: Set<String> {
    var dependent: Set<String> = []
    for case .user(let name) in inputs { dependent.insert(name) }
    for node in nodes where !["onnx.Shape", "onnx.Size"].contains(node.target) {
      guard !node.read.isDisjoint(with: dependent) else { continue }
      dependent.formUnion(node.made)
    }
    return dependent
  }
}

extension ExportedProgram.Node {
  /// The names of the values that it makes.
  package var made: Set<String> {
    var names: Set<String> = []
    for output in outputs { output.collect(into: &names) }
    return names
  }

  /// The names of the values that it reads.
  package var read: Set<String> {
    var names: Set<String> = []
    for argument in arguments { argument.value.collect(into: &names) }
    return names
  }
}

extension ExportedProgram.Argument {
  /// Adds the names of the values that it refers to.
  package func collect(into names: inout Set<String>) {
    switch self {
    case .tensor(let name), .symbol(let name): names.insert(name)
    case .list(let items): for item in items { item.collect(into: &names) }
    default: break
    }
  }
}
