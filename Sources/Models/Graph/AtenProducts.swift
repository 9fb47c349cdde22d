import Checkpoints
import Tensors

/// Products, attention, and normalisations over rows.
extension AtenOperations {
  static let products: [String: Entry] = [
    "linear": { call in
      let value = try call.tensor("input")
      let weight = try call.compiler.inOrder(try call.tensor("weight"))
      guard value.rank > 0, weight.rank == 2, !weight.isDependent,
        value.dimensions[value.rank - 1] == weight.dimensions[1], value.batchAxis != value.rank - 1
      else {
        throw GraphError("weights \(weight.text) on rows of \(value.text)", expected: "[out, in]")
      }
      let bias = try call.vector("bias", weight.dimensions[0])
      let x = try call.compiler.innermost(value, value.rank - 1)
      let inputs = [x, weight] + (bias.map { [$0] } ?? [])
      return [
        .value(
          try call.compiler.emit(
            inputs, order: x.order, batchAxis: x.batchAxis, ofRows: true, as: .linear
          ) { inputs, _ in
            Tensors.linear(inputs[0], inputs[1], bias: inputs.count > 2 ? inputs[2] : nil)
          })
      ]
    },
    "matmul": { call in
      [.value(try product(call, try call.tensor("self"), try call.tensor("other")))]
    },
    "mm": { call in [.value(try product(call, try call.tensor("self"), try call.tensor("mat2")))] },
    "bmm": { call in [.value(try product(call, try call.tensor("self"), try call.tensor("mat2")))]
    },
    "addmm": { call in
      guard try call.real("beta", 1) == 1, try call.real("alpha", 1) == 1 else {
        throw GraphError("addmm with factors")
      }
      let y = try product(call, try call.tensor("mat1"), try call.tensor("mat2"))
      let bias = try call.tensor("self")
      guard bias.rank == 1, !bias.isDependent, y.order.last == 1,
        bias.dimensions[0] == y.dimensions[1]
      else { return [.value(try call.compiler.combined(y, bias) { $0 + $1 })] }
      return [
        .value(
          try call.compiler.emit([y, bias], order: y.order, batchAxis: y.batchAxis, ofRows: true) {
            inputs, _ in inputs[0] + inputs[1]
          })
      ]
    },
    "baddbmm": { call in
      guard try call.real("beta", 1) == 1, try call.real("alpha", 1) == 1 else {
        throw GraphError("baddbmm with factors")
      }
      let y = try product(call, try call.tensor("batch1"), try call.tensor("batch2"))
      return [.value(try call.compiler.combined(y, try call.tensor("self")) { $0 + $1 })]
    },
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    "layer_norm": { call in
      let value = try call.tensor("input")
      let shape = try call.ints("normalized_shape")
      let axes = shape.count
      guard axes > 0, axes < value.rank, Array(value.dimensions.suffix(axes)) == shape,
        value.batchAxis.map({ $0 < value.rank - axes }) ?? true
      else { throw GraphError("a normalisation over \(shape) of \(value.text)") }
      let compiler = call.compiler
      let x =
        axes == 1
        ? try compiler.innermost(value, value.rank - 1) : try compiler.inOrder(value)
      let epsilon = Float(try call.real("eps", 1e-5))
      let (gamma, beta) = (try call.weights("weight", shape), try call.weights("bias", shape))
      let inputs = [x] + [gamma, beta].compactMap(\.self)
      let (hasGamma, hasBeta) = (gamma != nil, beta != nil)
      return [
        .value(
          try compiler.emit(
            inputs, order: x.order, batchAxis: x.batchAxis,
            as: axes == 1 && hasGamma && hasBeta ? .norm(epsilon: epsilon) : .other
          ) { inputs, _ in
            let gamma = hasGamma ? inputs[1] : nil
            let beta = hasBeta ? inputs[inputs.count - 1] : nil
            if axes == 1, let gamma, let beta {
              return inputs[0].layerNorm(gamma: gamma, beta: beta, epsilon: epsilon)
            }
            return inputs[0].layerNorm(axes: axes, gamma: gamma, beta: beta, epsilon: epsilon)
          })
      ]
    },
    "rms_norm": { call in
      let value = try call.tensor("input")
      let shape = try call.ints("normalized_shape")
      guard !shape.isEmpty, shape.count < value.rank,
        Array(value.dimensions.suffix(shape.count)) == shape,
        value.batchAxis.map({ $0 < value.rank - shape.count }) ?? true
      else { throw GraphError("a normalisation over \(shape) of \(value.text)") }
      let x = try call.compiler.inOrder(value)
      let epsilon = Float(try call.real("eps", Double(Float.ulpOfOne)))
      let gamma = try call.weights("weight", shape)
      let axes = shape.count
      return [
        .value(
          try call.compiler.emit(
            [x] + (gamma.map { [$0] } ?? []), order: x.order, batchAxis: x.batchAxis
          ) { inputs, _ in
            inputs[0].rmsNorm(
              axes: axes, gamma: inputs.count > 1 ? inputs[1] : nil, epsilon: epsilon)
          })
      ]
    },
    "group_norm": { call in
      try groupNorm(call, groups: try call.int("num_groups"), epsilon: try call.real("eps", 1e-5))
    },
    "instance_norm": { call in
      guard try call.bool("use_input_stats", true) else {
        throw GraphError("instance normalisation by running statistics")
      }
      let channels = try call.tensor("input").dimensions.dropFirst().first ?? 0
      return try groupNorm(call, groups: channels, epsilon: try call.real("eps", 1e-5))
    },
    "softmax": { call in [try alongAxis(call, as: .softmax) { $0.softmax() }] },
    "_softmax": { call in [try alongAxis(call, as: .softmax) { $0.softmax() }] },
    "log_softmax": { call in [try alongAxis(call) { $0 - $0.logSumExp() }] },
    "_log_softmax": { call in [try alongAxis(call) { $0 - $0.logSumExp() }] },
  ]

  /// A function of rows along an axis.
  private static func alongAxis(
    _ call: AtenCall, as kind: GraphStep.Kind = .other,
    _ function: @escaping @Sendable (Tensor) -> Tensor
  ) throws(GraphError) -> GraphOperand {
    let value = try call.tensor(call.firstName)
    let axis = try call.axis(of: value.rank)
    try call.requireNotImages(value, axis)
    return .value(
      try call.compiler.mapped(try call.compiler.innermost(value, axis), as: kind, function))
  }

  private static func groupNorm(
    _ call: AtenCall, groups: Int, epsilon: Double
  ) throws(GraphError) -> [GraphOperand] {
    let value = try call.tensor("input")
    guard value.rank >= 3, value.batchAxis == 0, groups > 0,
      value.dimensions[1].isMultiple(of: groups)
    else { throw GraphError("\(groups) groups of channels of \(value.text)") }
    let channels = value.dimensions[1]
    let order = [0] + Array(2..<value.rank) + [1]
    let x = try call.compiler.arranged(value, order)
    let (gamma, beta) = (try call.vector("weight", channels), try call.vector("bias", channels))
    let inputs = [x] + [gamma, beta].compactMap(\.self)
    let (hasGamma, hasBeta) = (gamma != nil, beta != nil)
    let small = Float(epsilon)
    return [
      .value(
        try call.compiler.emit(inputs, order: order, batchAxis: 0) { inputs, _ in
          inputs[0].groupNorm(
            groups: groups, gamma: hasGamma ? inputs[1] : nil,
            beta: hasBeta ? inputs[inputs.count - 1] : nil, epsilon: small)
        })
    ]
  }

  // MARK: Products of matrices

  private static func product(
    _ call: AtenCall, _ a: GraphValue, _ b: GraphValue
  ) throws(GraphError) -> GraphValue {
    let compiler = call.compiler
    func failure() -> GraphError {
      GraphError("a product of \(a.text) and \(b.text)", expected: "extents that fit")
    }
    guard a.rank >= 1, b.rank >= 1, a.rank <= 7, b.rank <= 7 else { throw failure() }
    let inner = b.dimensions[max(0, b.rank - 2)]
    guard a.dimensions[a.rank - 1] == inner, a.batchAxis != a.rank - 1 else { throw failure() }
    if b.rank == 2, !b.isDependent, a.rank >= 2 {
      let x = try compiler.innermost(a, a.rank - 1)
      let w = try compiler.arranged(b, [1, 0])
      return try compiler.emit(
        [x, w], order: x.order, batchAxis: x.batchAxis, ofRows: true, as: .linear
      ) { inputs, _ in Tensors.linear(inputs[0], inputs[1]) }
    }
    guard a.rank >= 2, b.rank >= 2, b.batchAxis.map({ $0 < b.rank - 2 }) ?? true,
      a.batchAxis.map({ $0 < a.rank - 2 || b.rank <= 2 }) ?? true
    else { throw failure() }
    let rank = max(a.rank, b.rank)
    var (x, y) = (try compiler.extended(a, to: rank), try compiler.extended(b, to: rank))
    // Heads of all images against those that are the same for every image.
    if rank < 8, let split = try compiler.splitImages(x, y) { (x, y) = split }
    (x, y) = (try compiler.inOrder(x), try compiler.inOrder(y))
    guard compiler.fits(x, y, axes: 0..<x.rank - 2) else { throw failure() }
    let result = try compiler.emit(
      [x, y], order: Array(0..<x.rank), batchAxis: x.batchAxis ?? y.batchAxis,
      as: x.rank == rank && x.isDependent && y.isDependent ? .product : .other
    ) { inputs, _ in inputs[0].matrixProduct(inputs[1]) }
    return x.rank > rank ? try compiler.mergeImages(result, to: rank) : result
  }

  private static let einsum: Entry = { call throws(GraphError) in
    var equation = try call.text("equation", "").filter { $0 != " " }
    let operands = try call.operands("tensors")
    guard operands.count == 2 else {
      throw GraphError("einsum of \(operands.count) tensors", expected: "two")
    }
    let (a, b) = (
      try call.compiler.inOrder(try call.compiler.value(operands[0])),
      try call.compiler.inOrder(try call.compiler.value(operands[1]))
    )
    // Axes that an ellipsis stands for, by letters that are free.
    if equation.contains("...") {
      let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".filter { !equation.contains($0) }
      let first = equation.split(separator: ",").first ?? ""
      let own = first.replacing("...", with: "").count
      guard a.rank >= own, a.rank - own <= letters.count else {
        throw GraphError("einsum \(equation)")
      }
      equation = equation.replacing("...", with: String(letters.prefix(a.rank - own)))
    }
    guard let sum = Einsum(equation), let arrow = equation.firstRange(of: "->"),
      let comma = equation.firstIndex(of: ",")
    else { throw GraphError(.unrecognised, "einsum \"\(equation)\"", advice: GraphError.capture) }
    let first = Array(equation[..<comma])
    let second = Array(equation[equation.index(after: comma)..<arrow.lowerBound])
    let result = Array(equation[arrow.upperBound...])
    guard first.count == a.rank, second.count == b.rank,
      sum.shape(Shape(a.dimensions), Shape(b.dimensions)) != nil
    else { throw GraphError("einsum \"\(equation)\" of \(a.text) and \(b.text)") }
    let letters = Set(
      [a.batchAxis.map { first[$0] }, b.batchAxis.map { second[$0] }].compactMap(\.self))
    guard letters.count <= 1 else { throw GraphError("einsum \"\(equation)\" mixes images") }
    var batchAxis: Int?
    if let letter = letters.first {
      guard let axis = result.firstIndex(of: letter),
        a.batchAxis != nil || !first.contains(letter),
        b.batchAxis != nil || !second.contains(letter)
      else { throw GraphError("einsum \"\(equation)\" mixes images") }
      batchAxis = axis
    }
    return [
      .value(
        try call.compiler.emit([a, b], order: Array(result.indices), batchAxis: batchAxis) {
          inputs, _ in
          sum(inputs[0], inputs[1])
        })
    ]
  }

  // MARK: Attention

  private static let attention: Entry = { call throws(GraphError) in
    let compiler = call.compiler
    guard try call.real("dropout_p", 0) == 0 else {
      throw GraphError(
        .conflict, "attention with dropout", expected: "a model in evaluation",
        advice: "Call model.eval() before torch.export.export")
    }
    var (q, k, v) = (try call.tensor("query"), try call.tensor("key"), try call.tensor("value"))
    let rank = q.rank
    let causal = try call.bool("is_causal", false)
    func failure() -> GraphError {
      GraphError("attention of \(q.text), \(k.text) and \(v.text)", expected: "extents that fit")
    }
    guard rank >= 3, k.rank == rank, v.rank == rank, rank <= 7 else { throw failure() }
    // What is the same for every image is repeated.
    if let images = q.batchAxis ?? k.batchAxis ?? v.batchAxis {
      guard images < rank - 2 else { throw failure() }
      q = try compiler.repeatedForImages(q, axis: images)
      k = try compiler.repeatedForImages(k, axis: images)
      v = try compiler.repeatedForImages(v, axis: images)
    }
    let (t, e) = (q.dimensions[rank - 2], q.dimensions[rank - 1])
    let (s, f) = (k.dimensions[rank - 2], v.dimensions[rank - 1])
    let isGrouped = try call.bool("enable_gqa", false)
    let heads = (q.dimensions[rank - 3], k.dimensions[rank - 3])
    guard q.batchAxis == k.batchAxis, q.batchAxis == v.batchAxis, k.dimensions[rank - 1] == e,
      v.dimensions[rank - 2] == s, v.dimensions[rank - 3] == heads.1,
      heads.0 == heads.1 || isGrouped && heads.0.isMultiple(of: heads.1),
      Array(q.dimensions[..<(rank - 3)]) == Array(k.dimensions[..<(rank - 3)]),
      Array(q.dimensions[..<(rank - 3)]) == Array(v.dimensions[..<(rank - 3)])
    else { throw failure() }
    let scale = Float(try call.optionalReal("scale") ?? 1 / Double(e).squareRoot())
    var bias: GraphValue?
    if let mask = try compiler.known(try call["attn_mask"]) {
      let added =
        mask.kind == .bool
        ? HostArray(.float32, mask.shape, mask.values.map { $0 != 0 ? 0 : -.infinity }) : mask
      try requireKeys(added)
      bias = compiler.constant(added)
    } else {
      bias = try call.optionalTensor("attn_mask")
    }
    if let mask = bias {
      guard mask.rank <= rank, mask.rank >= 2 else { throw failure() }
      bias = try compiler.extended(mask, to: rank)
    }
    let isSideBySide =
      rank == 4 && q.batchAxis.map { $0 == 0 } ?? false && !causal && heads.0 == heads.1 && e == f
    if isSideBySide, bias.map({ $0.batchAxis == nil }) ?? true {
      return [.value(try sideBySide(call, q, k, v, bias: bias, scale: scale))]
    }
    // Windows of all images against a bias of those of one.
    var order = Array(0..<rank)
    (q, k, v) = (try compiler.inOrder(q), try compiler.inOrder(k), try compiler.inOrder(v))
    if let mask = bias {
      let full = GraphValue(
        slot: q.slot, dimensions: Array(q.dimensions[..<(rank - 2)]) + [t, s], order: order,
        batchAxis: q.batchAxis)
      guard compiler.fits(full, mask, axes: 0..<rank) else { throw failure() }
      bias = try compiler.inOrder(mask)
    }
    let inputs = [q, k, v] + (bias.map { [$0] } ?? [])
    let maps = GraphMaps(
      node: compiler.node, dimensions: Array(q.dimensions[..<(rank - 2)]) + [t, s],
      batchAxis: q.batchAxis)
    order = Array(0..<rank)
    return [
      .value(
        try compiler.emit(inputs, order: order, batchAxis: q.batchAxis, maps: maps) {
          inputs, pass in
          scaledDotProductAttention(
            inputs[0], inputs[1], inputs[2], bias: inputs.count > 3 ? inputs[3] : nil, scale: scale,
            causal: causal, maps: pass.maps)
        })
    ]
  }

  /// Refuses a mask that leaves a query without any key: PyTorch gives zeros there, a softmax has no value.
  static func requireKeys(_ mask: HostArray) throws(GraphError) {
    let width = mask.shape.last ?? 1
    guard width > 0 else { return }
    let values = mask.values
    for row in 0..<values.count / width
    where values[row * width..<(row + 1) * width].allSatisfy({ $0 == -.infinity }) {
      throw GraphError(
        .unrecognised,
        "a mask that leaves query \(row % max(1, mask.shape.dropLast().last ?? 1)) no key",
        expected: "one key or more for every query", advice: GraphError.capture)
    }
  }

  /// Attention whose heads lie side by side in the channels, as they come out of a projection.
  private static func sideBySide(
    _ call: AtenCall, _ q: GraphValue, _ k: GraphValue, _ v: GraphValue, bias: GraphValue?,
    scale: Float
  ) throws(GraphError) -> GraphValue {
    let compiler = call.compiler
    let order = [0, 2, 1, 3]
    let (heads, t, s, e) = (q.dimensions[1], q.dimensions[2], k.dimensions[2], q.dimensions[3])
    let parts = try [q, k, v].map { value throws(GraphError) in try compiler.arranged(value, order)
    }
    var added = bias
    if let mask = bias {
      let (windows, own) = (mask.dimensions[0], mask.dimensions[1])
      guard mask.rank == 4, q.dimensions[0].isMultiple(of: windows), own == 1 || own == heads,
        [1, t].contains(mask.dimensions[2]), [1, s].contains(mask.dimensions[3])
      else { throw GraphError("a mask \(mask.text) of attention maps [N, \(heads), \(t), \(s)]") }
      let x = try compiler.inOrder(mask)
      added = try compiler.emit([x], order: Array(0..<4), batchAxis: nil) { inputs, _ in
        inputs[0].expanded(to: [windows, heads, t, s])
      }
    }
    let maps = GraphMaps(
      node: compiler.node, dimensions: [q.dimensions[0], heads, t, s], batchAxis: q.batchAxis)
    return try compiler.emit(
      parts + (added.map { [$0] } ?? []), order: order, batchAxis: q.batchAxis, maps: maps,
      as: .attention(scale: scale)
    ) { inputs, pass in
      func flat(_ x: Tensor) -> Tensor {
        x.reshaped([x.shape[0], x.shape[1], heads * e])
      }
      let x = Tensors.attention(
        flat(inputs[0]), flat(inputs[1]), flat(inputs[2]), heads: heads, scale: scale,
        bias: inputs.count > 3 ? inputs[3] : nil, maps: pass.maps)
      return x.reshaped([x.shape[0], t, heads, e])
    }
  }
}

extension GraphCompiler {
  /// Refuses masks that leave a query of a softmax, or of what goes into one, without any key.
  func requireKeys(of name: String) throws(GraphError) {
    var name = name
    for _ in 0..<4 {
      guard let maker = maker(of: name) else { return }
      for read in maker.arguments {
        if case .tensor = read.value, let mask = try known(try operand(read.value)), mask.rank >= 1
        {
          try AtenOperations.requireKeys(mask)
        }
      }
      guard case .tensor(let source)? = maker.arguments.first?.value else { return }
      name = source
    }
  }
}

extension AtenCall {
  /// A vector of parameters, or nil.
  func vector(_ name: String, _ count: Int) throws(GraphError) -> GraphValue? {
    try weights(name, [count])
  }

  /// Parameters of a shape, or nil.
  func weights(_ name: String, _ shape: [Int]) throws(GraphError) -> GraphValue? {
    guard let value = try optionalTensor(name) else { return nil }
    guard value.dimensions == shape, !value.isDependent else {
      throw GraphError("\(name) \(value.text)", expected: "\(shape)")
    }
    return try compiler.inOrder(value)
  }
}
