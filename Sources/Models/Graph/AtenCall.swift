import Checkpoints
import Tensors

/// One operation of a graph with its arguments, as an entry of ``AtenOperations`` reads them.
struct AtenCall {
  let node: ExportedProgram.Node
  let compiler: GraphCompiler
  /// The operation without namespace, overload and the mark of writing in place: `add`.
  let operation: String
  /// `Tensor`, `default`, `int`.
  let overload: String
  /// Whether the result is written into the first argument.
  let isInPlace: Bool

  init(_ node: ExportedProgram.Node, _ compiler: GraphCompiler) {
    (self.node, self.compiler) = (node, compiler)
    (operation, overload) = Self.base(of: node.target)
    isInPlace = Self.isInPlace(node.target)
  }

  /// The name of an operation without its namespace and its overload.
  static func base(of target: String) -> (name: String, overload: String) {
    let parts = target.split(separator: ".").map(String.init)
    guard parts.count >= 2 else { return (target, "") }
    var name =
      parts[0] == "aten" ? parts[1] : parts.dropLast(parts.count > 2 ? 1 : 0).joined(separator: ".")
    if isInPlace(target) { name.removeLast() }
    return (name, parts.count > 2 ? parts[parts.count - 1] : "")
  }

  /// Whether an operation writes into its first argument: `aten.relu_.default`.
  static func isInPlace(_ target: String) -> Bool {
    let parts = target.split(separator: ".")
    return parts.count >= 2 && parts[0] == "aten" && parts[1].hasSuffix("_")
      && !parts[1].hasPrefix("_")
  }

  // MARK: Arguments

  /// The argument of a name; none if it was left out.
  subscript(_ name: String) -> GraphOperand {
    get throws(GraphError) {
      guard let argument = node.arguments.first(where: { $0.name == name }) else { return .none }
      return try compiler.operand(argument.value)
    }
  }

  func wrong(_ name: String, _ found: GraphOperand, _ expected: String) -> GraphError {
    GraphError("\(name) is \(found.title)", expected: expected)
  }

  /// A tensor of the engine.
  func tensor(_ name: String) throws(GraphError) -> GraphValue {
    let operand = try self[name]
    guard operand.isTensor else { throw wrong(name, operand, "a tensor") }
    return try compiler.value(operand)
  }

  /// A tensor of the engine, or nil where there is none.
  func optionalTensor(_ name: String) throws(GraphError) -> GraphValue? {
    if case .none = try self[name] { return nil }
    return try tensor(name)
  }

  /// Several tensors.
  func operands(_ name: String) throws(GraphError) -> [GraphOperand] {
    let operand = try self[name]
    guard case .list(let items) = operand, !items.isEmpty else {
      throw wrong(name, operand, "a list")
    }
    return items
  }

  /// A place, extent or distance at most this far from 0, so that sums and products of two have a value. The end
  /// of a slice is written as the largest integer.
  private static func bounded(_ value: Int) -> Int { min(max(value, -(1 << 31)), 1 << 31) }

  private static func bounded(_ value: GraphNumber) -> GraphNumber {
    switch value {
    case .int(let value): .int(bounded(value))
    case .perImage(let value): .perImage(bounded(value))
    case .real: value
    }
  }

  func int(_ name: String, _ standard: Int? = nil) throws(GraphError) -> Int {
    let operand = try self[name]
    switch operand {
    case .number(.int(let value)): return Self.bounded(value)
    case .none:
      if let standard { return standard }
    default: break
    }
    throw wrong(name, operand, "a whole number")
  }

  func optionalInt(_ name: String) throws(GraphError) -> Int? {
    if case .none = try self[name] { return nil }
    return try int(name)
  }

  func real(_ name: String, _ standard: Double? = nil) throws(GraphError) -> Double {
    let operand = try self[name]
    switch operand {
    case .number(.int(let value)): return Double(value)
    case .number(.real(let value)): return value
    case .bool(let value): return value ? 1 : 0
    case .none:
      if let standard { return standard }
    default: break
    }
    throw wrong(name, operand, "a number")
  }

  func optionalReal(_ name: String) throws(GraphError) -> Double? {
    if case .none = try self[name] { return nil }
    return try real(name)
  }

  func bool(_ name: String, _ standard: Bool) throws(GraphError) -> Bool {
    let operand = try self[name]
    switch operand {
    case .bool(let value): return value
    case .none: return standard
    default: throw wrong(name, operand, "true or false")
    }
  }

  func text(_ name: String, _ standard: String) throws(GraphError) -> String {
    let operand = try self[name]
    switch operand {
    case .text(let value): return value
    case .none: return standard
    default: throw wrong(name, operand, "text")
    }
  }

  /// Whole numbers; a single one stands for a list of one.
  func ints(_ name: String, _ standard: [Int]? = nil) throws(GraphError) -> [Int] {
    let operand = try self[name]
    switch operand {
    case .none:
      if let standard { return standard }
    case .number(.int(let value)): return [Self.bounded(value)]
    case .list(let items):
      var values: [Int] = []
      for case .number(.int(let value)) in items { values.append(Self.bounded(value)) }
      if values.count == items.count { return values }
    default: break
    }
    throw wrong(name, operand, "whole numbers")
  }

  /// Extents, which may follow the number of images.
  func extents(_ name: String) throws(GraphError) -> [GraphNumber] {
    let operand = try self[name]
    switch operand {
    case .number(let value): return [Self.bounded(value)]
    case .list(let items):
      var values: [GraphNumber] = []
      for case .number(let value) in items { values.append(Self.bounded(value)) }
      if values.count == items.count { return values }
    default: break
    }
    throw wrong(name, operand, "extents")
  }

  /// Two numbers of a window, rows and columns, of an argument of one or two.
  func pair(_ name: String, _ standard: [Int]) throws(GraphError) -> (Int, Int) {
    var values = try ints(name, standard.isEmpty ? nil : standard)
    if values.isEmpty { values = standard }
    guard values.count == 1 || values.count == 2 else {
      throw GraphError("\(name) of \(values.count) numbers", expected: "rows and columns")
    }
    return (values[0], values[values.count - 1])
  }

  /// An axis of a tensor.
  func axis(
    _ name: String = "dim", of rank: Int, _ standard: Int? = nil
  ) throws(GraphError) -> Int {
    let index = try int(name, standard)
    let axis = index < 0 ? index + rank : index
    guard (0..<rank).contains(axis) else {
      throw GraphError("\(name) \(index)", expected: "an axis of \(rank)")
    }
    return axis
  }

  /// Axes of a tensor: all if none are named.
  func axes(_ name: String = "dim", of rank: Int) throws(GraphError) -> [Int] {
    let named = try ints(name, [])
    if named.isEmpty { return Array(0..<rank) }
    var axes: [Int] = []
    for index in named {
      let axis = index < 0 ? index + rank : index
      guard (0..<rank).contains(axis), !axes.contains(axis) else {
        throw GraphError("\(name) \(named)", expected: "different axes of \(rank)")
      }
      axes.append(axis)
    }
    return axes
  }

  /// Refuses arguments that this reading of the operation does not know.
  func require(only names: String...) throws(GraphError) {
    for argument in node.arguments where !names.contains(argument.name) {
      switch argument.value {
      case .placement, .none: continue
      default:
        throw GraphError(
          .unrecognised, "an argument \"\(argument.name)\"", advice: GraphError.capture)
      }
    }
  }
}
