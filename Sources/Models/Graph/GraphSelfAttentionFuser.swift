import Tensors

/// Attention among the steps of a graph with all that belongs to its half of a block.
extension GraphFuser {
  /// Attention with a normalisation and a product before it, a product and a sum with what was normalised behind.
  mutating func selfAttention(_ core: Core) -> GraphFusion? {
    guard core.isPacked, core.queries == core.keys,
      let (product, weights) = product(into: core.sources[0].slot)
    else { return nil }
    var members = core.members + product
    // Back to the normalisation.
    var (slot, before) = (steps[product[0]].inputs[0], [Int]())
    var norm: Int?
    while norm == nil, let maker = previous(slot) {
      if case .norm = steps[maker].kind {
        norm = maker
      } else {
        guard steps[maker].kind.isMovement else { return nil }
        before.insert(maker, at: 0)
        slot = steps[maker].inputs[0]
      }
    }
    guard let norm, case .norm(let epsilon) = steps[norm].kind else { return nil }
    let x = steps[norm].inputs[0]
    let (width, all) = (shape(x).last, shape(x).count / max(1, shape(x).last))
    // On to the sum.
    guard let projection = next(core.end), case .linear = steps[projection].kind,
      var mix = dense(projection), shape(mix.weight).dimensions == [width, core.channels],
      shape(weights.weight).dimensions == [3 * core.channels, width]
    else { return nil }
    var (last, behind, gain, sum) = (projection, [Int](), Int?.none, Int?.none)
    while sum == nil {
      guard let next = next(last) else { return nil }
      switch steps[next].kind {
      case .view, .movement: behind.append(next)
      case .gain where gain == nil:
        guard let vector = other(next, than: steps[last].output), isVector(vector, of: width),
          result(last).last == width
        else { return nil }
        gain = vector
        behind.append(next)
      case .sum:
        guard let rest = other(next, than: steps[last].output) else { return nil }
        if last == projection, mix.bias == nil, isVector(rest, of: width) {
          mix.bias = rest
          behind.append(next)
          break
        }
        guard source(rest) == source(x), isResidual(rest, of: result(last)) else { return nil }
        sum = next
      default: return nil
      }
      last = next
    }
    guard let sum,
      let into = movements.places(
        before.map { steps[$0] }, from: result(norm))?.rows(of: width),
      let back = movements.places(
        behind.map { steps[$0] }, from: result(projection))?.rows(of: width),
      back.count == all, into.count == core.windows * core.queries,
      back.enumerated().allSatisfy({ row, place in
        place >= 0 && into[Int(place)] == Int32(row)
      })
    else { return nil }
    members += before + behind + [norm, projection, sum]
    // What attention stays within.
    let isWhole = core.windows == 1 && core.bias == nil && into == Array(0..<Int32(all))
    let pads = into.contains { $0 < 0 }
    let tokens = Array(0..<Int32(into.count))
    var bias = core.bias
    if !isWhole, bias == nil {
      let none = Shape([1, core.heads, core.queries, core.queries])
      bias = prepare([], none) { _ in Tensor(repeating: 0, shape: none) }
    }
    let kinds = bias.map { shape($0)[0] } ?? 1
    guard kinds == 1 || kinds == core.windows, pads || Set(into).count == into.count else {
      return nil
    }
    let layout =
      isWhole
      ? nil
      : WindowLayout(
        rows: pads ? tokens : into,
        biases: (0..<core.windows).map { kinds == 1 ? 0 : Int32($0) })
    var slots = GraphFusionSlots([x, steps[norm].inputs[1], steps[norm].inputs[2]])
    let rest = (
      qkv: slots.add(weights.slots), mix: slots.add(mix.slots), gain: slots.add([gain]),
      bias: slots.add([bias])
    )
    let (heads, scale) = (core.heads, core.scale)
    return fusion(.selfAttention, members, slots.slots) { inputs, pass in
      Tensors.selfAttention(
        inputs[0].reshaped([pass.images, all, width]),
        normalization: RowNormalization(gamma: inputs[1], beta: inputs[2], epsilon: epsilon),
        qkv: inputs.weights(at: rest.qkv), projection: inputs.weights(at: rest.mix), heads: heads,
        scale: scale,
        gain: rest.gain.first.map { inputs[$0].reshaped([width]) },
        windows: layout.map {
          AttentionWindows(
            layout: $0, bias: inputs[rest.bias[0]], padding: pads ? into : nil,
            cropping: pads ? back : [])
        })
    }
  }

  /// The product that fills a slot, with the sum by which it has a bias if that is a step of its own.
  private func product(into slot: Int) -> (steps: [Int], weights: Dense)? {
    guard let maker = makers[slot], isFree(maker) else { return nil }
    if case .linear = steps[maker].kind { return dense(maker).map { ([maker], $0) } }
    guard case .sum = steps[maker].kind,
      let vector = steps[maker].inputs.first(where: { isVector($0, of: result(maker).last) }),
      let rest = other(maker, than: vector), let product = previous(rest),
      case .linear = steps[product].kind, var weights = dense(product), weights.bias == nil
    else { return nil }
    weights.bias = vector
    return ([product, maker], weights)
  }
}
