import Checkpoints

/// Writing into memory.
extension AtenOperations {
  static let writes: [String: Entry] = [
    "fill": { call in [try written(call, try call.real("value"))] },
    "zero": { call in [try written(call, 0)] },
    "copy": { call in
      let (array, source) = (
        try call.compiler.known(try call["self"]), try call.compiler.known(try call["src"])
      )
      guard let array, let source, HostArray.broadcast(array.shape, source.shape) == array.shape
      else {
        throw GraphError(
          .unrecognised, "a copy in place of values that depend on images or parameters",
          advice: GraphError.capture)
      }
      array.write(source.expanded(to: array.shape).values)
      return [.known(array)]
    },
    "slice_scatter": { call in
      let part = try call["src"]
      guard part.isTensor else { throw call.wrong("src", part, "a tensor") }
      return [try writtenBack(part, call)]
    },
  ]

  private static func written(_ call: AtenCall, _ value: Double) throws(GraphError) -> GraphOperand
  {
    let operand = try call["self"]
    guard let array = try call.compiler.known(operand) else {
      if let dimensions = operand.dimensions, !operand.isDependent {
        return .known(try HostArray(.float32, dimensions) { _ in value })
      }
      throw GraphError(
        .unrecognised, "values that depend on images filled in place",
        advice: GraphError.capture)
    }
    let target = call.isInPlace ? array : array.converted(to: array.kind)
    target.write([Double](repeating: value, count: array.count))
    return .known(target)
  }

  // MARK: Writing into a part

  /// Whether what is written into a view can be written into what it is a view of.
  static func isWritable(through view: ExportedProgram.Node) -> Bool {
    AtenCall.base(of: view.target).name == "slice"
  }

  /// What a value becomes when a part of it, a slice, is written into.
  static func writtenBack(
    _ part: GraphOperand, _ slice: AtenCall
  ) throws(GraphError) -> GraphOperand {
    let (whole, rank) = try slice.tensorLike("self")
    let range = try slice.range(of: whole, rank)
    guard range.step == 1 else {
      throw GraphError(
        "a change in place of every \(range.step)th place", advice: GraphError.capture)
    }
    let extent = whole.dimensions?[range.axis] ?? 0
    var parts = [part]
    if range.start > 0 {
      parts.insert(try sliced(slice, whole, range.axis, 0, range.start, step: 1), at: 0)
    }
    if let end = range.end, end < extent {
      parts.append(try sliced(slice, whole, range.axis, end, nil, step: 1))
    }
    return try joined(slice, parts, range.axis)
  }
}
