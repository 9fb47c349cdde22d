/// Where operations stand of which an ONNX model does not say it: an exporter's optimiser leaves those without a module that
/// it puts in the place of several, and what such an operation reads would seem to leave every module.
///
/// An operation is in the innermost call of a module that all those are in which make what it reads or read what it makes.
struct ONNXPlacement {
  /// The values that such operations make.
  private var unplaced: Set<String> = []
  /// The kinds of operations that a place was found for, and how many there are.
  private var found: [String: Int] = [:]

  /// Notes an operation without a module by what it makes.
  mutating func note(_ made: [String]) { unplaced.formUnion(made) }

  /// The graph with a place for each operation.
  mutating func applied(to program: ExportedProgram) -> ExportedProgram {
    typealias Calls = [ExportedProgram.ModuleCall]
    var nodes = program.nodes
    let open = nodes.indices.filter { index in
      nodes[index].outputs.contains { value in
        if case .tensor(let name) = value { unplaced.contains(name) } else { false }
      }
    }
    guard !open.isEmpty, nodes.contains(where: { !$0.modules.isEmpty }) else { return program }
    var makers: [String: Int] = [:]
    var readers: [String: [Int]] = [:]
    for (index, node) in nodes.enumerated() {
      for name in node.made { makers[name] = index }
      for name in node.read { readers[name, default: []].append(index) }
    }
    let (results, dependent) = (program.results, program.dependentValues)
    func common(_ stacks: [Calls]) -> Calls? {
      guard var shared = stacks.first else { return nil }
      for stack in stacks.dropFirst() {
        shared = Array(zip(shared, stack).prefix { $0 == $1 }.map(\.0))
      }
      return shared
    }
    // By those that read, the last first: a reader may be without a module itself.
    var behind: [Int: Calls] = [:]
    let isOpen = Set(open)
    for index in open.reversed() {
      let made = nodes[index].made
      let reading = made.flatMap { readers[$0] ?? [] }.compactMap { reader in
        isOpen.contains(reader) ? behind[reader] : nodes[reader].modules
      }
      behind[index] = common(reading + (results.isDisjoint(with: made) ? [] : [[]]))
    }
    // And by those that make, of what depends on images: tables may come from anywhere.
    for index in open {
      let making = nodes[index].read.filter(dependent.contains).compactMap { makers[$0] }
        .map { nodes[$0].modules }
      let modules = common(making + [behind[index]].compactMap(\.self)) ?? []
      guard !modules.isEmpty else { continue }
      let node = nodes[index]
      if !dependent.isDisjoint(with: node.made) { found[node.target, default: 0] += 1 }
      nodes[index] = ExportedProgram.Node(
        target: node.target, arguments: node.arguments, outputs: node.outputs, modules: modules)
    }
    return program.with(nodes: nodes)
  }

  /// What was concluded, for readers.
  var notes: [String] {
    guard !found.isEmpty else { return [] }
    let list = found.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key.dropFirst(5))" }
    return [
      "operations of which the file names no module stand where those around them do: "
        + list.joined(separator: ", ")
    ]
  }
}
