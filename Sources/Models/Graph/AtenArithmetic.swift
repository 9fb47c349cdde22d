import Checkpoints
import Tensors

/// Arithmetic of two tensors or of a tensor and a number, and comparisons.
extension AtenOperations {
  static let arithmetic: [String: Entry] = [
    "add": { call in
      try combined(call, scaledBy: try call.real("alpha", 1), as: .sum) {
        $0 + $1
      } engine: {
        $0 + $1
      }
    },
    "sub": { call in
      try combined(call, scaledBy: try call.real("alpha", 1)) {
        $0 - $1
      } engine: {
        $0 - $1
      }
    },
    "rsub": { call in
      try combined(call, scaledBy: 1, isReversed: true) {
        $0 - $1
      } engine: {
        $0 - $1
      }
    },
    "mul": { call in
      try combined(call, as: .gain) {
        $0 * $1
      } engine: {
        $0 * $1
      }
    },
    "div": { call in
      let mode = try call.text("rounding_mode", "")
      if mode.isEmpty {
        return try combined(call, isFloat: true) {
          $0 / $1
        } engine: {
          $0 / $1
        }
      }
      let rule: FloatingPointRoundingRule = mode == "floor" ? .down : .towardZero
      return [try known(call) { ($0 / $1).rounded(rule) }]
    },
    "floor_divide": { call in [try known(call) { ($0 / $1).rounded(.down) }] },
    "remainder": { call in [try known(call) { $0 - $1 * ($0 / $1).rounded(.down) }] },
    "fmod": { call in [try known(call) { $0.truncatingRemainder(dividingBy: $1) }] },
    "maximum": { call in
      try combined(call) {
        max($0, $1)
      } engine: {
        .maximum($0, $1)
      }
    },
    "minimum": { call in
      try combined(call) {
        min($0, $1)
      } engine: {
        .minimum($0, $1)
      }
    },
    "pow": power,
    "addcmul": { call in
      let product = try pair(
        call, try call["tensor1"], try call["tensor2"], .float32, { $0 * $1 }, { $0 * $1 })
      let factor = try call.real("value", 1)
      let scaled = factor == 1 ? product : try scaled(call, product, by: factor)
      return [try pair(call, try call["self"], scaled, nil, { $0 + $1 }, { $0 + $1 })]
    },
    "lerp": { call in
      let (a, b) = (try call["self"], try call["end"])
      let weight = try call["weight"]
      let difference = try pair(call, b, a, nil, { $0 - $1 }, { $0 - $1 })
      let part = try pair(call, difference, weight, nil, { $0 * $1 }, { $0 * $1 })
      return [try pair(call, a, part, nil, { $0 + $1 }, { $0 + $1 })]
    },
    "eq": { call in
      if let extents = try unmasked(call) {
        return [.known(HostArray(.bool, [Int](repeating: 1, count: extents), [0]))]
      }
      return try comparison({ $0 == $1 })(call)
    },
    "ne": comparison { $0 != $1 }, "lt": comparison { $0 < $1 },
    "le": comparison { $0 <= $1 }, "gt": comparison { $0 > $1 }, "ge": comparison { $0 >= $1 },
    "__and__": comparison { $0 != 0 && $1 != 0 }, "bitwise_and": comparison { $0 != 0 && $1 != 0 },
    "logical_and": comparison { $0 != 0 && $1 != 0 },
    "__or__": comparison { $0 != 0 || $1 != 0 }, "bitwise_or": comparison { $0 != 0 || $1 != 0 },
    "logical_or": comparison { $0 != 0 || $1 != 0 },
    "logical_not": { call in
      let array = try requireKnown(call, "self")
      return [.known(HostArray(.bool, array.shape, array.values.map { $0 == 0 ? 1 : 0 }))]
    },
    "bitwise_not": { call in
      let array = try requireKnown(call, "self")
      guard array.kind == .bool else {
        throw GraphError("bits of \(array.kind) values turned round")
      }
      return [.known(HostArray(.bool, array.shape, array.values.map { $0 == 0 ? 1 : 0 }))]
    },
    "where": { call in
      let condition = try requireKnown(call, "condition")
      return [try chosen(call, condition, try call["self"], try call["other"])]
    },
    "masked_fill": { call in
      let mask = try requireKnown(call, "mask")
      return [try chosen(call, mask, .number(.real(try number(call, "value"))), try call["self"])]
    },
  ]

  /// A number, or a tensor that holds one.
  private static func number(_ call: AtenCall, _ name: String) throws(GraphError) -> Double {
    if let array = try call.compiler.known(try call[name]) {
      guard let value = array.scalar else { throw call.wrong(name, .known(array), "one value") }
      return value
    }
    return try call.real(name)
  }

  private static func requireKnown(
    _ call: AtenCall, _ name: String
  ) throws(GraphError) -> HostArray {
    let operand = try call[name]
    guard let array = try call.compiler.known(operand) else {
      throw GraphError(
        .unrecognised, "\(name) that depends on images or parameters", advice: GraphError.capture)
    }
    return array
  }

  // MARK: Pairs

  private typealias Combine = @Sendable (Double, Double) -> Double
  private typealias EngineCombine = @Sendable (Tensor, Tensor) -> Tensor

  private static func combined(
    _ call: AtenCall, scaledBy alpha: Double = 1, isReversed: Bool = false, isFloat: Bool = false,
    as kind: GraphStep.Kind = .other, _ host: @escaping Combine, engine: @escaping EngineCombine
  ) throws(GraphError) -> [GraphOperand] {
    var (a, b) = (try call["self"], try call["other"])
    if isReversed { (a, b) = (b, a) }
    if alpha != 1 { b = try scaled(call, b, by: alpha) }
    return [try pair(call, a, b, isFloat ? .float32 : nil, as: kind, host, engine)]
  }

  /// Two operands combined, extents of 1 repeated: known values here, all others by the engine.
  ///
  /// - Parameters:
  ///   - kind: the least kind of the result.
  ///   - step: what the engine computes of two tensors.
  private static func pair(
    _ call: AtenCall, _ a: GraphOperand, _ b: GraphOperand, _ kind: HostArray.Kind?,
    as step: GraphStep.Kind = .other, _ host: @escaping Combine, _ engine: @escaping EngineCombine
  ) throws(GraphError) -> GraphOperand {
    let compiler = call.compiler
    if let x = try scalarOrKnown(call, a), let y = try scalarOrKnown(call, b) {
      if !a.isTensor, !b.isTensor {
        return try symbolic(a, b, host)
      }
      // A number takes the kind of the tensor, as long as that can hold it.
      var result = max(x.kind, y.kind)
      if !a.isTensor, x.kind <= y.kind || y.kind == .float32 { result = y.kind }
      if !b.isTensor, y.kind <= x.kind || x.kind == .float32 { result = x.kind }
      if !a.isTensor || !b.isTensor, max(x.kind, y.kind) == .float64, min(x.kind, y.kind) < .float32
      {
        result = .float32
      }
      return .known(try HostArray.combined(x, y, kind.map { max($0, result) } ?? result, host))
    }
    // A number needs no tensor of its own.
    if let y = try number(b), case .value(let x) = try asValue(call, a) {
      return .value(
        try compiler.mapped(x, as: step.scaling(by: y)) {
          engine($0, Tensor(repeating: y, shape: []))
        })
    }
    if let x = try number(a), case .value(let y) = try asValue(call, b) {
      return .value(
        try compiler.mapped(y, as: step.scaling(by: x)) { value in
          engine(
            Tensor(repeating: x, shape: Shape([Int](repeating: 1, count: value.shape.rank))), value)
        })
    }
    return .value(
      try compiler.combined(try compiler.value(a), try compiler.value(b), as: step, engine))
  }

  private static func asValue(_ call: AtenCall, _ operand: GraphOperand) throws(GraphError)
    -> GraphOperand
  {
    operand.isTensor ? .value(try call.compiler.value(operand)) : operand
  }

  private static func number(_ operand: GraphOperand) throws(GraphError) -> Float? {
    switch operand {
    case .number(.int(let value)): Float(value)
    case .number(.real(let value)): Float(value)
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// A known array, or a number as one.
  private static func scalarOrKnown(
    _ call: AtenCall, _ operand: GraphOperand
  ) throws(GraphError) -> HostArray? {
    switch operand {
    case .number(.int(let value)): HostArray(.integer, scalar: Double(value))
    case .number(.real(let value)): HostArray(.float64, scalar: value)
    case .number(.perImage(let value)): HostArray(.integer, scalar: Double(value))
    case .bool(let value): HostArray(.bool, scalar: value ? 1 : 0)
    default: try call.compiler.known(operand)
    }
  }

  private static func symbolic(
    _ a: GraphOperand, _ b: GraphOperand, _ host: Combine
  ) throws(GraphError) -> GraphOperand {
    guard let x = try number(a), let y = try number(b) else {
      throw GraphError("arithmetic of \(a.title) and \(b.title)")
    }
    return .number(.real(host(Double(x), Double(y))))
  }

  private static func scaled(
    _ call: AtenCall, _ operand: GraphOperand, by factor: Double
  ) throws(GraphError) -> GraphOperand {
    try pair(call, operand, .number(.real(factor)), nil, { $0 * $1 }, { $0 * $1 })
  }

  /// Two operands combined that have to be known.
  private static func known(_ call: AtenCall, _ host: Combine) throws(GraphError) -> GraphOperand {
    let (a, b) = (try call["self"], try call["other"])
    guard let x = try scalarOrKnown(call, a), let y = try scalarOrKnown(call, b) else {
      throw GraphError(
        .unrecognised, "\(call.operation) of values that depend on images or parameters",
        advice: GraphError.capture)
    }
    return .known(
      try HostArray.combined(
        x, y, a.isTensor ? (b.isTensor ? max(x.kind, y.kind) : x.kind) : y.kind, host))
  }

  private static func comparison(_ holds: @escaping @Sendable (Double, Double) -> Bool) -> Entry {
    { call throws(GraphError) in
      let (a, b) = (try call["self"], try call["other"])
      guard let x = try scalarOrKnown(call, a), let y = try scalarOrKnown(call, b) else {
        throw GraphError(
          .unrecognised, "a comparison of values that depend on images or parameters",
          advice: GraphError.capture)
      }
      return [.known(try HostArray.combined(x, y, .bool) { holds($0, $1) ? 1 : 0 })]
    }
  }

  /// How many axes a value has that is compared with -inf to find rows of attention without any key, which masks that
  /// are known tell to be none; nil for another comparison.
  private static func unmasked(_ call: AtenCall) throws(GraphError) -> Int? {
    guard case .value(let value) = try call["self"], value.isDependent,
      try number(try call["other"]) == -.infinity,
      case .tensor(let name)? = call.node.outputs.first,
      case .tensor(let source)? = call.node.arguments.first?.value
    else { return nil }
    func readers(_ name: String) -> [ExportedProgram.Node] {
      call.compiler.program.nodes.filter { node in
        node.arguments.contains { $0.value == .tensor(name) }
      }
    }
    let negations = readers(name)
    let isOfRows = negations.allSatisfy { node in
      guard AtenCall.base(of: node.target).name == "logical_not",
        case .tensor(let negated)? = node.outputs.first
      else { return false }
      return readers(negated).allSatisfy { AtenCall.base(of: $0.target).name == "any" }
    }
    guard isOfRows else { return nil }
    try call.compiler.requireKeys(of: source)
    return value.rank
  }

  /// One operand where a mask is true, another elsewhere.
  private static func chosen(
    _ call: AtenCall, _ mask: HostArray, _ a: GraphOperand, _ b: GraphOperand
  ) throws(GraphError) -> GraphOperand {
    let compiler = call.compiler
    // A mask that is the same everywhere leaves one of both.
    let shapes = [mask.shape, a.dimensions ?? [], b.dimensions ?? []]
    let all = shapes.reduce([Int]?.some([])) { joint, shape in
      joint.flatMap { HostArray.broadcast($0, shape) }
    }
    if a.dimensions == all, mask.values.allSatisfy({ $0 != 0 }) { return a }
    if b.dimensions == all, mask.values.allSatisfy({ $0 == 0 }) { return b }
    if let x = try scalarOrKnown(call, a), let y = try scalarOrKnown(call, b) {
      let kind = a.isTensor == b.isTensor ? max(x.kind, y.kind) : a.isTensor ? x.kind : y.kind
      return .known(try HostArray.chosen(mask, x, y, kind))
    }
    let where_ = compiler.constant(
      HostArray(.float32, mask.shape, mask.values.map { $0 != 0 ? 1 : 0 }))
    if let x = try number(a), case .value(let y) = try asValue(call, b) {
      // The mask says where the other stays.
      let stays = compiler.constant(
        HostArray(.float32, mask.shape, mask.values.map { $0 != 0 ? 0 : 1 }))
      return .value(try compiler.combined(y, stays) { $0.kept(where: $1, otherwise: x) })
    }
    let (x, y) = (try compiler.value(a), try compiler.value(b))
    if let number = try number(b) {
      return .value(try compiler.combined(x, where_) { $0.kept(where: $1, otherwise: number) })
    }
    // Of two tensors each is kept where it is wanted.
    let stays = compiler.constant(
      HostArray(.float32, mask.shape, mask.values.map { $0 != 0 ? 0 : 1 }))
    let first = try compiler.combined(x, where_) { $0.kept(where: $1, otherwise: 0) }
    let second = try compiler.combined(y, stays) { $0.kept(where: $1, otherwise: 0) }
    return .value(try compiler.combined(first, second) { $0 + $1 })
  }

  private static let power: Entry = { call throws(GraphError) in
    let (base, exponent) = (try call["self"], try call["exponent"])
    if let x = try scalarOrKnown(call, base), let y = try scalarOrKnown(call, exponent),
      base.isTensor || exponent.isTensor
    {
      let kind = max(base.isTensor ? x.kind : .bool, exponent.isTensor ? y.kind : .bool)
      let isReal = x.kind >= .float32 || y.kind >= .float32
      return [
        .known(try HostArray.combined(x, y, isReal ? max(kind, .float32) : kind) { raised($0, $1) })
      ]
    }
    guard let exponent = try number(exponent) else {
      throw GraphError(
        .unrecognised, "a power that depends on images or parameters", advice: GraphError.capture)
    }
    let value = try call.compiler.value(base)
    return [.value(try call.compiler.mapped(value) { $0.power(exponent) })]
  }
}

extension GraphStep.Kind {
  /// What an operation of two tensors is with a number as one of them.
  fileprivate func scaling(by number: Float) -> Self {
    if case .gain = self { .scale(number) } else { .other }
  }
}

extension HostArray {
  /// A value for each pair of values, extents of 1 repeated.
  static func combined(
    _ a: HostArray, _ b: HostArray, _ kind: Kind, _ combine: (Double, Double) -> Double
  ) throws(GraphError) -> HostArray {
    guard let shape = broadcast(a.shape, b.shape) else {
      throw GraphError("constants \(a.shape) and \(b.shape) together", expected: "extents that fit")
    }
    _ = try count(shape)
    let (x, y) = (a.expanded(to: shape).values, b.expanded(to: shape).values)
    return HostArray(kind, shape, zip(x, y).map { kind.rounded(combine($0, $1)) })
  }

  /// One array where a mask is true, another elsewhere, extents of 1 repeated.
  static func chosen(
    _ mask: HostArray, _ a: HostArray, _ b: HostArray, _ kind: Kind
  ) throws(GraphError) -> HostArray {
    guard let pair = broadcast(a.shape, b.shape), let shape = broadcast(mask.shape, pair) else {
      throw GraphError("constants \(a.shape) and \(b.shape) by a mask \(mask.shape)")
    }
    _ = try count(shape)
    let values = zip(
      mask.expanded(to: shape).values,
      zip(a.expanded(to: shape).values, b.expanded(to: shape).values))
    return HostArray(kind, shape, values.map { kind.rounded($0 != 0 ? $1.0 : $1.1) })
  }

  /// The shape that both repeat to fill; nil if there is none.
  static func broadcast(_ a: [Int], _ b: [Int]) -> [Int]? {
    Shape.broadcast(Shape(a), Shape(b))?.dimensions
  }
}
