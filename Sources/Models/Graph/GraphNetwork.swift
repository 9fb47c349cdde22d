import Checkpoints
import Synchronization
import Tensors

/// A network that was exported from PyTorch as a graph: `torch.export` wrote it, ``GraphPlan`` is its steps.
struct GraphNetwork: ModelNetwork {
  let plan: GraphPlan
  let inputShape: ImageShape
  let parameters: [NamedParameter]
  let model: any VisionModel

  /// Builds the network from weights, and carries out what depends on no image.
  init(
    _ plan: GraphPlan, inputShape: ImageShape, classCount: Int?, _ source: any ParameterSource
  ) throws(ParameterError) {
    (self.plan, self.inputShape) = (plan, inputShape)
    var slots = [Tensor?](repeating: nil, count: plan.slots)
    for (slot, tensor) in plan.constants { slots[slot] = tensor }
    var parameters: [NamedParameter] = []
    // Checksums are taken of what is read: a large part of the work, which threads share.
    let results = Mutex(
      [Result<Tensor, ParameterError>?](repeating: nil, count: plan.parameters.count))
    Threads.forEach(plan.parameters.count) { index in
      let specification = plan.parameters[index].specification
      let result = Result { () throws(ParameterError) in try source.tensor(for: specification) }
      results.withLock { $0[index] = result }
    }
    for ((slot, specification), result) in zip(plan.parameters, results.withLock { $0 }) {
      guard let tensor = try result?.get() else { continue }
      guard tensor.shape == specification.shape else {
        throw .shape(
          name: specification.name, expected: specification.shape.dimensions,
          found: tensor.shape.dimensions)
      }
      slots[slot] = tensor
      parameters.append(NamedParameter(specification: specification, tensor: tensor))
    }
    self.parameters = parameters
    for step in plan.preparation {
      slots[step.output] = step.run(step.inputs.compactMap { slots[$0] }, GraphPass(images: 1))
    }
    model = GraphModel(plan: plan, prepared: slots, classCount: classCount)
  }

  func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
    try GraphNetwork(plan, inputShape: inputShape, classCount: classCount, source)
  }
}

/// The forward pass of a graph, cut where its blocks end.
private struct GraphModel: VisionModel {
  /// The values that later steps read.
  struct State: Sendable {
    var slots: [Tensor?]
    let images: Int
  }

  let plan: GraphPlan
  let prepared: [Tensor?]
  let classCount: Int?

  /// The steps up to the end of the first block's predecessor, each block's, and the rest.
  private var ends: [Int] { plan.blockEnds }

  var blockCount: Int { ends.isEmpty ? 0 : ends.count - 1 }

  func embed(_ images: Tensor, _ context: Context) -> State {
    var state = State(slots: prepared, images: images.shape[0])
    state.slots[0] = images
    run(0..<(ends.first ?? 0), &state, context)
    return state
  }

  func block(_ index: Int, _ state: State, _ context: Context) -> State {
    var state = state
    run(ends[index]..<ends[index + 1], &state, context)
    return state
  }

  func head(_ state: State, _ context: Context) -> Tensor {
    var state = state
    run((ends.last ?? 0)..<plan.steps.count, &state, context)
    let output = plan.output
    guard let value = state.slots[plan.outputSlot] else {
      preconditionFailure("A graph without a result")
    }
    let ordered = output.permutation.map(value.permuted) ?? value
    return ordered.reshaped(Shape(output.extents(state.images)))
  }

  private func run(_ range: Range<Int>, _ state: inout State, _ context: Context) {
    let (fused, ends) = fused(range, context)
    for index in range {
      let step = plan.steps[index]
      let fusion = ends[index].map { plan.fusions[$0] }
      if fusion == nil, fused.contains(index) { continue }
      let inputs = (fusion?.inputs ?? step.inputs).map { slot -> Tensor in
        guard let tensor = state.slots[slot] else {
          preconditionFailure("A step reads slot \(slot) before it is filled")
        }
        return tensor
      }
      var pass = GraphPass(images: state.images)
      if let tap = step.mapTap {
        let images = state.images
        if context.wants(tap.tap) { pass.maps = { tap.offer($0, images, context) } }
      }
      var value = (fusion?.run ?? step.run)(inputs, pass)
      for tap in step.taps { value = tap.offer(value, state.images, context) }
      state.slots[step.output] = value
      for slot in step.releases { state.slots[slot] = nil }
    }
  }

  /// The steps in a range that fusions take the place of, and the fusion at the end of each.
  private func fused(
    _ range: Range<Int>, _ context: Context
  ) -> (members: Set<Int>, ends: [Int: Int]) {
    var (members, ends): (Set<Int>, [Int: Int]) = ([], [:])
    for (index, fusion) in plan.fusions.enumerated()
    where range.contains(fusion.end) && fusion.isUnseen(plan.steps, context) {
      members.formUnion(fusion.members)
      ends[fusion.end] = index
    }
    return (members, ends)
  }
}
