import Tensors

/// The slots that a fusion reads, as they are gathered, and where each stands among its inputs.
struct GraphFusionSlots {
  private(set) var slots: [Int]

  init(_ slots: [Int]) { self.slots = slots }

  /// Adds slots, of those that there are; gives their places.
  mutating func add(_ more: [Int?]) -> [Int] {
    let own = more.compactMap(\.self)
    slots += own
    return Array(slots.count - own.count..<slots.count)
  }
}

extension [Tensor] {
  /// The weights of a product, and its bias if there is a second place.
  func weights(at places: [Int]) -> DenseWeights {
    let bias = places.count > 1 ? self[places[1]] : nil
    return (self[places[0]], bias.map { $0.reshaped([$0.shape.count]) })
  }
}

/// Several steps of a graph that one function of the engine carries out at once: what lies between them stays in
/// cache, and no tensor is made of it.
///
/// The steps stay in the plan. Where somebody looks between them, they are carried out one by one.
struct GraphFusion: Sendable {
  /// What is carried out at once.
  enum Kind: String, Sendable, CaseIterable {
    /// A convolution with normalisation or bias, residual and activation.
    case convolution
    /// A scale and shift of channels with residual and activation.
    case affine
    /// A product with normalisation, bias, activation, gain and residual.
    case linear
    /// Two products with an activation between.
    case perceptron
    /// Scores, softmax and mixing of values.
    case attention
    /// Attention from the normalisation before it to the sum behind it, of all tokens or within windows.
    case selfAttention = "self-attention"
    /// Values put elsewhere several times: once.
    case movement
  }

  let kind: Kind
  /// The steps, by their places in the plan, in order; the last makes the result.
  let members: [Int]
  /// The slots that are read.
  let inputs: [Int]
  /// Gives what the last step would.
  let run: GraphStep.Run

  /// Where it is carried out: in place of its last step.
  var end: Int { members[members.count - 1] }

  /// Whether nobody looks between the steps.
  func isUnseen(_ steps: [GraphStep], _ context: Context) -> Bool {
    guard context.probe != nil else { return true }
    return members.allSatisfy { member in
      let step = steps[member]
      if let maps = step.mapTap, context.wants(maps.tap) { return false }
      return member == end || !step.taps.contains { context.wants($0.tap) }
    }
  }
}
