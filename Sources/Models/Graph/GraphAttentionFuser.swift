import Tensors

/// Attention among the steps of a graph: written as one operation, or as two products with a softmax between; its
/// queries, keys and values cut out of one product, made by three, or normalised or rotated before; of all tokens of an
/// image, or within windows that were cut out of a map and are put back.
extension GraphFuser {
  /// Attention without what precedes and follows it.
  struct Core {
    var members: [Int]
    /// Where queries, keys and values come from.
    var sources: [Source] = []
    /// How many windows an image has.
    var windows = 1
    /// Of a window.
    var queries = 1
    var keys = 1
    var heads = 1
    /// Channels of a head.
    var width = 1
    var scale: Float = 1
    /// `[1 or windows, heads, T, S]`.
    var bias: Int?

    var channels: Int { heads * width }
    /// Its heads in an operand.
    func heads(_ order: GraphHeads.Order, _ tokens: Int) -> GraphHeads {
      GraphHeads(order: order, count: heads, width: width, tokens: tokens)
    }
    /// The last step.
    var end: Int { members.max() ?? 0 }
    var isPacked: Bool {
      sources.enumerated().allSatisfy { index, source in
        source.slot == sources[0].slot && source.heads.rows == nil
          && source.heads.start == index * channels
      }
    }
  }

  /// Where queries, keys or values come from.
  struct Source {
    let slot: Int
    let heads: GraphHeads.Source
  }

  /// The fusion of the attention whose softmax, or whose one operation, stands at a place.
  mutating func attention(at index: Int) -> GraphFusion? {
    guard !steps[index].inputs.isEmpty, steps[index].keepsImagesApart else { return nil }
    // First as far back as values are only moved, then as far as nobody else reads them.
    for isShared in [true, false] {
      let core: Core?
      switch steps[index].kind {
      case .attention(let scale): core = whole(at: index, scale, isShared)
      case .softmax: core = products(around: index, isShared)
      default: return nil
      }
      guard let core else { continue }
      if let fusion = selfAttention(core) ?? alone(core) { return fusion }
    }
    return nil
  }

  // MARK: The core

  /// Attention that is one operation.
  private mutating func whole(at index: Int, _ scale: Float, _ isShared: Bool) -> Core? {
    let inputs = steps[index].inputs
    guard inputs.count >= 3, shape(inputs[0]).rank == 4, shape(inputs[1]).rank == 4 else {
      return nil
    }
    let (q, k) = (shape(inputs[0]), shape(inputs[1]))
    var core = Core(members: [index])
    (core.windows, core.queries, core.keys) = (q[0], q[1], k[1])
    (core.heads, core.width, core.scale) = (q[2], q[3], scale)
    core.bias = inputs.count > 3 ? inputs[3] : nil
    for slot in inputs[..<3] {
      let heads = core.heads(.tokensHeadsChannels, shape(slot)[1])
      guard let source = source(of: slot, heads, into: &core.members, isShared, scale: nil) else {
        return nil
      }
      core.sources.append(source)
    }
    guard finish(&core, from: index, .tokensHeadsChannels) else { return nil }
    return core
  }

  /// Attention as products of the queries with the keys and of the softmax at a place with the values.
  private mutating func products(around index: Int, _ isShared: Bool) -> Core? {
    var core = Core(members: [index])
    // Back to the scores: sums with biases and views of them, then scales.
    var slot = steps[index].inputs[0]
    var biases: [(slot: Int, shape: Shape)] = []
    var scores: Int?
    while scores == nil, let maker = previous(slot) {
      let step = steps[maker]
      switch step.kind {
      case .view: slot = step.inputs[0]
      case .sum:
        // What is added before a scale is scaled, too.
        guard core.scale == 1, let fixed = step.inputs.first(where: isFixed),
          let rest = other(maker, than: fixed), !isFixed(rest), shape(rest) == result(maker)
        else { return nil }
        biases.append((fixed, result(maker)))
        slot = rest
      case .scale(let factor):
        core.scale *= factor
        slot = step.inputs[0]
      case .product: scores = maker
      default: return nil
      }
      core.members.append(maker)
    }
    guard let scores, result(scores).rank == 4, let mix = forward(from: index, &core.members),
      result(mix).rank == 4
    else { return nil }
    let (q, k, v) = (
      steps[scores].inputs[0], steps[scores].inputs[1], steps[mix].inputs[1]
    )
    guard shape(q).rank == 4, shape(k).rank == 4, shape(v).rank == 4,
      source(steps[mix].inputs[0]) == steps[index].output, v != steps[mix].inputs[0]
    else { return nil }
    (core.windows, core.heads, core.queries, core.width) = (
      shape(q)[0], shape(q)[1], shape(q)[2], shape(q)[3]
    )
    core.keys = shape(k)[3]
    let (heads, width, t, s) = (core.heads, core.width, core.queries, core.keys)
    guard result(scores).dimensions == [core.windows, heads, t, s],
      shape(k).dimensions == [core.windows, heads, width, s],
      shape(v).dimensions == [core.windows, heads, s, width],
      result(index).count == result(scores).count,
      result(index).last == s
    else { return nil }
    let operands = [
      (q, core.heads(.headsTokensChannels, t)), (k, core.heads(.headsChannelsTokens, s)),
      (v, core.heads(.headsTokensChannels, s)),
    ]
    for (slot, heads) in operands {
      var factor: Float = 1
      guard
        let source = source(
          of: slot, heads, into: &core.members, isShared, scale: { factor *= $0 }),
        slot != v || factor == 1
      else { return nil }
      core.scale *= factor
      core.sources.append(source)
    }
    if !biases.isEmpty {
      guard let bias = joined(biases, windows: core.windows, [heads, t, s]) else { return nil }
      core.bias = bias
    }
    guard finish(&core, from: mix, .headsTokensChannels) else { return nil }
    return core
  }

  /// The product that the softmax at a place goes into, behind views.
  private func forward(from index: Int, _ members: inout [Int]) -> Int? {
    var last = index
    while let next = next(last) {
      members.append(next)
      switch steps[next].kind {
      case .view: last = next
      case .product: return source(steps[next].inputs[0]) == steps[index].output ? next : nil
      default: return nil
      }
    }
    return nil
  }

  /// The values that were added to scores, as one bias of each kind of window.
  private mutating func joined(
    _ biases: [(slot: Int, shape: Shape)], windows: Int, _ map: [Int]
  ) -> Int? {
    let area = map.reduce(1, *)
    let isOne = biases.allSatisfy {
      shape($0.slot).count == area && shape($0.slot).dimensions.suffix(3) == map[...]
    }
    let whole = Shape([isOne ? 1 : windows] + map)
    guard biases.allSatisfy({ $0.shape.count == windows * area }) else { return nil }
    let shapes = biases.map { isOne ? nil : $0.shape }
    return prepare(biases.map(\.slot), whole) { inputs in
      var sum: Tensor?
      for (input, shape) in zip(inputs, shapes) {
        let part = (shape.map { input.expanded(to: $0) } ?? input).reshaped(whole)
        sum = sum.map { $0 + part } ?? part
      }
      return sum ?? Tensor(repeating: 0, shape: whole)
    }
  }

  /// What an operand of attention was cut out of, by movements.
  private mutating func source(
    of slot: Int, _ heads: GraphHeads, into members: inout [Int], _ isShared: Bool,
    scale: ((Float) -> Void)?
  ) -> Source? {
    var (source, chain) = (slot, [Int]())
    while let maker = isShared ? makers[source] : previous(source), steps[maker].keepsImagesApart {
      if case .scale(let factor) = steps[maker].kind, let scale {
        scale(factor)
      } else if !steps[maker].kind.isMovement {
        break
      }
      chain.append(maker)
      source = steps[maker].inputs[0]
    }
    guard source != 0, !isFixed(source), shape(source).rank > 0 else { return nil }
    let places = movements.places(chain.reversed().map { steps[$0] }, from: shape(source))
    guard let found = places?.source(of: heads, row: shape(source).last) else { return nil }
    for step in chain where !members.contains(step) { members.append(step) }
    return Source(slot: source, heads: found)
  }

  /// Goes on from the mixed values until heads lie side by side in the channels.
  private mutating func finish(
    _ core: inout Core, from index: Int, _ order: GraphHeads.Order
  ) -> Bool {
    let heads = core.heads(order, core.queries)
    var (last, chain) = (index, [Int]())
    while true {
      if result(last).last == core.channels {
        guard let places = movements.places(chain.map { steps[$0] }, from: result(index)) else {
          return false
        }
        if places.bringsHeadsTogether(from: heads) {
          core.members += chain
          return true
        }
      }
      guard let next = next(last), steps[next].kind.isMovement else { return false }
      chain.append(next)
      last = next
    }
  }

  /// Attention between the products around it, which stay apart.
  private func alone(_ core: Core) -> GraphFusion? {
    let (windows, heads, scale) = (core.windows, core.heads, core.scale)
    let (t, s, channels) = (core.queries, core.keys, core.channels)
    let hasBias = core.bias != nil
    let bias = core.bias.map { [$0] } ?? []
    if core.isPacked, t == s, shape(core.sources[0].slot).last == 3 * channels {
      return fusion(.attention, core.members, [core.sources[0].slot] + bias) { inputs, pass in
        Tensors.attention(
          qkv: inputs[0].reshaped([pass.images * windows, t, 3 * channels]), heads: heads,
          scale: scale, bias: hasBias ? inputs[1] : nil)
      }
    }
    let isSeparate = core.sources.allSatisfy {
      $0.heads.rows != nil || $0.heads.start == 0 && shape($0.slot).last == channels
    }
    guard isSeparate else { return nil }
    let (rows, width) = (core.sources.map(\.heads.rows), core.width)
    let all = core.sources.map { shape($0.slot).count / width }
    return fusion(.attention, core.members, core.sources.map(\.slot) + bias) { inputs, pass in
      func tokens(_ index: Int, _ count: Int) -> Tensor {
        var x = inputs[index]
        if let rows = rows[index] {
          x = x.reshaped([pass.images, all[index], width]).gatherRows(rows, rowsIn: all[index])
        }
        return x.reshaped([pass.images * windows, count, channels])
      }
      return Tensors.attention(
        tokens(0, t), tokens(1, s), tokens(2, s), heads: heads, scale: scale,
        bias: hasBias ? inputs[3] : nil)
    }
  }
}
