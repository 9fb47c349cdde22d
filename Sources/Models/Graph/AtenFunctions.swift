import Tensors

/// Functions of each value: activations and the like.
extension AtenOperations {
  static let functions: [String: Entry] = [
    "relu": function({ $0 > 0 ? $0 : 0 }, as: .activation(.relu)) { $0.relu() },
    "relu6": function({ min(max($0, 0), 6) }, as: .activation(.relu6)) { $0.relu6() },
    "silu": function(as: .activation(.silu)) { $0.silu() }, "sigmoid": function { $0.sigmoid() },
    "tanh": function { $0.tanh() }, "erf": function { $0.erf() }, "mish": function { $0.mish() },
    "hardswish": function { $0.hardSwish() }, "hardsigmoid": function { $0.hardSigmoid() },
    "exp": function(exponential) { $0.exp() }, "log": function(logarithm) { $0.log() },
    "sqrt": function({ $0.squareRoot() }) { $0.sqrt() },
    "rsqrt": function({ 1 / $0.squareRoot() }) { $0.rsqrt() },
    "reciprocal": function({ 1 / $0 }) { $0.reciprocal() },
    "square": function({ $0 * $0 }) { $0 * $0 },
    "sin": function(sine) { $0.sin() }, "cos": function(cosine) { $0.cos() },
    "abs": function({ Swift.abs($0) }, keepsKind: true) { $0.abs() },
    "neg": function({ -$0 }, keepsKind: true) { -1 * $0 },
    "floor": function({ $0.rounded(.down) }, keepsKind: true, nil),
    "ceil": function({ $0.rounded(.up) }, keepsKind: true, nil),
    "round": function({ $0.rounded(.toNearestOrEven) }, keepsKind: true, nil),
    "gelu": { call in
      switch try call.text("approximate", "none") {
      case "none": return [try mapped(call, as: .activation(.gelu)) { $0.gelu() }]
      case "tanh": return [try mapped(call, as: .activation(.geluTanh)) { $0.geluTanh() }]
      case let other: throw GraphError("gelu by \"\(other)\"", expected: "none or tanh")
      }
    },
    "leaky_relu": { call in
      let slope = Float(try call.real("negative_slope", 0.01))
      return [try mapped(call) { $0.leakyReLU(slope: slope) }]
    },
    "elu": { call in
      let (alpha, scale) = (Float(try call.real("alpha", 1)), try call.real("scale", 1))
      guard scale == 1, try call.real("input_scale", 1) == 1 else {
        throw GraphError("elu with scales")
      }
      return [try mapped(call) { $0.elu(alpha: alpha) }]
    },
    "selu": function { Float(1.0507009873554805) * $0.elu(alpha: Float(1.6732632423543772)) },
    "log_sigmoid": function { -1 * (-1 * $0).softplus() },
    "celu": { call in
      let alpha = Float(try call.real("alpha", 1))
      guard alpha > 0 else { throw GraphError("celu of \(alpha)", expected: "above 0") }
      return [try mapped(call) { alpha * ((1 / alpha) * $0).elu(alpha: 1) }]
    },
    "glu": { call in
      let value = try call.tensor("self")
      let axis = try call.axis(of: value.rank, -1)
      try call.requireNotImages(value, axis)
      let half = value.dimensions[axis] / 2
      guard half > 0, value.dimensions[axis] == 2 * half else {
        throw GraphError("\(value.text) in halves")
      }
      let compiler = call.compiler
      let gate = try compiler.sliced(value, axis, half, half, step: 1)
      let open = try compiler.sliced(value, axis, 0, half, step: 1)
      return [.value(try compiler.combined(open, gate) { $0 * $1.sigmoid() })]
    },
    "prelu": { call in
      let value = try call.tensor("self")
      let weight = try call.tensor("weight")
      let channels = value.rank > 1 ? value.dimensions[1] : 1
      guard weight.rank == 1, !weight.isDependent, [1, channels].contains(weight.dimensions[0])
      else { throw GraphError("slopes \(weight.text) of \(value.text)", expected: "one a channel") }
      let ones = [Int](repeating: 1, count: max(0, value.rank - 2))
      let slopes = try call.compiler.reshaped(weight, [weight.dimensions[0]] + ones, batchAxis: nil)
      return [
        .value(
          try call.compiler.combined(value, slopes) { $0.relu() - $1 * (-1 * $0).relu() })
      ]
    },
    "softplus": { call in
      let beta = Float(try call.real("beta", 1))
      guard try call.real("threshold", 20) == 20 else {
        throw GraphError("softplus with a threshold")
      }
      return [try mapped(call) { $0.softplus(beta: beta) }]
    },
    "hardtanh": { call in
      try clamped(call, try call.real("min_val", -1), try call.real("max_val", 1))
    },
    "clamp": { call in
      try clamped(call, try call.optionalReal("min"), try call.optionalReal("max"))
    },
    "clip": { call in
      try clamped(call, try call.optionalReal("min"), try call.optionalReal("max"))
    },
    "clamp_min": { call in try clamped(call, try call.real("min"), nil) },
    "clamp_max": { call in try clamped(call, nil, try call.real("max")) },
  ]

  private static func function(
    _ host: (@Sendable (Double) -> Double)? = nil, keepsKind: Bool = false,
    as kind: GraphStep.Kind = .other, _ engine: (@Sendable (Tensor) -> Tensor)?
  ) -> Entry {
    { call throws(GraphError) in
      let operand = try call[call.firstName]
      if let host, let array = try call.compiler.known(operand) {
        let kind = keepsKind ? array.kind : max(array.kind, .float32)
        return [
          .known(HostArray(kind, array.shape, array.values.map { kind.rounded(host($0)) }))
        ]
      }
      guard let engine else {
        throw GraphError(
          .unrecognised, "\(call.operation) of values that depend on images or parameters",
          advice: GraphError.capture)
      }
      return [
        .value(try call.compiler.mapped(try call.tensor(call.firstName), as: kind, engine))
      ]
    }
  }

  private static func mapped(
    _ call: AtenCall, as kind: GraphStep.Kind = .other,
    _ engine: @escaping @Sendable (Tensor) -> Tensor
  ) throws(GraphError) -> GraphOperand {
    .value(try call.compiler.mapped(try call.tensor(call.firstName), as: kind, engine))
  }

  private static func clamped(
    _ call: AtenCall, _ low: Double?, _ high: Double?
  ) throws(GraphError) -> [GraphOperand] {
    let (low, high) = (low ?? -.infinity, high ?? .infinity)
    guard low <= high else { throw GraphError("values between \(low) and \(high)") }
    if let array = try call.compiler.known(try call["self"]) {
      return [
        .known(HostArray(array.kind, array.shape, array.values.map { min(max($0, low), high) }))
      ]
    }
    let (from, to) = (Float(low), Float(high))
    let kind: GraphStep.Kind =
      from == 0 && to == 6
      ? .activation(.relu6) : from == 0 && to == .infinity ? .activation(.relu) : .other
    return [try mapped(call, as: kind) { $0.clamped(from: from, to: to) }]
  }
}
