import Checkpoints

/// Operations of PyTorch's core set, which `run_decompositions()` leaves, as those that they are parts of: the one place
/// where these are known.
enum CoreOperations {
  private typealias Argument = ExportedProgram.Argument

  /// What an operation of the core set is called in a graph as it was exported, and its arguments there by theirs here.
  private struct Entry {
    let name: String
    /// Arguments that have another name, or none.
    let renamed: [String: String?]

    init(_ name: String, _ renamed: [String: String?] = [:]) {
      (self.name, self.renamed) = (name, renamed)
    }
  }

  private static let table: [String: Entry] = [
    "native_layer_norm": Entry("layer_norm"),
    "native_group_norm": Entry(
      "group_norm", ["N": nil, "C": nil, "HxW": nil, "group": "num_groups"]),
    "_native_batch_norm_legit_no_training": Entry("batch_norm"),
    "native_batch_norm": Entry("batch_norm"),
    "max_pool2d_with_indices": Entry("max_pool2d"),
    "_adaptive_avg_pool2d": Entry("adaptive_avg_pool2d"),
    "grid_sampler_2d": Entry("grid_sampler"),
    "_scaled_dot_product_flash_attention_for_cpu": Entry("scaled_dot_product_attention"),
    "_scaled_dot_product_flash_attention": Entry(
      "scaled_dot_product_attention", ["return_debug_mask": nil]),
    "_scaled_dot_product_efficient_attention": Entry(
      "scaled_dot_product_attention", ["attn_bias": "attn_mask", "compute_log_sumexp": nil]),
  ]

  /// The names of all.
  static let names: Set<String> = Set(table.keys).union(["convolution"])

  /// The operation that one of the core set is the only part of; any other as it is.
  ///
  /// What it gives besides, the statistics of a normalisation say, is not made.
  static func whole(_ node: ExportedProgram.Node) -> ExportedProgram.Node {
    let name = AtenCall.base(of: node.target).name
    if name == "convolution" { return convolution(node) }
    guard node.target.hasPrefix("aten."), let entry = table[name] else { return node }
    let arguments = node.arguments.compactMap { argument -> ExportedProgram.NamedArgument? in
      guard let renamed = entry.renamed[argument.name] else { return argument }
      return renamed.map { .init(name: $0, value: argument.value) }
    }
    return ExportedProgram.Node(
      target: "aten.\(entry.name).default", arguments: arguments,
      outputs: Array(node.outputs.prefix(1)), modules: node.modules)
  }

  private static func convolution(_ node: ExportedProgram.Node) -> ExportedProgram.Node {
    func value(_ name: String) -> Argument? {
      node.arguments.first { $0.name == name }?.value
    }
    let isTransposed = value("transposed") == .bool(true)
    let rank = if case .list(let items)? = value("stride") { items.count } else { 2 }
    let gone = isTransposed ? ["transposed"] : ["transposed", "output_padding"]
    return ExportedProgram.Node(
      target: "aten.conv\(isTransposed ? "_transpose" : "")\(rank)d.default",
      arguments: node.arguments.filter { !gone.contains($0.name) }, outputs: node.outputs,
      modules: node.modules)
  }
}
