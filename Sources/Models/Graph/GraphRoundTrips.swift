import Tensors

/// Values that are brought into an order with images within rows and back again, as `nn.MultiheadAttention` does around its
/// products: on the way nothing but functions of rows is done, so that they may as well stay where they are.
struct GraphRoundTrips {
  private(set) var plan: GraphPlan
  /// The shapes of slots in memory, of one image.
  private(set) var shapes: [Shape]
  private var makers: [Int: Int] = [:]
  private var readers: [Int: Int] = [:]
  /// How many values may still be followed for this graph.
  private var budget = 1 << 28

  /// The most values of one image that are followed; numbers up to those of three images are exact.
  private static let maximumCount = 1 << 22

  /// The plan without the movements of round trips: views stand in their place.
  init(_ plan: GraphPlan, shapes: [Shape]) {
    (self.plan, self.shapes) = (plan, shapes)
    for (index, step) in plan.steps.enumerated() {
      makers[step.output] = index
      for slot in Set(step.inputs) { readers[slot, default: 0] += 1 }
    }
    for index in plan.steps.indices where isEnd(index) {
      if let chain = chain(to: index), isRoundTrip(chain) { straighten(chain) }
    }
  }

  /// Whether images may come apart again at a step.
  private func isEnd(_ index: Int) -> Bool {
    let step = plan.steps[index]
    guard step.kind.isCopy, !step.keepsImagesApart, let place = step.extents.batchPlace else {
      return false
    }
    return step.extents.dimensions.prefix(place).allSatisfy { $0 == 1 }
  }

  /// The steps from a value with images apart to one that ends; nil where somebody looks between, or something else
  /// than rows is worked on.
  private func chain(to end: Int) -> [Int]? {
    var chain = [end]
    while let maker = makers[plan.steps[chain[0]].inputs[0]] {
      let step = plan.steps[maker]
      if step.keepsImagesApart { return chain }
      let isOfRows = if case .linear = step.kind { true } else { step.kind.isMovement }
      guard isOfRows, readers[step.output] == 1, step.output != plan.outputSlot,
        step.mapTap == nil, step.taps.allSatisfy({ bringsImagesApart($0, step) })
      else { return nil }
      chain.insert(maker, at: 0)
    }
    return nil
  }

  /// Whether a tap shows a value as it lies when it was never moved: images first, and the rest as it is.
  private func bringsImagesApart(_ tap: GraphTap, _ step: GraphStep) -> Bool {
    guard let place = step.extents.batchPlace else { return false }
    let others = step.extents.dimensions.indices.filter { $0 != place }
    return tap.permutation == [place] + others
  }

  /// Whether every row ends up where it came from, of several images: by doing the steps on numbers.
  private mutating func isRoundTrip(_ chain: [Int]) -> Bool {
    let images = 3
    guard let first = chain.first, let source = makers[plan.steps[first].inputs[0]] else {
      return false
    }
    let shape = Shape(plan.steps[source].extents(images))
    guard shape.count <= images * Self.maximumCount else { return false }
    var numbers = Self.numbers(shape)
    for index in chain {
      let step = plan.steps[index]
      let count = step.extents(images).reduce(1, *)
      budget -= count
      guard budget > 0, count <= images * Self.maximumCount else { return false }
      if step.kind.isMovement {
        numbers = step.run([numbers], GraphPass(images: images))
      } else {
        // A function of rows: those of its result are numbered as those that they are made of.
        let places = GraphPlaces(numbers.values.map { Int32($0) - 1 })
        guard let rows = places.rows(of: numbers.shape.last) else { return false }
        let width = step.extents.dimensions.last ?? 1
        numbers = Tensor(shape: numbers.shape.replacingLast(width)) { buffer in
          for (row, place) in rows.enumerated() {
            for column in 0..<width {
              buffer[row * width + column] = place < 0 ? 0 : Float(Int(place) * width + column + 1)
            }
          }
        }
      }
    }
    return numbers.values.enumerated().allSatisfy { $1 == Float($0 + 1) }
  }

  private static func numbers(_ shape: Shape) -> Tensor {
    Tensor(shape: shape) { buffer in
      for place in buffer.indices { buffer[place] = Float(place + 1) }
    }
  }

  /// Leaves rows where they are.
  private mutating func straighten(_ chain: [Int]) {
    for index in chain {
      let step = plan.steps[index]
      let isLast = index == chain.last
      let width = step.extents.dimensions.last ?? 1
      let count = step.extents.dimensions.reduce(1, *)
      let extents =
        isLast
        ? step.extents : GraphExtents(dimensions: [1, count / max(1, width), width], batchPlace: 0)
      let isMovement = step.kind.isMovement
      var run = step.run
      if isMovement { run = { inputs, pass in inputs[0].reshaped(Shape(extents(pass.images))) } }
      var straight = GraphStep(
        inputs: step.inputs, output: step.output, run: run, node: step.node,
        kind: isMovement ? .view : step.kind, extents: extents, keepsImagesApart: true)
      straight.taps = step.taps
      if !isLast { for tap in straight.taps.indices { straight.taps[tap].permutation = nil } }
      plan.steps[index] = straight
      shapes[step.output] = Shape(extents.dimensions)
    }
  }
}
