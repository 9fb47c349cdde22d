/// What the operations of an ONNX model use its tensors for: the format has no word for what is a parameter.
///
/// Weights of products, convolutions and normalisations are parameters, and so are vectors that are added or that
/// scale; tables that are only added to values may be masks. Names as `state_dict()` has them tell, too.
struct ONNXUses {
  enum Kind { case weight, statistics, other }

  private var weights: Set<String> = []
  private var statistics: Set<String> = []
  /// What is added or multiplied.
  private var combined: Set<String> = []
  /// Other names of a tensor.
  private var sources: [String: String] = [:]
  /// Modules of convolutions whose weights are not the model's own.
  private var joined: [String] = []
  private var constants: [String] = []

  /// Notes an operation that stands in a module.
  mutating func note(
    _ operation: String, _ read: [String], _ made: [String], _ module: String
  ) {
    let names = read.map { sources[$0] ?? $0 }
    switch operation {
    case "Identity": if let name = names.first, let other = made.first { sources[other] = name }
    case "BatchNormalization":
      weights.formUnion(names.dropFirst().prefix(2))
      statistics.formUnion(names.dropFirst(3))
    case "MatMul", "Einsum": weights.formUnion(names)
    case "Conv" where names.dropFirst().first?.hasPrefix("onnx::Conv") ?? false:
      weights.formUnion(names.dropFirst())
      joined.append(module)
    case "Conv", "ConvTranspose", "Gemm", "LayerNormalization", "InstanceNormalization",
      "GroupNormalization", "PRelu":
      weights.formUnion(names.dropFirst())
    case "Add", "Mul", "Sub", "Div": combined.formUnion(names)
    default: break
    }
  }

  /// Notes a tensor that is taken for no parameter.
  mutating func noteConstant(_ entry: TensorEntry) {
    if entry.dtype == .float32 || entry.dtype == .float16, entry.count > 1 {
      constants.append(entry.name)
    }
  }

  /// What was concluded, for readers.
  var notes: [String] {
    func list(_ names: [String]) -> String {
      names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", …" : "")
    }
    var notes: [String] = []
    if !joined.isEmpty {
      notes.append(
        "the exporter joined \(joined.count) convolutions with the normalisation behind them, of which "
          + "they give the values: \(list(joined))")
    }
    if !constants.isEmpty {
      notes.append(
        "\(constants.count) tables are taken for constants, not for parameters: \(list(constants))")
    }
    return notes
  }

  func kind(of entry: TensorEntry) -> Kind {
    let name = entry.name
    guard [.float32, .float16, .bfloat16, .float64].contains(entry.dtype), entry.count > 1 else {
      return .other
    }
    if weights.contains(name) { return .weight }
    if statistics.contains(name) { return .statistics }
    // A vector, along whichever axis: a layer scale of maps is [1, C, 1, 1].
    if combined.contains(name), entry.shape.count(where: { $0 > 1 }) == 1 { return .weight }
    return isStateName(name) ? .weight : .other
  }

  /// Whether a name is one of `state_dict()` rather than of an operation of the exporter: its last part names a kind
  /// of parameter.
  private func isStateName(_ name: String) -> Bool {
    let last = name.split(separator: ".").last ?? ""
    return [
      "weight", "bias", "gamma", "token", "tokens", "embed", "embedding", "embeddings", "table",
    ]
    .contains { last.hasSuffix($0) }
  }
}
