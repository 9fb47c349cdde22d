import Checkpoints
import Tensors

/// Makes the steps of a graph from its operations: one operation after the other, each by its entry in
/// ``AtenOperations``.
///
/// What depends on no image is computed here where it has no parameters in it (``HostArray``, or by the engine), else
/// in the preparation. Shapes are checked before the engine sees them; the engine then runs each step on shapes alone,
/// which gives the extents of its result.
final class GraphCompiler {
  /// The graph; once it is compiled, with its operations as they were carried out: those of ONNX are those of PyTorch
  /// that they amount to.
  private(set) var program: ExportedProgram
  private var carriedOut: [ExportedProgram.Node] = []
  private let memory: GraphMemory
  private let needed: [Bool]
  /// How many images the graph was exported for; nil if that was left open.
  var exportedImages: Int?
  /// Whether that number only stands for any: in ONNX extents are values of tensors, and arithmetic on them is done with
  /// a number.
  var isOpen = false
  /// The number that stands for any: a prime that no extent of a network is a multiple of.
  let standIn: Int
  var plan = GraphPlan()
  /// What each name stands for.
  var operands: [String: GraphOperand] = [:]
  /// What each name stood for when it was made, before anything wrote into it.
  private(set) var made: [String: GraphValue] = [:]
  /// Images of shapes alone, one by slot.
  var shapes: [Tensor] = []
  let meter = Meter()
  var loaded: [String: GraphValue] = [:]
  /// Tensors of the file whose values were looked at here.
  var seen: Set<String>
  /// The operation that is being compiled.
  private(set) var node = 0
  let checkpoint: Checkpoint
  /// Payloads that several names share have one parameter: the first name.
  var shared: [(entry: TensorEntry, value: GraphValue)] = []
  /// What was assumed, for the reader.
  var notes: [String] = []
  /// What the axes of each value are.
  private(set) var axes = GraphAxes()
  /// Which operation reads which.
  private(set) var flow = GraphFlow()
  /// Names of values that are taps: each has a slot of its own.
  private let tapped: Set<String>
  /// The values of slots that neither images nor parameters have a part in.
  private(set) var folded: [Int: Tensor] = [:]
  /// Tensors of the file that are constants, as they are stored, by slot.
  var tables: [Int: StoredTensor] = [:]
  /// The most values of one that is computed when the graph is read.
  static let maximumFolded = 1 << 20
  /// The most bytes that the preparation may make.
  private static let maximumPreparation = 8 << 30

  init(_ checkpoint: Checkpoint, _ program: ExportedProgram, standIn: Int = 1021) {
    (self.checkpoint, self.standIn) = (checkpoint, standIn)
    let activations = ONNXActivations(program, checkpoint)
    let program = activations.program
    (self.program, seen) = (program, activations.read)
    needed = Self.neededNodes(program)
    memory = GraphMemory(program, needed: needed)
    tapped = Set(GraphModules(program).outputs.map(\.value))
  }

  /// What the graph takes.
  var inputShape: ImageShape {
    let shape = shapes[0].shape
    return ImageShape(height: shape[1], width: shape[2], channels: shape[3])
  }

  /// The shape of a slot's value, of one image.
  func shape(ofSlot slot: Int) -> Shape { shapes[slot].shape }

  // MARK: The graph

  /// Compiles all operations that the outputs depend on.
  func compile() throws(ModelError) {
    try requireKnownOperations()
    try defineInputs()
    carriedOut.reserveCapacity(program.nodes.count)
    for (index, entry) in program.nodes.enumerated() {
      guard needed[index] else {
        carriedOut.append(entry)
        continue
      }
      do {
        if let translation = ONNXOperations.table[entry.target] {
          try ONNXCall(entry, self).translate(translation)
        } else {
          try carryOut(CoreOperations.whole(entry))
        }
      } catch let error as GraphError {
        throw error.at(place(of: entry))
      } catch {
        throw ModelError(.unreadable, place: place(of: entry), found: "\(error)")
      }
    }
    program = program.with(nodes: carriedOut)
  }

  /// Makes the steps of one operation of PyTorch.
  func carryOut(_ entry: ExportedProgram.Node) throws {
    node = carriedOut.count
    carriedOut.append(entry)
    let call = AtenCall(entry, self)
    guard let operation = AtenOperations.table[call.operation] else {
      throw GraphError(
        .unrecognised, "an operation that is not known", advice: GraphError.capture)
    }
    let written = call.isInPlace ? try writtenValues(entry, node, memory) : []
    let results = try operation(call)
    try bind(entry, results)
    axes.note(entry, operands)
    flow.note(entry, node, isInPlace: call.isInPlace, operands)
    if call.isInPlace, case .tensor(let name)? = entry.arguments.first?.value,
      var result = results.first
    {
      operands[name] = result
      if case .tensor(let made)? = entry.outputs.first { axes[name] = axes[made] }
      for view in written {
        result = try AtenOperations.writtenBack(result, AtenCall(view.node, self))
        operands[view.source] = result
      }
    }
  }

  /// Whether the same numbers meet the images' values as in another compilation.
  func hasSameNumbers(as other: GraphCompiler) -> Bool {
    func numbers(_ compiler: GraphCompiler) -> [Double] {
      var numbers = compiler.plan.constants.flatMap { $0.tensor.values.map(Double.init) }
      for node in compiler.program.nodes {
        for case .real(let number) in node.arguments.map(\.value) { numbers.append(number) }
      }
      return numbers
    }
    return numbers(self) == numbers(other)
  }

  /// Where an operation stands, for messages.
  func place(of node: ExportedProgram.Node) -> String {
    let module = node.module.isEmpty ? "the model itself" : node.module
    return "\(checkpoint.path): \(node.target) in \(module)"
  }

  /// The operation among those carried out that makes a value; nil for what was given.
  func maker(of name: String) -> ExportedProgram.Node? {
    carriedOut.last { $0.outputs.contains(.tensor(name)) }
  }

  private func bind(
    _ node: ExportedProgram.Node, _ results: [GraphOperand]
  ) throws(GraphError) {
    var names: [String] = []
    for output in node.outputs {
      switch output {
      case .tensor(let name), .symbol(let name): names.append(name)
      case .list(let items):
        for case .tensor(let name) in items { names.append(name) }
      default: names.append("")
      }
    }
    guard names.count == results.count else {
      throw GraphError("\(names.count) results", expected: "\(results.count)")
    }
    for (name, result) in zip(names, results) where !name.isEmpty {
      try check(result, name)
      let operand = tapped.contains(name) ? try owned(result) : result
      operands[name] = operand
      if case .value(let value) = operand { made[name] = value }
    }
  }

  /// A value with a slot of its own, so that what a listener puts in its place is seen by no other.
  private func owned(_ operand: GraphOperand) throws(GraphError) -> GraphOperand {
    guard case .value(let value) = operand, value.isDependent,
      plan.steps.last?.node != node || plan.steps.last?.output != value.slot
    else { return operand }
    return .value(
      try emit(
        [value], order: value.order, batchAxis: value.batchAxis, ofRows: true, as: .view
      ) { inputs, _ in inputs[0] })
  }

  /// The extents that the file promises have to be those found.
  private func check(_ operand: GraphOperand, _ name: String) throws(GraphError) {
    guard let promised = program.values[name], let dimensions = operand.dimensions else { return }
    var found = dimensions
    if case .value(let value) = operand, let axis = value.batchAxis {
      guard let images = exportedImages else {
        let agree =
          promised.sizes.count == found.count
          && zip(promised.sizes, found).enumerated().allSatisfy { place, pair in
            if place == axis { return true }
            if case .fixed(let extent) = pair.0 { return extent == pair.1 }
            return pair.1 == 1
          }
        guard agree else {
          throw GraphError(
            "a result \(value.text)", expected: "\(promised.sizes.count) axes as the file says")
        }
        return
      }
      found[axis] *= images
    }
    let fits =
      promised.sizes.count == found.count
      && zip(promised.sizes, found).allSatisfy { size, extent in
        // What is repeated for every image stays one here.
        if case .fixed(let promised) = size { return promised == extent || extent == 1 }
        return extent == 1
      }
    guard fits else {
      throw GraphError(
        "a result of shape \(found)", expected: "\(promised.sizes), as the file says")
    }
  }

  /// Refuses a graph with operations that are not known, naming all of them.
  private func requireKnownOperations() throws(ModelError) {
    let unknown = GraphOperations(program).unknown
    guard !unknown.isEmpty else { return }
    let list = unknown.prefix(8).map { entry in
      "\(entry.name) in \(entry.modules.prefix(3).joined(separator: ", "))"
        + (entry.modules.count > 3 ? ", …" : "")
    }
    throw ModelError(
      .unrecognised, place: checkpoint.path,
      found: "operations that are not known: \(list.joined(separator: "; "))",
      advice: GraphError.capture)
  }

  /// Which operations the outputs depend on. What writes in place counts for whoever reads after it.
  private static func neededNodes(_ program: ExportedProgram) -> [Bool] {
    var needed = [Bool](repeating: false, count: program.nodes.count)
    var names = program.results
    for (index, node) in program.nodes.enumerated().reversed() {
      let writes = AtenCall.isInPlace(node.target) && !node.arguments.isEmpty
      guard writes || !names.isDisjoint(with: node.made) else { continue }
      needed[index] = true
      names.formUnion(node.read)
    }
    return needed
  }

  // MARK: Writing in place

  /// The values that a change in place changes besides the one that is named: those that it is a part of, the
  /// nearest first, as far as they are read afterwards. Refuses a change that others would see, too.
  private func writtenValues(
    _ node: ExportedProgram.Node, _ index: Int, _ memory: GraphMemory
  ) throws(GraphError) -> [GraphMemory.View] {
    guard case .tensor(let name)? = node.arguments.first?.value else {
      throw GraphError("no tensor to write into", expected: "one")
    }
    // Known values do share memory.
    if case .known? = operands[name] { return [] }
    let made = node.made.union([name])
    let readLater = memory.sharing(name).filter { other in
      !made.contains(other) && operands[other]?.isTensor ?? false
        && memory.isRead(other, after: index)
    }
    guard !readLater.isEmpty else { return [] }
    var written: [GraphMemory.View] = []
    var seen: Set<String> = []
    while !seen.isSuperset(of: readLater), let view = memory.view(written.last?.source ?? name),
      AtenOperations.isWritable(through: view.node), let whole = operands[view.source],
      whole.isTensor, !whole.isDependent
    {
      written.append(view)
      seen.insert(view.source)
    }
    if let other = readLater.first(where: { !seen.contains($0) }) {
      throw GraphError(
        .unrecognised,
        "a change in place of \"\(name)\", a part of which is read later as \"\(other)\"",
        expected: "operations that make new tensors",
        advice: GraphError.capture)
    }
    return written
  }

  // MARK: Operands

  /// What an argument of the file amounts to.
  func operand(_ argument: ExportedProgram.Argument) throws(GraphError) -> GraphOperand {
    switch argument {
    case .none: return .none
    case .tensor(let name), .symbol(let name):
      guard let operand = operands[name] else {
        throw GraphError("the value \"\(name)\", which was not made here")
      }
      return operand
    case .int(let value): return .number(.int(value))
    case .real(let value): return .number(.real(value))
    case .bool(let value): return .bool(value)
    case .string(let text): return .text(text)
    case .dtype(let type): return .kind(type.flatMap(HostArray.Kind.init))
    case .list(let items):
      return .list(try items.map { item throws(GraphError) in try operand(item) })
    case .placement: return .placement
    case .other(let kind): return .other(kind)
    }
  }

  // MARK: Values

  /// A step whose result lies in memory in the given order of axes.
  ///
  /// - Parameters:
  ///   - isOfRows: whether it makes each row of its result of one row, so that it does not matter how rows and
  ///     images follow each other.
  ///   - kind: what it computes, where steps are joined by it.
  func emit(
    _ inputs: [GraphValue], order: [Int], batchAxis: Int?, maps: GraphMaps? = nil,
    ofRows isOfRows: Bool = false, as kind: GraphStep.Kind = .other, _ run: @escaping GraphStep.Run
  ) throws(GraphError) -> GraphValue {
    let areInner = inputs.contains(where: \.imagesAreInner)
    guard !areInner || isOfRows else {
      throw GraphError(
        .unrecognised, "images within the rows of a matrix, and more than a function of its rows",
        advice: GraphError.capture)
    }
    let probe = inputs.map { shapes[$0.slot] }
    let before = meter.multiplyAdds
    let result = run(probe, GraphPass(images: 1))
    let cost = meter.multiplyAdds - before
    guard result.shape.rank == order.count else {
      throw GraphError("a result of shape \(result.shape)", expected: "\(order.count) axes")
    }
    guard result.shape.count > 0 else {
      throw GraphError("a tensor of shape \(result.shape)", expected: "values")
    }
    var dimensions = [Int](repeating: 0, count: order.count)
    for (place, axis) in order.enumerated() { dimensions[axis] = result.shape[place] }
    let slot = newSlot(result.isAbstract ? result : Tensor(abstract: result.shape, meter: meter))
    let isDependent = inputs.contains(where: \.isDependent)
    let value = GraphValue(
      slot: slot, dimensions: dimensions, order: order, batchAxis: batchAxis,
      imagesAreInner: areInner)
    var step = GraphStep(
      inputs: inputs.map(\.slot), output: slot, run: run, node: node, kind: kind,
      extents: GraphExtents(
        dimensions: result.shape.dimensions, batchPlace: value.batchPlace),
      keepsImagesApart: ([value] + inputs.filter(\.isDependent)).allSatisfy(\.keepsImagesApart))
    step.maps = maps
    guard isDependent == (batchAxis != nil) else {
      throw GraphError("a result that has lost the images")
    }
    if isDependent {
      plan.steps.append(step)
    } else if let tensors = try constants(inputs), cost <= Self.maximumFolded << 8,
      result.shape.count <= Self.maximumFolded
    {
      // What is made of constants is one.
      define(slot, run(tensors, GraphPass(images: 1)))
    } else {
      plan.preparation.append(step)
      guard !meter.isSaturated, meter.liveBytes <= Self.maximumPreparation else {
        throw GraphError(
          "more than \(Self.maximumPreparation >> 30) GiB of values that depend on no image")
      }
    }
    return value
  }

  private func define(_ slot: Int, _ tensor: Tensor) {
    plan.constants.append((slot, tensor))
    if tensor.shape.count <= Self.maximumFolded { folded[slot] = tensor }
  }

  /// The values of inputs that are all constants; nil for others.
  private func constants(_ inputs: [GraphValue]) throws(GraphError) -> [Tensor]? {
    guard inputs.allSatisfy({ folded[$0.slot] != nil || tables[$0.slot] != nil }) else {
      return nil
    }
    for input in inputs where folded[input.slot] == nil {
      guard
        let array = try tables[input.slot].flatMap({ table throws(GraphError) in
          try known(.stored(table))
        })
      else { return nil }
      folded[input.slot] = Tensor(array.values.map(Float.init), shape: Shape(array.shape))
    }
    return inputs.compactMap { folded[$0.slot] }
  }

  func newSlot(_ shape: Tensor) -> Int {
    shapes.append(shape)
    plan.slots += 1
    return shapes.count - 1
  }

  /// A constant of the engine.
  func constant(_ array: HostArray) -> GraphValue {
    let tensor = Tensor(array.values.map(Float.init), shape: Shape(array.shape))
    let slot = newSlot(Tensor(abstract: tensor.shape, meter: meter))
    define(slot, tensor)
    return GraphValue(
      slot: slot, dimensions: array.shape, order: Array(0..<array.rank), batchAxis: nil)
  }

  /// An operand as a tensor of the engine.
  func value(_ operand: GraphOperand) throws(GraphError) -> GraphValue {
    switch operand {
    case .value(let value): return value
    case .known(let array): return constant(array)
    case .stored(let stored):
      if let value = loaded[stored.entry.name] { return value }
      if let kind = HostArray.Kind(stored.entry.dtype), kind < .float32,
        let array = try known(operand)
      {
        return constant(array)
      }
      return try value(of: stored)
    case .number(.int(let value)): return constant(HostArray(.float32, scalar: Double(value)))
    case .number(.real(let value)): return constant(HostArray(.float32, scalar: value))
    default: throw GraphError(operand.title, expected: "a tensor")
    }
  }
}
