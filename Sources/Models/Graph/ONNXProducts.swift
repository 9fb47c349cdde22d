import Checkpoints
import Tensors

/// Products, normalisations, and sums over axes.
extension ONNXOperations {
  private typealias Argument = ExportedProgram.Argument

  static let products: [String: Entry] = [
    "MatMul": { call in try call.make("matmul", ["self": call[0], "other": call[1]]) },
    "Einsum": { call in
      try call.make(
        "einsum",
        ["equation": .string(try call.text("equation", "")), "tensors": .list(call.inputs)])
    },
    "Gemm": { call in
      var (a, b) = (call[0], call[1])
      let (alpha, beta) = (try call.real("alpha", 1), try call.real("beta", 1))
      if try call.int("transA", 0) != 0 { a = try call.step("t", ["self": a]) }
      let isTransposed = try call.int("transB", 0) != 0
      let bias = call[2]
      let columns = try call.extents(b)[isTransposed ? 0 : 1]
      let isVector = bias == .none ? true : try call.extents(bias) == [columns]
      if alpha == 1, beta == 1, isVector, try !call.operand(b).isDependent {
        // A linear layer.
        if !isTransposed { b = try call.step("t", ["self": b]) }
        return try call.make("linear", ["input": a, "weight": b, "bias": bias])
      }
      if isTransposed { b = try call.step("t", ["self": b]) }
      var value = try call.step("matmul", ["self": a, "other": b])
      if alpha != 1 { value = try call.step("mul", ["self": value, "other": .real(alpha)]) }
      guard bias != .none else { return try call.make("alias", ["self": value]) }
      try call.make("add", ["self": value, "other": bias, "alpha": .real(beta)])
    },
    "LayerNormalization": { call in
      call.ignore("stash_type")
      let extents = try call.extents(call[0])
      let axis = try call.place(try call.int("axis", -1), extents.count)
      try call.make(
        "layer_norm",
        [
          "input": call[0], "normalized_shape": .ints(Array(extents[axis...])), "weight": call[1],
          "bias": call[2], "eps": .real(try call.real("epsilon", Double(Float(1e-5)))),
        ])
    },
    "BatchNormalization": { call in
      call.ignore("momentum")
      try call.make(
        "batch_norm",
        [
          "input": call[0], "weight": call[1], "bias": call[2], "running_mean": call[3],
          "running_var": call[4], "training": .bool(try call.int("training_mode", 0) != 0),
          "eps": .real(try call.real("epsilon", Double(Float(1e-5)))),
        ])
    },
    "InstanceNormalization": { call in
      try call.make(
        "instance_norm",
        [
          "input": call[0], "weight": call[1], "bias": call[2],
          "eps": .real(try call.real("epsilon", Double(Float(1e-5)))),
        ])
    },
    "GroupNormalization": { call in
      call.ignore("stash_type")
      let (extents, groups) = (try call.extents(call[0]), try call.int("num_groups", 0))
      guard extents.count > 1, groups > 0, extents[1].isMultiple(of: groups) else {
        throw GraphError("\(groups) groups of channels of \(extents)")
      }
      // Up to version 20 a gain and a shift a group.
      func channels(_ index: Int) throws -> Argument {
        try call.step(
          "repeat_interleave",
          ["self": call[index], "repeats": .int(extents[1] / groups), "dim": .int(0)])
      }
      try call.make(
        "group_norm",
        [
          "input": call[0], "num_groups": .int(groups), "weight": try channels(1),
          "bias": try channels(2), "eps": .real(try call.real("epsilon", Double(Float(1e-5)))),
        ])
    },
    "LpNormalization": { call in
      try call.require("p", 2, is: 2)
      let axis = try call.int("axis", -1)
      let norm = try call.step(
        "linalg_vector_norm", ["self": call[0], "dim": .int(axis), "keepdim": .bool(true)])
      try call.make("div", ["self": call[0], "other": norm])
    },
    "CumSum": { call in
      try call.require("exclusive", 0, is: 0)
      try call.require("reverse", 0, is: 0)
      let axis = try call.requireKnown(1, "axes").scalar ?? 0
      try call.make(
        "cumsum", ["self": call[0], "dim": .int(Int(min(max(axis, -0x1p31), 0x1p31)))])
    },
  ]

  // MARK: Over axes

  static let reductions: [String: Entry] = [
    "ReduceMean": reduced("mean") { _, a, b in a + b },
    "ReduceSum": reduced("sum") { _, a, b in a + b },
    "ReduceMax": reduced("amax") { isFirst, a, b in isFirst ? b : max(a, b) },
    "ReduceMin": reduced("amin") { isFirst, a, b in isFirst ? b : min(a, b) },
    "ReduceProd": reduced(nil) { isFirst, a, b in isFirst ? b : a * b },
    "ReduceL2": reduced("linalg_vector_norm"),
    "ReduceL1": reduced("sum", of: "abs"),
    "ReduceSumSquare": reduced("sum", of: "square"),
    "ReduceLogSum": reduced("sum", then: "log"),
    "ReduceLogSumExp": reduced("sum", of: "exp", then: "log"),
  ]

  /// - Parameters:
  ///   - operation: that of PyTorch; nil where there is none.
  ///   - function: what is done to each value before.
  ///   - last: what is done to each result.
  ///   - combine: for values that are known, the result so far (none at the first) with the next.
  private static func reduced(
    _ operation: String?, of function: String? = nil, then last: String? = nil,
    _ combine: (@Sendable (_ isFirst: Bool, Double, Double) -> Double)? = nil
  ) -> Entry {
    { call in
      let extents = try call.extents(call[0])
      let axes = try call.axes(1, rank: extents.count) ?? []
      let (keeps, isNoop) = (
        try call.int("keepdims", 1) != 0, try call.int("noop_with_empty_axes", 0) != 0
      )
      if axes.isEmpty, isNoop, function == nil, last == nil { return try same(call) }
      if let combine, let array = try call.known(call[0]) {
        let all = axes.isEmpty ? Array(extents.indices) : axes
        let divisor = operation == "mean" ? all.reduce(1) { $0 * array.shape[$1] } : 1
        return call.give(try array.folded(all, keeps: keeps, by: Double(divisor), combine))
      }
      guard let operation else {
        throw GraphError(
          .unrecognised, "a product of values that depend on images", advice: GraphError.capture)
      }
      guard !axes.isEmpty || !isNoop else { throw GraphError("a reduction over no axes") }
      var value = call[0]
      if let function { value = try call.step(function, ["self": value]) }
      guard let last else {
        return try call.make(
          operation, ["self": value, "dim": .ints(axes), "keepdim": .bool(keeps)])
      }
      value = try call.step(
        operation, ["self": value, "dim": .ints(axes), "keepdim": .bool(keeps)])
      try call.make(last, ["self": value])
    }
  }
}
