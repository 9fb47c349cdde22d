import Checkpoints

/// Arithmetic of extents, and operations that only make sure of something.
extension AtenOperations {
  static let symbols: [String: Entry] = [
    "_assert_tensor_metadata": nothing, "_assert_async": nothing, "_assert_scalar": nothing,
    "sym_constrain_range": nothing, "sym_constrain_range_for_size": nothing,
    "sym_size": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank)
      let extent = operand.dimensions?[axis] ?? 0
      if case .value(let value) = operand, value.batchAxis == axis {
        return [
          .number(call.compiler.exportedImages.map { .int($0 * extent) } ?? .perImage(extent))
        ]
      }
      return [.number(.int(extent))]
    },
    "_operator.mul": numbers { $0.multipliedReportingOverflow(by: $1) },
    "_operator.add": numbers { $0.addingReportingOverflow($1) },
    "_operator.sub": numbers { $0.subtractingReportingOverflow($1) },
    "_operator.floordiv": numbers(divided), "math.floor": firstNumber, "math.trunc": firstNumber,
    "_operator.mod": numbers { a, b in
      b == 0 ? (0, true) : ((a % b + b) % b, false)
    },
    "_operator.getitem": { call in
      guard call.node.arguments.count == 2,
        case .list(let items) = try call.compiler.operand(call.node.arguments[0].value),
        case .number(.int(let index)) = try call.compiler.operand(call.node.arguments[1].value),
        items.indices.contains(index)
      else { throw GraphError("a part of something that is no list") }
      return [items[index]]
    },
    "_operator.eq": truth, "_operator.ne": truth, "_operator.ge": truth, "_operator.le": truth,
    "_operator.gt": truth, "_operator.lt": truth, "_operator.and_": truth, "_operator.or_": truth,
  ]

  private static let nothing: Entry = { call in call.node.outputs.map { _ in .none } }

  /// Of a condition on extents, which a graph is exported under: what follows from it is in the graph.
  private static let truth: Entry = { _ in [.bool(true)] }

  private static let firstNumber: Entry = { call in
    guard let argument = call.node.arguments.first else { throw GraphError("no argument") }
    return [try call.compiler.operand(argument.value)]
  }

  @Sendable private static func divided(_ a: Int, _ b: Int) -> (partialValue: Int, overflow: Bool) {
    guard b > 0, a % b == 0 else { return (0, true) }
    return (a / b, false)
  }

  private static func numbers(
    _ combine: @escaping @Sendable (Int, Int) -> (partialValue: Int, overflow: Bool)
  ) -> Entry {
    { call throws(GraphError) in
      guard call.node.arguments.count == 2 else {
        throw GraphError("\(call.node.arguments.count) arguments", expected: "two")
      }
      let a = try call.compiler.operand(call.node.arguments[0].value)
      let b = try call.compiler.operand(call.node.arguments[1].value)
      func failure() -> GraphError {
        GraphError(
          .unrecognised, "\(call.operation) of \(a.title) and \(b.title)",
          expected: "extents that are multiples of the number of images",
          advice: "Export the model with a fixed number of images")
      }
      guard case .number(let x) = a, case .number(let y) = b else { throw failure() }
      let result: (partialValue: Int, overflow: Bool)
      let isMultiple: Bool
      switch (x, y, call.operation) {
      case (.int(let x), .int(let y), _): (result, isMultiple) = (combine(x, y), false)
      case (.perImage(let x), .int(let y), "_operator.mul"),
        (.int(let x), .perImage(let y), "_operator.mul"),
        (.perImage(let x), .int(let y), "_operator.floordiv"),
        (.perImage(let x), .perImage(let y), "_operator.add"):
        (result, isMultiple) = (combine(x, y), true)
      case (.perImage(let x), .perImage(let y), "_operator.floordiv"):
        (result, isMultiple) = (combine(x, y), false)
      default: throw failure()
      }
      guard !result.overflow, result.partialValue >= 0 || !isMultiple else { throw failure() }
      return [.number(isMultiple ? .perImage(result.partialValue) : .int(result.partialValue))]
    }
  }
}
