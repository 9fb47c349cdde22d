import Checkpoints

/// Activations that a graph of ONNX spells out in several operations, each as the one of PyTorch that it is.
///
/// They are told by their values: what the operations between one value and a later one amount to is computed at many
/// points, and is the activation that gives the same there. In which order an exporter writes products and sums makes no
/// difference.
struct ONNXActivations {
  private typealias Node = ExportedProgram.Node

  /// An activation at ``points``.
  private struct Known: Sendable {
    let target: String
    let approximate: String?
    let values: [Double]

    init(_ name: String, by approximate: String? = nil, _ function: (Double) -> Double) {
      (target, self.approximate) = ("aten.\(name).default", approximate)
      values = points.map(function)
    }
  }

  private static let points = (-48...48).map { Double($0) / 8 + 0.01 }
  private static let known = [
    Known("gelu", by: "none") { 0.5 * $0 * (1 + errorFunction($0 * 0.5.squareRoot())) },
    Known("gelu", by: "tanh") { x in
      0.5 * x * (1 + hyperbolicTangent((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    },
    Known("silu") { $0 / (1 + exponential(-$0)) },
  ]
  /// How far values may be from those of an activation, in units of the point: constants are of single precision.
  private static let tolerance = 2e-7
  /// The most operations from an activation's input to its transcendental function, and from there to its end.
  private static let reach = 5

  /// The graph with one operation for each that was found.
  private(set) var program: ExportedProgram
  /// Tensors of the file that these operations have as numbers.
  private(set) var read: Set<String> = []

  private let checkpoint: Checkpoint
  private var makers: [String: Int] = [:]
  private var readers: [String: [Int]] = [:]
  /// The tensors that the graph is given, by its names for them.
  private var given: [String: String] = [:]

  init(_ program: ExportedProgram, _ checkpoint: Checkpoint) {
    (self.program, self.checkpoint) = (program, checkpoint)
    guard case .onnx = program.writer else { return }
    for (index, node) in program.nodes.enumerated() {
      for name in node.made { makers[name] = index }
      for name in node.read { readers[name, default: []].append(index) }
    }
    for input in program.inputs {
      switch input {
      case .parameter(let name, let tensor), .constant(let name, let tensor):
        given[name] = tensor
      default: continue
      }
    }
    let results = program.results
    var nodes: [Node?] = program.nodes
    for (index, node) in program.nodes.enumerated()
    where ["onnx.Erf", "onnx.Tanh", "onnx.Sigmoid"].contains(node.target) {
      guard let found = activation(around: index, results) else { continue }
      for member in found.members { nodes[member] = nil }
      nodes[found.end] = found.node
      read.formUnion(found.numbers)
    }
    self.program = program.with(nodes: nodes.compactMap(\.self))
  }

  private struct Found {
    let end: Int
    let members: Set<Int>
    let node: Node
    let numbers: Set<String>
  }

  /// The activation that the function at a place is a part of.
  private func activation(around seed: Int, _ results: Set<String>) -> Found? {
    var end = seed
    for _ in 0..<Self.reach {
      guard case .tensor(let made)? = program.nodes[end].outputs.first, !results.contains(made),
        let all = readers[made], all.count == 1, isInside(all[0], seed)
      else { return nil }
      end = all[0]
      for x in inputs(before: seed) {
        var region = Region(x: x)
        guard let values = values(at: end, &region),
          let known = Self.known.first(where: { isSame(values, $0.values) }),
          isClosed(region.values.keys, end, results)
        else { continue }
        var arguments = [ExportedProgram.NamedArgument(name: "self", value: .tensor(x))]
        if let way = known.approximate {
          arguments.append(.init(name: "approximate", value: .string(way)))
        }
        let node = program.nodes[end]
        return Found(
          end: end, members: Set(region.values.keys),
          node: Node(
            target: known.target, arguments: arguments, outputs: node.outputs,
            modules: node.modules),
          numbers: region.numbers)
      }
    }
    return nil
  }

  /// Whether an operation stands in the same call of a module as another.
  private func isInside(_ index: Int, _ seed: Int) -> Bool {
    program.nodes[index].modules == program.nodes[seed].modules
  }

  /// The values that a function may be made of, the nearest first.
  private func inputs(before seed: Int) -> [String] {
    var names = tensors(program.nodes[seed])
    var place = 0
    while place < names.count, names.count < 4 * Self.reach {
      if let maker = makers[names[place]], isInside(maker, seed) {
        for name in tensors(program.nodes[maker]) where !names.contains(name) {
          names.append(name)
        }
      }
      place += 1
    }
    return names.filter { given[$0] == nil }
  }

  private func tensors(_ node: Node) -> [String] {
    node.arguments.compactMap { if case .tensor(let name) = $0.value { name } else { nil } }
  }

  /// Operations between a value and a later one, with what they give at the points.
  private struct Region {
    let x: String
    var values: [Int: [Double]] = [:]
    /// Names of tensors of the file.
    var numbers: Set<String> = []
  }

  /// What an operation gives at the points; nil where it depends on something else than `x` and numbers.
  ///
  /// - Parameter depth: how many operations more may lie before it.
  private func values(
    at index: Int, _ region: inout Region, depth: Int = 2 * ONNXActivations.reach
  ) -> [Double]? {
    if let values = region.values[index] { return values }
    let node = program.nodes[index]
    guard depth > 0, region.values.count < 2 * Self.reach, node.outputs.count == 1 else {
      return nil
    }
    var operands: [[Double]] = []
    for argument in node.arguments {
      guard Int(argument.name) != nil, case .tensor(let name) = argument.value else { return nil }
      if name == region.x {
        operands.append(Self.points)
      } else if let tensor = given[name] {
        guard let number = number(tensor) else { return nil }
        region.numbers.insert(tensor)
        operands.append(Self.points.map { _ in number })
      } else if let maker = makers[name], isInside(maker, index),
        let values = values(at: maker, &region, depth: depth - 1)
      {
        operands.append(values)
      } else {
        return nil
      }
    }
    guard let result = Self.result(of: node.target, operands) else { return nil }
    region.values[index] = result
    return result
  }

  private static func result(of target: String, _ operands: [[Double]]) -> [Double]? {
    switch (target, operands.count) {
    case ("onnx.Erf", 1): operands[0].map(errorFunction)
    case ("onnx.Tanh", 1): operands[0].map(hyperbolicTangent)
    case ("onnx.Sigmoid", 1): operands[0].map { 1 / (1 + exponential(-$0)) }
    case ("onnx.Add", 2): zip(operands[0], operands[1]).map(+)
    case ("onnx.Sub", 2): zip(operands[0], operands[1]).map(-)
    case ("onnx.Mul", 2): zip(operands[0], operands[1]).map(*)
    case ("onnx.Div", 2): zip(operands[0], operands[1]).map(/)
    case ("onnx.Pow", 2): zip(operands[0], operands[1]).map(raised)
    default: nil
    }
  }

  /// The only value of a tensor of floats that leaves the extents of others as they are.
  private func number(_ name: String) -> Double? {
    guard let entry = checkpoint[name], entry.dtype.isFloatingPoint, entry.count == 1,
      entry.shape.count <= 1
    else { return nil }
    return (try? entry.floats())?.first.map(Double.init)
  }

  private func isSame(_ values: [Double], _ known: [Double]) -> Bool {
    zip(zip(values, known), Self.points).allSatisfy { pair, point in
      abs(pair.0 - pair.1) <= Self.tolerance * max(1, abs(point))
    }
  }

  /// Whether nothing else reads what is made on the way.
  private func isClosed(_ members: some Collection<Int>, _ end: Int, _ results: Set<String>) -> Bool
  {
    members.allSatisfy { member in
      member == end
        || program.nodes[member].made.allSatisfy { name in
          !results.contains(name) && (readers[name] ?? []).allSatisfy(members.contains)
        }
    }
  }
}
