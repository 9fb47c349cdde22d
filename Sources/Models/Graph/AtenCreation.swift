/// Operations that make tensors of numbers: all are known.
extension AtenOperations {
  static let creation: [String: Entry] = [
    "arange": { call in
      let start = call.overload == "default" ? 0 : try call.real("start", 0)
      let (end, step) = (try call.real("end"), try call.real("step", 1))
      guard step != 0, start.isFinite, end.isFinite, step.isFinite else {
        throw GraphError("a range by \(step)")
      }
      let count = max(0, ((end - start) / step).rounded(.up))
      guard count <= Double(HostArray.maximumCount) else { throw GraphError("a range of \(count)") }
      var isWhole = true
      for name in ["start", "end", "step"] {
        if case .number(.real) = try call[name] { isWhole = false }
      }
      let kind = try call.resultKind(isWhole ? .integer : .float32)
      return [.known(try HostArray(kind, [Int(count)]) { start + Double($0) * step })]
    },
    "linspace": { call in
      let (start, end, steps) = (
        try call.real("start"), try call.real("end"), try call.int("steps")
      )
      let kind = try call.resultKind(.float32)
      return [
        .known(
          try HostArray(kind, [steps]) { index in
            // PyTorch counts from both ends.
            let step = (end - start) / Double(max(1, steps - 1))
            return index < steps / 2
              ? start + Double(index) * step : end - Double(steps - 1 - index) * step
          })
      ]
    },
    "zeros": { call in [try filled(call, try call.shape("size"), 0)] },
    "ones": { call in [try filled(call, try call.shape("size"), 1)] },
    "full": { call in [try filled(call, try call.shape("size"), try call.real("fill_value"))] },
    "empty": { call in [try filled(call, try call.shape("size"), 0)] },
    "scalar_tensor": { call in [try filled(call, [], try call.real("s"))] },
    "zeros_like": { call in [try filled(call, try call.shapeOf("self"), 0)] },
    "ones_like": { call in [try filled(call, try call.shapeOf("self"), 1)] },
    "full_like": { call in
      [try filled(call, try call.shapeOf("self"), try call.real("fill_value"))]
    },
    "empty_like": { call in [try filled(call, try call.shapeOf("self"), 0)] },
    "new_zeros": { call in [try filled(call, try call.shape("size"), 0)] },
    "new_ones": { call in [try filled(call, try call.shape("size"), 1)] },
    "new_full": { call in [try filled(call, try call.shape("size"), try call.real("fill_value"))] },
    "new_empty": { call in [try filled(call, try call.shape("size"), 0)] },
    "eye": { call in
      let rows = try call.int("n")
      let columns = try call.int("m", rows)
      let kind = try call.resultKind(.float32)
      return [
        .known(try HostArray(kind, [rows, columns]) { $0 / columns == $0 % columns ? 1 : 0 })
      ]
    },
    "tril": { call in [try triangle(call) { $0 <= $1 }] },
    "triu": { call in [try triangle(call) { $0 >= $1 }] },
    "meshgrid": { call in
      var arrays: [HostArray] = []
      for operand in try call.operands("tensors") {
        guard let array = try call.compiler.known(operand), array.rank <= 1 else {
          throw GraphError("a grid of \(operand.title)", expected: "constants of one axis")
        }
        arrays.append(array)
      }
      let swaps = try call.text("indexing", "ij") == "xy" && arrays.count > 1
      if swaps { arrays.swapAt(0, 1) }
      let shape = arrays.map(\.count)
      _ = try HostArray.count(shape)
      var results = arrays.enumerated().map { axis, array in
        var own = [Int](repeating: 1, count: shape.count)
        own[axis] = array.count
        return array.reshaped(own).expanded(to: shape)
      }
      if swaps {
        results.swapAt(0, 1)
        results = results.map { array in
          var axes = Array(0..<array.rank)
          axes.swapAt(0, 1)
          return array.permuted(axes)
        }
      }
      return results.map { .known($0) }
    },
  ]

  private static func filled(
    _ call: AtenCall, _ shape: [Int], _ value: Double
  ) throws(GraphError) -> GraphOperand {
    .known(try HostArray(try call.resultKind(.float32), shape) { _ in value })
  }

  private static func triangle(
    _ call: AtenCall, _ keeps: (_ column: Int, _ row: Int) -> Bool
  ) throws(GraphError) -> GraphOperand {
    guard let array = try call.compiler.known(try call["self"]), array.rank >= 2 else {
      throw GraphError(
        .unrecognised, "a triangle of \(try call["self"].title)", advice: GraphError.capture)
    }
    let diagonal = try call.int("diagonal", 0)
    let (rows, columns) = (array.shape[array.rank - 2], array.shape[array.rank - 1])
    let values = array.values
    return .known(
      try HostArray(array.kind, array.shape) { index in
        keeps(index % columns, index / columns % rows + diagonal) ? values[index] : 0
      })
  }
}

extension AtenCall {
  /// The kind that `dtype` names, that of `self`, or the given one.
  func resultKind(_ standard: HostArray.Kind) throws(GraphError) -> HostArray.Kind {
    if case .kind(let kind) = try self["dtype"] {
      guard let kind else { throw GraphError("a tensor of an unknown type") }
      return kind
    }
    let like = try self["self"]
    if let array = try compiler.known(like) { return array.kind }
    return standard
  }

  /// Extents of a constant: those of images' axes are one, and repeated where they meet others.
  func shape(_ name: String) throws(GraphError) -> [Int] {
    var shape: [Int] = []
    for (place, extent) in try extents(name).enumerated() {
      switch extent {
      case .int(let value) where value >= 0:
        // As many as images were exported, as the first of several axes: one serves all.
        let images = compiler.exportedImages ?? 0
        let like = try self["self"]
        shape.append(place == 0 && images > 1 && value == images && like.isDependent ? 1 : value)
      case .perImage(1): shape.append(1)
      default: throw GraphError("an extent \(extent.text) of a constant")
      }
    }
    return shape
  }

  /// The extents of a tensor, for a constant like it.
  func shapeOf(_ name: String) throws(GraphError) -> [Int] {
    let operand = try self[name]
    guard var dimensions = operand.dimensions else { throw wrong(name, operand, "a tensor") }
    // What is the same for every image is one, and repeated where it meets others.
    if case .value(let value) = operand, let axis = value.batchAxis { dimensions[axis] = 1 }
    return dimensions
  }
}
