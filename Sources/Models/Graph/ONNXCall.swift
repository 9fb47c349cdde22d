import Checkpoints
import Tensors

/// One operation of ONNX, as an entry of ``ONNXOperations`` reads it and says what it amounts to.
///
/// An input or attribute that no entry asks for is refused: it may bear on the values.
final class ONNXCall {
  typealias Argument = ExportedProgram.Argument

  let node: ExportedProgram.Node
  let compiler: GraphCompiler
  /// Names of inputs and attributes that were asked for.
  private var asked: Set<String> = []
  /// How many values were made on the way to the result.
  private var steps = 0

  init(_ node: ExportedProgram.Node, _ compiler: GraphCompiler) {
    (self.node, self.compiler) = (node, compiler)
  }

  /// Makes the steps of the operation.
  func translate(_ entry: ONNXOperations.Entry) throws {
    try entry(self)
    for argument in node.arguments where !asked.contains(argument.name) {
      if case .none = argument.value { continue }
      let kind = Int(argument.name).map { "input \($0)" } ?? "the attribute \"\(argument.name)\""
      throw GraphError(.unrecognised, "\(kind), which is not known", advice: GraphError.capture)
    }
  }

  // MARK: Inputs

  /// An input; none where it was left out.
  subscript(_ index: Int) -> Argument {
    asked.insert("\(index)")
    return node.arguments.first { $0.name == "\(index)" }?.value ?? .none
  }

  func has(_ index: Int) -> Bool { self[index] != .none }

  /// All inputs.
  var inputs: [Argument] {
    (0..<node.arguments.count { Int($0.name) != nil }).map { self[$0] }
  }

  func operand(_ argument: Argument) throws(GraphError) -> GraphOperand {
    try compiler.operand(argument)
  }

  /// What is known of an argument; nil for what depends on images or parameters.
  func known(_ argument: Argument) throws(GraphError) -> HostArray? {
    try compiler.known(try operand(argument))
  }

  func requireKnown(_ index: Int, _ what: String) throws(GraphError) -> HostArray {
    guard let array = try known(self[index]) else {
      throw GraphError(
        .unrecognised, "\(what) that depend on images or parameters", advice: GraphError.capture)
    }
    return array
  }

  /// Whole numbers of an input; nil where it was left out.
  func ints(_ index: Int, _ what: String) throws(GraphError) -> [Int]? {
    guard has(index) else { return nil }
    return try Self.ints(try requireKnown(index, what), what)
  }

  static func ints(_ array: HostArray, _ what: String) throws(GraphError) -> [Int] {
    guard array.kind == .integer, array.rank <= 1, array.count <= 1 << 20 else {
      throw GraphError("\(what) of shape \(array.shape)", expected: "a list of whole numbers")
    }
    // The end of a slice is written as the largest integer.
    return array.values.map { Int(min(max($0, -0x1p31), 0x1p31)) }
  }

  /// The extents of an argument, those of images as they were exported.
  func extents(_ argument: Argument) throws(GraphError) -> [Int] {
    let operand = try operand(argument)
    guard var extents = operand.dimensions else {
      throw GraphError(operand.title, expected: "a tensor")
    }
    if case .value(let value) = operand, let axis = value.batchAxis {
      extents[axis] *= compiler.exportedImages ?? 1
    }
    return extents
  }

  /// A number that every value meets: the only value of what is known, where it repeats.
  func scalar(_ argument: Argument, besides other: Argument) throws(GraphError) -> Double? {
    let operand = try operand(argument)
    guard let shape = operand.dimensions, shape.allSatisfy({ $0 == 1 }),
      shape.count <= (try extents(other)).count, try known(other) == nil
    else { return nil }
    return try compiler.known(operand)?.scalar
  }

  // MARK: Attributes

  private func attribute(_ name: String) -> Argument {
    asked.insert(name)
    return node.arguments.first { $0.name == name }?.value ?? .none
  }

  private func wrong(_ name: String, _ expected: String) -> GraphError {
    GraphError("the attribute \"\(name)\" of another kind", expected: expected)
  }

  /// Attributes that have no part in what is made here.
  func ignore(_ names: String...) { asked.formUnion(names) }

  func int(_ name: String, _ standard: Int) throws(GraphError) -> Int {
    switch attribute(name) {
    case .int(let value): return min(max(value, -(1 << 31)), 1 << 31)
    case .none: return standard
    default: throw wrong(name, "a whole number")
    }
  }

  func real(_ name: String, _ standard: Double) throws(GraphError) -> Double {
    switch attribute(name) {
    case .real(let value): return value
    case .none: return standard
    default: throw wrong(name, "a number")
    }
  }

  func text(_ name: String, _ standard: String) throws(GraphError) -> String {
    switch attribute(name) {
    case .string(let value): return value
    case .none: return standard
    default: throw wrong(name, "text")
    }
  }

  /// Whole numbers of an attribute; nil where it was left out.
  func ints(_ name: String) throws(GraphError) -> [Int]? {
    switch attribute(name) {
    case .none: return nil
    case .list(let items):
      var values: [Int] = []
      for case .int(let value) in items { values.append(min(max(value, -(1 << 31)), 1 << 31)) }
      if values.count == items.count { return values }
    default: break
    }
    throw wrong(name, "whole numbers")
  }

  /// A tensor of an attribute.
  func tensor(_ name: String) -> Argument { attribute(name) }

  /// Refuses an attribute that is not as it has to be here.
  func require(_ name: String, _ standard: Int, is expected: Int) throws(GraphError) {
    let value = try int(name, standard)
    guard value == expected else {
      throw GraphError(
        .unrecognised, "\(name) = \(value)", expected: "\(expected)", advice: GraphError.capture)
    }
  }

  /// Axes of an attribute, or from version 18 of the operations on of an input.
  func axes(_ index: Int, rank: Int) throws(GraphError) -> [Int]? {
    var named = try ints("axes")
    if named == nil { named = try ints(index, "axes") }
    return try named?.map { axis throws(GraphError) in try place(axis, rank) }
  }

  /// An axis counted from the front.
  func place(_ axis: Int, _ rank: Int) throws(GraphError) -> Int {
    let place = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(place) else {
      throw GraphError("axis \(axis)", expected: "one of \(rank)")
    }
    return place
  }

  // MARK: Results

  /// Makes the result, or the first of several, by an operation of PyTorch.
  func make(_ operation: String, _ arguments: KeyValuePairs<String, Argument>) throws {
    try carryOut(operation, arguments, [node.outputs.first ?? .none])
  }

  /// Makes all results by one operation of PyTorch.
  func makeAll(_ operation: String, _ arguments: KeyValuePairs<String, Argument>) throws {
    try carryOut(operation, arguments, node.outputs)
  }

  /// Makes a value on the way by an operation of PyTorch.
  func step(
    _ operation: String, _ arguments: KeyValuePairs<String, Argument>
  ) throws -> Argument {
    let name = unusedName()
    try carryOut(operation, arguments, [.tensor(name)])
    return .tensor(name)
  }

  /// What is known, as an argument.
  func constant(_ array: HostArray) -> Argument {
    let name = unusedName()
    compiler.operands[name] = .known(array)
    return .tensor(name)
  }

  /// Gives what is known as the result.
  func give(_ array: HostArray) {
    if case .tensor(let name)? = node.outputs.first { compiler.operands[name] = .known(array) }
  }

  private func unusedName() -> String {
    let result = if case .tensor(let name)? = node.outputs.first { name } else { node.target }
    var name: String
    repeat {
      steps += 1
      name = "\(result)#\(steps)"
    } while compiler.operands[name] != nil
    return name
  }

  private func carryOut(
    _ operation: String, _ arguments: KeyValuePairs<String, Argument>, _ outputs: [Argument]
  ) throws {
    try compiler.carryOut(
      ExportedProgram.Node(
        target: "aten.\(operation)",
        arguments: arguments.map { .init(name: $0.key, value: $0.value) }, outputs: outputs,
        modules: node.modules))
  }
}

extension ExportedProgram.Argument {
  /// Whole numbers as an argument.
  static func ints(_ values: [Int]) -> Self { .list(values.map { .int($0) }) }
}
