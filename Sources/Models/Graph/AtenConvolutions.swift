import Tensors

/// Convolutions of maps `[N, C, H, W]`, which lie channels last, and of rows `[N, C, L]`.
extension AtenOperations {
  static let convolutions: [String: Entry] = [
    "conv2d": convolved, "conv1d": convolved, "conv_transpose2d": transposed,
    "conv_transpose1d": transposed,
  ]

  private static let convolved: Entry = { call in
    let (map, weight) = try operands(call)
    let window = try call.window(
      kernel: (weight.shape[2], weight.shape[3]), stride: [1, 1], isRow: map.isRow)
    return [try call.operand(try convolution(call, map.value, weight, window), of: map)]
  }

  /// Weights as those of a map.
  private struct Weight {
    let operand: GraphOperand
    let shape: [Int]
  }

  private static func operands(_ call: AtenCall) throws(GraphError) -> (AtenMap, Weight) {
    let operand = try call["weight"]
    guard let shape = operand.dimensions, shape.count == 3 || shape.count == 4,
      shape.allSatisfy({ $0 > 0 }), !operand.isDependent
    else {
      throw GraphError("weights \(operand.title)", expected: "[out, in / groups, kh, kw]")
    }
    let map = try call.mapOrRow("input", isRow: shape.count == 3)
    guard map.isRow else { return (map, Weight(operand: operand, shape: shape)) }
    let lifted = Array(shape[..<2]) + [1, shape[2]]
    let weight = try call.compiler.reshaped(
      try call.compiler.value(operand), lifted, batchAxis: nil)
    return (map, Weight(operand: .value(weight), shape: lifted))
  }

  /// Weights with the axis of their inputs last.
  private static func filters(
    _ weight: Weight, _ compiler: GraphCompiler
  ) throws(GraphError) -> GraphValue {
    let value =
      if case .stored(let stored) = weight.operand, stored.isParameter {
        try compiler.value(of: stored, ofConvolution: true)
      } else {
        try compiler.value(weight.operand)
      }
    return try compiler.arranged(value, [0, 2, 3, 1])
  }

  // MARK: Convolution

  private static func convolution(
    _ call: AtenCall, _ map: GraphValue, _ weight: Weight, _ window: GraphWindow
  ) throws(GraphError) -> GraphValue {
    let compiler = call.compiler
    let (shape, groups) = (weight.shape, try call.int("groups", 1))
    guard groups > 0, map.dimensions[1] == shape[1] * groups, shape[0].isMultiple(of: groups) else {
      throw GraphError(
        "weights \(shape) in \(groups) groups over a map \(map.text)",
        expected: "weights [out, in / groups, kh, kw] that fit")
    }
    let sliding = try window.sliding(map, isPool: false)
    let filters = try filters(weight, compiler)
    let bias = try call.vector("bias", shape[0])
    return try compiler.emit(
      [map, filters] + (bias.map { [$0] } ?? []), order: map.order, batchAxis: map.batchAxis,
      as: .convolution(sliding, groups: groups)
    ) { inputs, _ in
      Tensors.convolution(
        inputs[0], inputs[1], window: sliding, groups: groups,
        affine: inputs.count > 2 ? ChannelAffine(bias: inputs[2]) : nil)
    }
  }

  // MARK: The adjoint

  private static let transposed: Entry = { call in
    let (map, weight) = try operands(call)
    let (compiler, shape, groups) = (call.compiler, weight.shape, try call.int("groups", 1))
    let window = try call.window(
      kernel: (shape[2], shape[3]), stride: [1, 1], isRow: map.isRow)
    let told = try call.pair("output_padding", [0, 0])
    let more = (map.isRow ? 0 : told.0, told.1)
    let (x, stride) = (map.value, window.stride)
    let numbers = [stride.0, stride.1, window.dilation.0, window.dilation.1, shape[2], shape[3]]
    guard groups > 0, x.dimensions[1] == shape[0], shape[0].isMultiple(of: groups),
      numbers.allSatisfy({ $0 > 0 && $0 <= 1 << 16 }), x.dimensions[2] <= 1 << 20,
      x.dimensions[3] <= 1 << 20, (0..<stride.0).contains(more.0), (0..<stride.1).contains(more.1)
    else {
      throw GraphError(
        "weights \(shape) in \(groups) groups, \(window.text) and \(more) more, of \(x.text)",
        expected: "weights [in, out / groups, kh, kw] that fit")
    }
    func extent(_ count: Int, _ stride: Int, _ reach: Int, _ pads: Int, _ more: Int) -> Int {
      (count - 1) * stride + reach - pads + more
    }
    let height = extent(
      x.dimensions[2], stride.0, (shape[2] - 1) * window.dilation.0 + 1,
      window.padding.0 + window.padding.2, more.0)
    let width = extent(
      x.dimensions[3], stride.1, (shape[3] - 1) * window.dilation.1 + 1,
      window.padding.1 + window.padding.3, more.1)
    let channels = shape[1] * groups
    let target = GraphValue(
      slot: x.slot, dimensions: [x.dimensions[0], channels, height, width], order: x.order,
      batchAxis: x.batchAxis)
    guard height > 0, width > 0, height <= 1 << 20, width <= 1 << 20 else {
      throw GraphError("\(window.text) from \(x.text)", expected: "places")
    }
    let sliding = try window.sliding(target, isPool: false)
    let filters = try filters(weight, compiler)
    let bias = try call.vector("bias", channels)
    let sum = try compiler.emit(
      [x, filters] + (bias.map { [$0] } ?? []), order: x.order, batchAxis: x.batchAxis
    ) { inputs, _ in
      let y = transposedConvolution(
        inputs[0], inputs[1], window: sliding, outputPadding: more, groups: groups)
      return inputs.count > 2 ? y + inputs[2] : y
    }
    return [try call.operand(sum, of: map)]
  }
}
