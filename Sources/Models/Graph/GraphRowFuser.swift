import Tensors

/// Products of rows among the steps of a graph, with what precedes and follows them.
extension GraphFuser {
  /// Weights `[out, in]` of a product and its bias, by their slots.
  struct Dense {
    let weight: Int
    var bias: Int?

    var slots: [Int] { [weight] + (bias.map { [$0] } ?? []) }
  }

  /// The weights of a product whose shapes fit.
  func dense(_ step: Int) -> Dense? {
    let slots = steps[step].inputs
    guard slots.count > 1, shape(slots[1]).rank == 2,
      slots.count == 2 || shape(slots[2]).dimensions == [shape(slots[1])[0]]
    else { return nil }
    return Dense(weight: slots[1], bias: slots.count > 2 ? slots[2] : nil)
  }

  /// One product or two after each other, as far as they have been followed.
  private struct Rows {
    var members: [Int]
    /// The last of the members.
    var last: Int
    var x: Int
    var norm: (gamma: Int, beta: Int, epsilon: Float)?
    var products: [Dense]
    /// What follows the first product.
    var activation = Activation.none
    var gain: Int?
    var residual: Int?

    /// Whether the last product is still without anything behind it.
    var isBare: Bool {
      if products.count > 1 { return gain == nil }
      if case .none = activation { return gain == nil }
      return false
    }
  }

  /// One product or two, with a normalisation before and a gain and a sum behind.
  func linear(at index: Int) -> GraphFusion? {
    guard isFree(index), case .linear = steps[index].kind, let weights = dense(index) else {
      return nil
    }
    var rows = Rows(
      members: [index], last: index, x: steps[index].inputs[0], products: [weights])
    normalise(&rows)
    var (step, waiting) = (index, [Int]())
    while rows.residual == nil, let next = next(step) {
      waiting.append(next)
      let width = result(step).last
      if case .view = steps[next].kind {
        guard result(next).last == width else { break }
      } else {
        guard join(next, behind: step, width, to: &rows) else { break }
        rows.members += waiting
        rows.last = next
        waiting = []
      }
      step = next
    }
    return fusion(of: rows)
  }

  /// Goes back to a normalisation of the rows that go in.
  private func normalise(_ rows: inout Rows) {
    let width = shape(rows.x).last
    var (slot, before) = (rows.x, [Int]())
    while let maker = previous(slot), result(maker).last == width {
      let inputs = steps[maker].inputs
      switch steps[maker].kind {
      case .view: before.append(maker)
      case .norm(let epsilon):
        rows.norm = (inputs[1], inputs[2], epsilon)
        rows.x = inputs[0]
        rows.members += before + [maker]
        return
      default: return
      }
      slot = inputs[0]
    }
  }

  /// Whether a step is joined to the rows before it.
  private func join(_ next: Int, behind step: Int, _ width: Int, to rows: inout Rows) -> Bool {
    let (count, slot) = (rows.products.count, steps[step].output)
    switch steps[next].kind {
    case .activation(let function) where count == 1 && rows.isBare: rows.activation = function
    case .linear where count == 1 && rows.gain == nil && steps[next].inputs[0] == slot:
      guard let weights = dense(next), result(step).last == width else { return false }
      rows.products.append(weights)
    case .gain where rows.gain == nil:
      guard let vector = other(next, than: slot), isVector(vector, of: width) else { return false }
      rows.gain = vector
    case .sum:
      guard let added = other(next, than: slot) else { return false }
      if rows.isBare, rows.products[count - 1].bias == nil, isVector(added, of: width) {
        rows.products[count - 1].bias = added
      } else if isResidual(added, of: result(step)) {
        rows.residual = added
      } else {
        return false
      }
    default: return false
    }
    return result(next).last == width || count < rows.products.count
  }

  private func fusion(of rows: Rows) -> GraphFusion? {
    let out = shape(rows.products[rows.products.count - 1].weight)[0]
    var slots = GraphFusionSlots([rows.x])
    let products = rows.products.map { slots.add($0.slots) }
    let (norm, epsilon) = (slots.add([rows.norm?.gamma, rows.norm?.beta]), rows.norm?.epsilon ?? 0)
    let (gain, residual) = (slots.add([rows.gain]).first, slots.add([rows.residual]).first)
    let activation = rows.activation
    return fusion(products.count > 1 ? .perceptron : .linear, rows.members, slots.slots) {
      inputs, _ in
      let x = inputs[0]
      let normalization =
        norm.isEmpty
        ? nil : RowNormalization(gamma: inputs[norm[0]], beta: inputs[norm[1]], epsilon: epsilon)
      let gain = gain.map { inputs[$0].reshaped([out]) }
      let residual = residual.map { inputs[$0].reshaped(x.shape.replacingLast(out)) }
      let first = inputs.weights(at: products[0])
      if products.count > 1 {
        return Tensors.perceptron(
          x, first, inputs.weights(at: products[1]), normalization: normalization,
          activation: activation,
          gain: gain, residual: residual)
      }
      return Tensors.linear(
        x, first.weight, bias: first.bias, normalization: normalization, activation: activation,
        gain: gain, residual: residual)
    }
  }
}
