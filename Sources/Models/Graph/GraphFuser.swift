import Tensors

/// Finds the steps of a plan that one function of the engine carries out at once (``GraphFusion``).
///
/// Steps are joined that follow each other, each read by the next alone, and that lie within one block, so that
/// passes still stop where blocks end. What an operation is told by is its ``GraphStep/Kind``, not its name: a graph of
/// ONNX is joined like one of PyTorch.
struct GraphFuser {
  private(set) var plan: GraphPlan
  let steps: [GraphStep]
  /// The shapes of slots in memory, of one image.
  private var shapes: [Shape]
  /// The step that fills each slot.
  private(set) var makers: [Int: Int] = [:]
  private var readers: [Int: [Int]] = [:]
  private var taken: Set<Int> = []
  var movements = GraphMovements()

  private init(_ plan: GraphPlan, shapes: [Shape]) {
    (self.plan, self.shapes, steps) = (plan, shapes, plan.steps)
    for (index, step) in steps.enumerated() {
      makers[step.output] = index
      for slot in Set(step.inputs) { readers[slot, default: []].append(index) }
    }
  }

  /// The plan with its fusions.
  ///
  /// - Parameter shapes: those of its slots in memory, of one image.
  static func fused(_ plan: GraphPlan, shapes: [Shape]) -> GraphPlan {
    let straight = GraphRoundTrips(plan, shapes: shapes)
    var fuser = GraphFuser(straight.plan, shapes: straight.shapes)
    let steps = fuser.steps.indices
    for index in steps { fuser.take(fuser.attention(at: index)) }
    for index in steps { fuser.take(fuser.linear(at: index)) }
    for index in steps { fuser.take(fuser.convolution(at: index)) }
    for index in steps { fuser.take(fuser.affine(at: index)) }
    for index in steps { fuser.take(fuser.movement(at: index)) }
    fuser.plan.fusions.sort { $0.end < $1.end }
    fuser.plan.noteReleases()
    return fuser.plan
  }

  // MARK: Looking around

  /// The shape of a slot in memory, of one image.
  func shape(_ slot: Int) -> Shape { shapes[slot] }

  /// The shape of a step's result in memory, of one image.
  func result(_ step: Int) -> Shape { shapes[steps[step].output] }

  /// The step that alone reads a step's result; nil where there are several, or it is the network's.
  func next(_ step: Int) -> Int? {
    let slot = steps[step].output
    guard slot != plan.outputSlot, let all = readers[slot], all.count == 1, isFree(all[0]) else {
      return nil
    }
    return all[0]
  }

  /// The step that fills a slot, if nothing but one step reads it.
  func previous(_ slot: Int) -> Int? {
    guard let maker = makers[slot], isFree(maker), next(maker) != nil else { return nil }
    return maker
  }

  func isFree(_ step: Int) -> Bool {
    !taken.contains(step) && steps[step].keepsImagesApart && steps[step].maps == nil
  }

  /// Whether a slot holds the same for every image.
  func isFixed(_ slot: Int) -> Bool { slot != 0 && makers[slot] == nil }

  /// The slot whose values one has, behind views.
  func source(_ slot: Int) -> Int {
    var slot = slot
    while let maker = makers[slot], case .view = steps[maker].kind, steps[maker].keepsImagesApart {
      slot = steps[maker].inputs[0]
    }
    return slot
  }

  /// The other input of a step of two, which differs from the one.
  func other(_ step: Int, than slot: Int) -> Int? {
    let inputs = steps[step].inputs
    guard inputs.count == 2, inputs[0] != inputs[1] else { return nil }
    return inputs[0] == slot ? inputs[1] : inputs[1] == slot ? inputs[0] : nil
  }

  /// Whether a slot holds, image by image, a tensor that is added to one like it.
  func isResidual(_ slot: Int, of shape: Shape) -> Bool {
    guard self.shape(slot) == shape, shape.rank > 0 else { return false }
    return slot == 0 || makers[slot].map { steps[$0].keepsImagesApart } ?? false
  }

  /// A vector of the last axis in memory, the same for all: a gain, a bias.
  func isVector(_ slot: Int, of count: Int) -> Bool {
    isFixed(slot) && shape(slot).count == count && shape(slot).last == count
  }

  // MARK: Making fusions

  /// A slot that is filled in the preparation.
  mutating func prepare(
    _ inputs: [Int], _ shape: Shape, _ run: @escaping @Sendable ([Tensor]) -> Tensor
  ) -> Int {
    let slot = plan.slots
    plan.slots += 1
    shapes.append(shape)
    plan.preparation.append(
      GraphStep(
        inputs: inputs, output: slot, run: { inputs, _ in run(inputs) }, node: 0,
        extents: GraphExtents(dimensions: shape.dimensions, batchPlace: nil),
        keepsImagesApart: false))
    return slot
  }

  /// A fusion of steps; nil where others read what lies between them, or a block ends there.
  func fusion(
    _ kind: GraphFusion.Kind, _ members: [Int], _ inputs: [Int], _ run: @escaping GraphStep.Run
  ) -> GraphFusion? {
    let all = Set(members)
    let members = all.sorted()
    guard let first = members.first, let end = members.last, members.count > 1 else { return nil }
    let isApart = members.allSatisfy { member in
      !taken.contains(member) && steps[member].keepsImagesApart
        && (member == end
          || steps[member].output != plan.outputSlot
            && (readers[steps[member].output] ?? []).allSatisfy(all.contains))
    }
    guard isApart, !plan.blockEnds.contains(where: { first < $0 && $0 <= end }) else { return nil }
    let extents = steps[end].extents
    return GraphFusion(kind: kind, members: members, inputs: inputs) { inputs, pass in
      run(inputs, pass).reshaped(Shape(extents(pass.images)))
    }
  }

  private mutating func take(_ fusion: GraphFusion?) {
    guard let fusion else { return }
    taken.formUnion(fusion.members)
    plan.fusions.append(fusion)
  }

  // MARK: Movements

  /// Values put elsewhere two times or more, whole rows each time.
  private mutating func movement(at index: Int) -> GraphFusion? {
    guard isFree(index), steps[index].kind.isCopy else { return nil }
    var (members, last, copies) = ([index], index, 1)
    while let next = next(last), steps[next].kind.isMovement {
      if steps[next].kind.isCopy { copies += 1 }
      members.append(next)
      last = next
    }
    while case .view = steps[members[members.count - 1]].kind { members.removeLast() }
    let source = steps[index].inputs[0]
    let (from, to) = (shape(source), result(members[members.count - 1]))
    guard copies > 1, makers[source].map({ steps[$0].keepsImagesApart }) ?? (source == 0),
      let places = movements.places(members.map { steps[$0] }, from: from)
    else { return nil }
    // The widest rows that stay whole.
    let width = [from.last, from.last / max(1, from.last / to.last)]
      .first { $0 > 0 && from.count.isMultiple(of: $0) && places.rows(of: $0) != nil }
    guard let width, width >= 8, let rows = places.rows(of: width) else { return nil }
    let all = from.count / width
    return fusion(.movement, members, [source]) { inputs, pass in
      inputs[0].reshaped([pass.images, all, width]).gatherRows(rows, rowsIn: all)
    }
  }
}
