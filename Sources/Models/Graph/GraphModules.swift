import Checkpoints

/// The calls of modules in a graph, each with the value that it gives: what a forward hook of PyTorch would see.
struct GraphModules {
  /// The output of one call.
  struct Output {
    /// The call.
    let call: ExportedProgram.ModuleCall
    /// The value it gives.
    let value: String
    /// The operation that makes the value.
    let node: Int

    /// The name of `named_modules()`, with `#2` where it is the second call.
    var name: String { call.call == 0 ? call.module : "\(call.module)#\(call.call + 1)" }
  }

  /// Calls with one result, in the order in which the results are made, inner modules first.
  let outputs: [Output]
  /// Modules whose calls give several tensors, or none that is read.
  let silent: [String]

  init(_ program: ExportedProgram) {
    // The first and last reader of each value, as operations.
    var makers: [String: Int] = [:]
    var readers: [String: [Int]] = [:]
    for (index, node) in program.nodes.enumerated() {
      for name in node.made { makers[name] = index }
      for name in node.read { readers[name, default: []].append(index) }
    }
    let (results, dependent) = (program.results, program.dependentValues)
    var calls: [ExportedProgram.ModuleCall: [String]] = [:]
    var order: [ExportedProgram.ModuleCall] = []
    var ends: [ExportedProgram.ModuleCall: Int] = [:]
    for (index, node) in program.nodes.enumerated() {
      var names: [String] = []
      for output in node.outputs {
        switch output {
        case .tensor(let name): names.append(name)
        case .list(let items): for case .tensor(let name) in items { names.append(name) }
        default: break
        }
      }
      for call in Set(node.modules) {
        if calls[call] == nil {
          calls[call] = []
          order.append(call)
        }
        ends[call] = index
        for name in names where dependent.contains(name) {
          let isRead =
            results.contains(name)
            || (readers[name] ?? []).contains { !program.nodes[$0].modules.contains(call) }
          if isRead { calls[call]?.append(name) }
        }
      }
    }
    var outputs: [Output] = []
    var silent: [String] = []
    for call in order {
      guard let names = calls[call], names.count == 1, let node = makers[names[0]] else {
        silent.append(call.module)
        continue
      }
      outputs.append(Output(call: call, value: names[0], node: node))
    }
    // Inner modules end first: the longer name.
    self.outputs = outputs.sorted {
      ($0.node, -$0.call.module.count) < ($1.node, -$1.call.module.count)
    }
    self.silent = silent
  }
}
