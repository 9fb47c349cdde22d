import Checkpoints
import Tensors

/// A network from an exported graph, with what is known of it.
public struct LoadedGraph: Sendable {
  /// The network with its weights.
  public let network: any Network
  /// Where its weights came from, and what was told from the graph.
  public let report: LoadReport
  /// How images are prepared for it, which the file does not say.
  public let preprocessing: Preprocessing
  /// How often steps of each kind are carried out as one: `self-attention`, `perceptron`, `convolution`.
  public let joined: [String: Int]
}

/// Makes networks of exported graphs.
public enum GraphLoader {
  /// Compiles the graph of a file.
  ///
  /// - Parameters:
  ///   - overrides: what is said of taps and blocks.
  ///   - matches: whether a name matches a pattern.
  /// - Throws: ``ModelError`` that names the operation and the modules it stands in, for a graph that cannot be
  ///   carried out for any number of images.
  public static func load(
    _ checkpoint: Checkpoint, _ program: ExportedProgram,
    overrides: GraphOverrides = GraphOverrides(),
    matches: @escaping @Sendable (_ pattern: String, _ name: String) -> Bool
  ) throws(ModelError) -> LoadedGraph {
    let compiler = GraphCompiler(checkpoint, program)
    try compiler.compile()
    if compiler.isOpen {
      let other = GraphCompiler(checkpoint, program, standIn: 1031)
      try other.compile()
      guard compiler.hasSameNumbers(as: other) else {
        throw ModelError(
          .unrecognised, place: checkpoint.path,
          found: "values that depend on the number of images",
          expected: "images that stay apart", advice: "Export the model for one image")
      }
    }
    var plan = compiler.plan
    let output = try chosenOutput(compiler, checkpoint)
    var structure = GraphStructure(compiler, overrides, matches: matches)
    plan.outputSlot = output.value.slot
    plan.output.permutation =
      output.value.isInOrder
      ? nil
      : (0..<output.value.rank).map { axis in output.value.order.firstIndex(of: axis) ?? 0 }
    plan.output.extents = compiler.extents(
      output.value.dimensions, order: Array(0..<output.value.rank), batchAxis: 0)
    plan.noteReleases()
    try structure.place(on: &plan)
    try requireFollowsImages(plan, compiler, checkpoint)
    plan = GraphFuser.fused(plan, shapes: compiler.shapes.map(\.shape))
    let input = compiler.inputShape
    let network: GraphNetwork
    do throws(ParameterError) {
      network = try GraphNetwork(
        plan, inputShape: input, classCount: output.classes,
        GraphParameters(checkpoint))
    } catch {
      throw ModelError(.unreadable, place: checkpoint.path, found: error.description)
    }
    var report = LoadReport(
      source: checkpoint.path, family: "graph",
      architecture: "graph(\(program.nodes.count) operations of \(program.writer.program))",
      variant: nil, keyMapping: "own")
    report.matched = network.parameters.count
    report.warnings = checkpoint.notes + compiler.notes + structure.notes + [output.note]
    let images = compiler.isOpen ? nil : compiler.exportedImages
    report.warnings.append(
      images.map { "exported for \($0) image(s), and run on any number" }
        ?? "exported for any number of images")
    let used = Set(network.parameters.map(\.specification.name)).union(compiler.seen)
    report.unused = checkpoint.tensors.filter {
      !used.contains($0.name) && $0.dtype.isFloatingPoint
    }
    .map { .init(name: $0.name, reason: "not read by the graph, or under another name") }
    let preprocessing = Preprocessing.assumed(
      Extents(height: input.height, width: input.width), channels: input.channels,
      .imageNet(max(input.height, input.width), crop: 0.9))
    report.provenance =
      [
        ParameterProvenance(
          parameter: "preprocessing",
          value: input.channels == 3
            ? "ImageNet's mean and deviation, of which the file says nothing (`mean`, `std`)"
            : "mean and deviation 0.5, of which the file says nothing (`mean`, `std`)",
          source: .assumed)
      ] + overrides.provenance
    let joined = Dictionary(grouping: plan.fusions, by: \.kind.rawValue).mapValues(\.count)
    return LoadedGraph(
      network: network, report: report, preprocessing: preprocessing, joined: joined)
  }

  /// The result that is taken for the network's output.
  private static func chosenOutput(
    _ compiler: GraphCompiler, _ checkpoint: Checkpoint
  ) throws(ModelError) -> (value: GraphValue, classes: Int?, note: String) {
    var results: [(name: String, key: String?, value: GraphValue)] = []
    for output in compiler.program.outputs {
      switch output {
      case .user(.tensor(let name), let key):
        if case .value(let value)? = compiler.operands[name], value.isDependent {
          results.append((name, key, value))
        }
      case .user: continue
      case .other(let kind):
        throw ModelError(
          .unexpected, place: checkpoint.path, found: "a result that is a \(kind)",
          expected: "a model in evaluation that changes nothing of itself",
          advice: "Call model.eval() before torch.export.export")
      }
    }
    let chosen =
      results.first { $0.key == "logits" } ?? results.first { $0.value.rank == 2 } ?? results.first
    guard let chosen, chosen.value.batchAxis == 0, chosen.value.dimensions[0] == 1 else {
      throw ModelError(
        .unexpected, place: checkpoint.path, found: "no result of images",
        expected: "a tensor with one row an image")
    }
    // Scores come from a linear layer.
    var step = compiler.flow.makers[chosen.name].map(compiler.flow.peeled)
    while let place = step {
      let own = compiler.flow.steps[place]
      switch own.role {
      case .add, .multiply, .view, .other:
        guard let input = own.inputs.last, own.value.rank == 2 else { break }
        step = compiler.flow.peeled(input)
        continue
      default: break
      }
      break
    }
    var isScores = chosen.value.rank == 2 && chosen.key.map { $0 == "logits" } ?? true
    if let step {
      switch compiler.flow.steps[step].role {
      case .linear, .convolution(false): break
      default: isScores = false
      }
    }
    let title = chosen.key.map { "\"\($0)\"" } ?? "the result"
    let several = results.count > 1 ? " of \(results.count) results" : ""
    return (
      chosen.value, isScores ? chosen.value.dimensions[1] : nil,
      isScores
        ? "\(title)\(several) \(chosen.value.text) is taken for class scores: a linear layer makes it"
        : "\(title)\(several) \(chosen.value.text) is taken for features: no linear layer makes it"
    )
  }

  /// Runs the steps on shapes of three images: every value has three times what comes to one.
  private static func requireFollowsImages(
    _ plan: GraphPlan, _ compiler: GraphCompiler, _ checkpoint: Checkpoint
  ) throws(ModelError) {
    let meter = Meter()
    var slots = [Tensor?](repeating: nil, count: plan.slots)
    for (slot, tensor) in plan.constants { slots[slot] = tensor }
    for (slot, specification) in plan.parameters {
      slots[slot] = Tensor(abstract: specification.shape, meter: meter)
    }
    let (input, images) = (compiler.inputShape, 3)
    slots[0] = Tensor(
      abstract: [images, input.height, input.width, input.channels], meter: meter)
    let count = plan.preparation.count
    for (index, step) in (plan.preparation + plan.steps).enumerated() {
      let result = step.run(step.inputs.compactMap { slots[$0] }, GraphPass(images: images))
      let one = compiler.shape(ofSlot: step.output).count
      let (many, overflow) = one.multipliedReportingOverflow(by: index >= count ? images : 1)
      guard !overflow, result.shape.count == many else {
        throw ModelError(
          .unreadable, place: compiler.place(of: compiler.program.nodes[step.node]),
          found: "\(result.shape) of \(images) images",
          expected: "\(images) times the \(one) values of one image",
          advice: "Export the model with torch.export.Dim for the batch")
      }
      slots[step.output] = result
      for slot in step.releases { slots[slot] = nil }
    }
  }
}

/// Weights of an exported graph by their names in the file.
private struct GraphParameters: ParameterSource {
  let checkpoint: Checkpoint

  init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    guard let entry = checkpoint[specification.name] else {
      throw .missing(name: specification.name, shape: specification.storedShape)
    }
    return specification.layout.fromStored(try CheckpointParameters.values(entry))
  }
}
