import Checkpoints

typealias ExportedProgramNode = ExportedProgram.Node

/// The operations of a graph that depend on images, and which reads what.
struct GraphFlow {
  /// What an operation does, as far as the structure of a network is told by it.
  enum Role {
    /// The same values, perhaps under other extents.
    case view
    case convolution(isSpatial: Bool)
    case linear
    case attention
    case softmax
    case norm
    case pool
    case add
    case multiply
    case activation
    case other

    var isHeavy: Bool {
      switch self {
      case .convolution, .linear, .attention: true
      default: false
      }
    }
  }

  /// One operation.
  struct Step {
    let node: Int
    let role: Role
    /// The steps whose values it reads; those of the images are left out.
    let inputs: [Int]
    /// The value it makes (the first of several).
    let name: String
    /// Names of the values it reads, dependent ones, in the order of its arguments.
    let reads: [String]
    let value: GraphValue
  }

  private(set) var steps: [Step] = []
  /// The step that made each value.
  private(set) var makers: [String: Int] = [:]
  /// Which axis of a value its tokens follow each other along.
  var tokenAxes: [String: Int] = [:]
  /// What a name stands for once it was written into.
  private var current: [String: String] = [:]

  /// The name that a value goes by now.
  func resolved(_ name: String) -> String { current[name] ?? name }

  /// Notes an operation, before what it writes into goes by another name.
  mutating func note(
    _ node: ExportedProgramNode, _ index: Int, isInPlace: Bool, _ operands: [String: GraphOperand]
  ) {
    var made: [String] = []
    for output in node.outputs {
      switch output {
      case .tensor(let name): made.append(name)
      case .list(let items): for case .tensor(let name) in items { made.append(name) }
      default: break
      }
    }
    guard let name = made.first, case .value(let value)? = operands[name], value.isDependent else {
      return
    }
    var reads: [String] = []
    for argument in node.arguments {
      switch argument.value {
      case .tensor(let name): reads.append(name)
      case .list(let items): for case .tensor(let name) in items { reads.append(name) }
      default: break
      }
    }
    reads = reads.map(resolved).filter { operands[$0]?.isDependent ?? false }
    for name in made { makers[name] = steps.count }
    if isInPlace, case .tensor(let target)? = node.arguments.first?.value { current[target] = name }
    steps.append(
      Step(
        node: index, role: Self.role(node, operands), inputs: reads.compactMap { makers[$0] },
        name: name, reads: reads, value: value))
  }

  private static func role(
    _ node: ExportedProgramNode, _ operands: [String: GraphOperand]
  ) -> Role {
    let name = AtenCall.base(of: node.target).name
    if AtenOperations.viewing.contains(name) { return .view }
    switch name {
    case "conv1d", "conv_transpose1d", "conv_transpose2d": return .convolution(isSpatial: true)
    case "conv2d":
      guard case .tensor(let weight)? = node.arguments.first(where: { $0.name == "weight" })?.value,
        let shape = operands[weight]?.dimensions, shape.count == 4
      else { return .convolution(isSpatial: true) }
      return .convolution(isSpatial: shape[2] * shape[3] > 1)
    case "linear", "addmm": return .linear
    // A product with parameters is a layer, whatever the exporter calls it.
    case "matmul", "mm":
      let isLayer = node.arguments.contains { argument in
        guard case .tensor(let name) = argument.value, let operand = operands[name] else {
          return false
        }
        return !operand.isDependent && operand.dimensions?.count == 2
      }
      return isLayer ? .linear : .other
    case "scaled_dot_product_attention": return .attention
    case "softmax", "_softmax": return .softmax
    case "layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm": return .norm
    case "max_pool1d", "avg_pool1d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d",
      "adaptive_avg_pool1d",
      "adaptive_max_pool2d":
      return .pool
    case "add": return .add
    case "mul": return .multiply
    case "relu", "relu6", "gelu", "silu", "hardswish", "hardtanh", "leaky_relu", "elu", "mish",
      "clamp":
      return .activation
    default: return .other
    }
  }

  /// The step whose value a step only shows under other extents.
  func peeled(_ step: Int) -> Int {
    var step = step
    while case .view = steps[step].role, steps[step].inputs.count == 1 {
      step = steps[step].inputs[0]
    }
    return step
  }

  /// The steps between one and a later one that reads it, the later one included; nil where it does not, or
  /// where more than `limit` lie between.
  func between(_ start: Int, _ end: Int, limit: Int = 4000) -> Set<Int>? {
    guard start < end else { return nil }
    var seen: Set<Int> = [end]
    var stack = [end]
    var reaches = false
    while let step = stack.popLast() {
      for input in steps[step].inputs {
        if input == start { reaches = true }
        if input > start, seen.insert(input).inserted { stack.append(input) }
      }
      if seen.count > limit { return nil }
    }
    return reaches ? seen : nil
  }

  /// The last step that two depend on; nil where there is none near.
  func meeting(_ a: Int, _ b: Int, limit: Int = 4000) -> Int? {
    // Going back in order, the first step that both have reached.
    var (left, right): (Set<Int>, Set<Int>) = ([a], [b])
    var step = max(a, b)
    var count = 0
    while step >= 0, count < limit {
      let (isLeft, isRight) = (left.contains(step), right.contains(step))
      if isLeft && isRight { return step }
      if isLeft { left.formUnion(steps[step].inputs) }
      if isRight { right.formUnion(steps[step].inputs) }
      step -= 1
      count += 1
    }
    return nil
  }
}
