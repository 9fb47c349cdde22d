import Checkpoints
import Tensors

/// What each operation of ONNX amounts to in those of PyTorch: the one place where one is added, by its name and an
/// entry in the table of its kind.
enum ONNXOperations {
  /// Makes the steps of one operation. What it throws is a ``GraphError``.
  typealias Entry = @Sendable (ONNXCall) throws -> Void

  /// By name.
  static let table: [String: Entry] = {
    var table: [String: Entry] = [:]
    for part in [functions, arithmetic, extents, layouts, products, maps, sampling, reductions] {
      for (name, entry) in part { table["onnx." + name] = entry }
    }
    return table
  }()

  // MARK: Functions of each value

  private static let functions: [String: Entry] = {
    var table: [String: Entry] = [
      "Identity": same,
      "Dropout": { call in
        if let training = try call.known(call[2]), training.scalar != 0 {
          throw GraphError(
            .conflict, "dropout in training", expected: "a model in evaluation",
            advice: "Call model.eval() before the export")
        }
        _ = call[1]
        call.ignore("seed")
        try same(call)
      },
      "Cast": { call in
        call.ignore("saturate")
        try converted(call, try call.int("to", 1))
      },
      "Softmax": alongAxis("softmax"), "LogSoftmax": alongAxis("log_softmax"),
      "LeakyRelu": { call in
        try call.make(
          "leaky_relu",
          ["self": call[0], "negative_slope": .real(try call.real("alpha", Double(Float(0.01))))])
      },
      "Elu": { call in
        try call.make("elu", ["self": call[0], "alpha": .real(try call.real("alpha", 1))])
      },
      "Selu": { call in
        let (alpha, gamma) = (
          try call.real("alpha", Double(Float(1.67326319217681884765625))),
          try call.real("gamma", Double(Float(1.05070102214813232421875)))
        )
        let value = try call.step("elu", ["self": call[0], "alpha": .real(alpha)])
        try call.make("mul", ["self": value, "other": .real(gamma)])
      },
      "Celu": { call in
        let alpha = try call.real("alpha", 1)
        guard alpha > 0 else { throw GraphError("alpha = \(alpha)", expected: "above 0") }
        let scaled = try call.step("mul", ["self": call[0], "other": .real(1 / alpha)])
        let value = try call.step("elu", ["self": scaled, "alpha": .real(1)])
        try call.make("mul", ["self": value, "other": .real(alpha)])
      },
      "Softsign": { call in
        let size = try call.step("abs", ["self": call[0]])
        let more = try call.step("add", ["self": size, "other": .int(1)])
        try call.make("div", ["self": call[0], "other": more])
      },
      "Gelu": { call in
        try call.make(
          "gelu", ["self": call[0], "approximate": .string(try call.text("approximate", "none"))])
      },
      "HardSigmoid": { call in
        let (alpha, beta) = (
          try call.real("alpha", Double(Float(0.2))), try call.real("beta", 0.5)
        )
        if abs(alpha - 1 / 6) < 1e-6, beta == 0.5 {
          return try call.make("hardsigmoid", ["self": call[0]])
        }
        let scaled = try call.step("mul", ["self": call[0], "other": .real(alpha)])
        let moved = try call.step("add", ["self": scaled, "other": .real(beta)])
        try call.make("clamp", ["self": moved, "min": .int(0), "max": .int(1)])
      },
      "Clip": { call in
        func bound(_ index: Int) throws(GraphError) -> ExportedProgram.Argument {
          guard call.has(index) else { return .none }
          let array = try call.requireKnown(index, "bounds")
          guard let value = array.scalar else {
            throw GraphError("bounds of shape \(array.shape)", expected: "numbers")
          }
          return .real(value)
        }
        try call.make("clamp", ["self": call[0], "min": try bound(1), "max": try bound(2)])
      },
      "PRelu": { call in
        // Below zero the slope counts.
        let above = try call.step("relu", ["self": call[0]])
        let turned = try call.step("neg", ["self": call[0]])
        let below = try call.step("relu", ["self": turned])
        let scaled = try call.step("mul", ["self": below, "other": call[1]])
        try call.make("sub", ["self": above, "other": scaled])
      },
      "IsNaN": { call in
        let extents = try call.extents(call[0])
        guard let array = try call.known(call[0]) else {
          // Exporters put zeros where a softmax over nothing but masked places has no value.
          if case .tensor(let name) = call[0] { try call.compiler.requireKeys(of: name) }
          return call.give(
            HostArray(.bool, [Int](repeating: 1, count: extents.count), [0]))
        }
        call.give(HostArray(.bool, array.shape, array.values.map { $0.isNaN ? 1 : 0 }))
      },
    ]
    let alike = [
      "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Erf": "erf", "Exp": "exp",
      "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal", "Neg": "neg", "Abs": "abs",
      "Sin": "sin", "Cos": "cos", "Floor": "floor", "Ceil": "ceil", "Round": "round",
      "Softplus": "softplus", "Mish": "mish", "HardSwish": "hardswish", "Not": "logical_not",
    ]
    for (name, operation) in alike {
      table[name] = { call in try call.make(operation, ["self": call[0]]) }
    }
    return table
  }()

  /// The value itself, by another name.
  static let same: Entry = { call in try call.make("alias", ["self": call[0]]) }

  private static func converted(_ call: ONNXCall, _ code: Int) throws {
    try call.make("to", ["self": call[0], "dtype": .dtype(ElementType(onnxCode: code))])
  }

  private static func alongAxis(_ operation: String) -> Entry {
    { call in
      try call.make(operation, ["self": call[0], "dim": .int(try call.int("axis", -1))])
    }
  }

  // MARK: Arithmetic

  private static let arithmetic: [String: Entry] = {
    var table: [String: Entry] = [
      "Div": { call in
        // Of whole numbers the quotient is one.
        if let a = try call.known(call[0]), let b = try call.known(call[1]),
          max(a.kind, b.kind) <= .integer
        {
          return try call.make(
            "div", ["self": call[0], "other": call[1], "rounding_mode": .string("trunc")])
        }
        try combined(call, "div", call[0], call[1])
      },
      "Pow": { call in
        let exponent = try call.scalar(call[1], besides: call[0])
        try call.make(
          "pow", ["self": call[0], "exponent": exponent.map { .real($0) } ?? call[1]])
      },
      "Mod": { call in
        let operation = try call.int("fmod", 0) == 1 ? "fmod" : "remainder"
        try call.make(operation, ["self": call[0], "other": call[1]])
      },
      "Max": extreme(isLargest: true), "Min": extreme(isLargest: false),
      "Where": { call in
        _ = try call.requireKnown(0, "conditions")
        try call.make("where", ["condition": call[0], "self": call[1], "other": call[2]])
      },
    ]
    let alike = [
      "Add": "add", "Sub": "sub", "Mul": "mul", "And": "logical_and", "Or": "logical_or",
      "Equal": "eq", "Greater": "gt", "GreaterOrEqual": "ge", "Less": "lt", "LessOrEqual": "le",
    ]
    for (name, operation) in alike {
      table[name] = { call in try combined(call, operation, call[0], call[1]) }
    }
    table["Sum"] = { call in
      try joined(call) { call, a, b, isLast in
        if isLast {
          try combined(call, "add", a, b)
          return a
        }
        return try call.step("add", ["self": a, "other": b])
      }
    }
    table["Mean"] = { call in
      let sum = try joined(call) { call, a, b, _ in try call.step("add", ["self": a, "other": b]) }
      try call.make("mul", ["self": sum, "other": .real(1 / Double(call.inputs.count))])
    }
    return table
  }()

  /// Two inputs combined; one that is a number needs no tensor of its own.
  private static func combined(
    _ call: ONNXCall, _ operation: String, _ a: ExportedProgram.Argument,
    _ b: ExportedProgram.Argument
  ) throws {
    let (x, y) = (try call.scalar(a, besides: b), try call.scalar(b, besides: a))
    try call.make(
      operation, ["self": x.map { .real($0) } ?? a, "other": y.map { .real($0) } ?? b])
  }

  /// All inputs joined one after the other.
  @discardableResult
  private static func joined(
    _ call: ONNXCall,
    by join: (
      _ call: ONNXCall, ExportedProgram.Argument, ExportedProgram.Argument, _ isLast: Bool
    ) throws -> ExportedProgram.Argument
  ) throws -> ExportedProgram.Argument {
    guard var value = call.inputs.first else { throw GraphError("no input") }
    guard call.inputs.count > 1 else {
      try same(call)
      return value
    }
    for (place, other) in call.inputs.enumerated().dropFirst() {
      value = try join(call, value, other, place == call.inputs.count - 1)
    }
    return value
  }

  /// The largest or the smallest of several values.
  private static func extreme(isLargest: Bool) -> Entry {
    let name = isLargest ? "maximum" : "minimum"
    return { call in
      try joined(call) { call, a, b, isLast in
        guard isLast else { return try call.step(name, ["self": a, "other": b]) }
        for (value, other) in [(a, b), (b, a)] {
          guard let bound = try call.scalar(other, besides: value) else { continue }
          try call.make("clamp", ["self": value, isLargest ? "min" : "max": .real(bound)])
          return value
        }
        try call.make(name, ["self": a, "other": b])
        return a
      }
    }
  }
}
