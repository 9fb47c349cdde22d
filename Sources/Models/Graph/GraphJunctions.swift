import Tensors

/// A sum of a value and a branch made of it, as residual networks have it.
struct GraphJunction {
  /// The step that adds.
  let add: Int
  /// The step whose value enters it: what the branch is made of.
  let entry: Int
  /// The branch, before its gain.
  let branch: String
  /// What the branch is.
  let kind: Tap.Kind
}

extension GraphFlow {
  /// The residual junctions of a graph, in order.
  var junctions: [GraphJunction] {
    var found: [GraphJunction] = []
    for (index, step) in steps.enumerated() {
      guard case .add = step.role, step.reads.count == 2, step.inputs.count == 2,
        step.value.rank >= 3
      else { continue }
      if let junction = junction(index, step) { found.append(junction) }
    }
    return found
  }

  private func junction(_ index: Int, _ step: Step) -> GraphJunction? {
    let (a, b) = (step.inputs[0], step.inputs[1])
    guard a != b else { return nil }
    let (first, second) = (peeled(a), peeled(b))
    for (skip, branch, read) in [(first, second, 1), (second, first, 0)] {
      if let region = between(skip, branch) {
        guard let kind = kind(of: region) else { return nil }
        return GraphJunction(add: index, entry: skip, branch: gained(step.reads[read]), kind: kind)
      }
    }
    // Both are made of one value: the shortcut is the one with less in it.
    guard let meeting = meeting(first, second), let left = between(meeting, first),
      let right = between(meeting, second)
    else { return nil }
    let weights = [left, right].map { $0.count { steps[$0].role.isHeavy } }
    let isLeftShort =
      weights[0] < weights[1] || weights[0] == weights[1] && left.count < right.count
    let (short, long) = isLeftShort ? (left, right) : (right, left)
    guard min(weights[0], weights[1]) <= 1, weights[0] != weights[1],
      !short.contains(where: { if case .attention = steps[$0].role { true } else { false } }),
      let kind = kind(of: long)
    else { return nil }
    return GraphJunction(
      add: index, entry: meeting, branch: gained(step.reads[isLeftShort ? 1 : 0]), kind: kind)
  }

  /// A branch before it is multiplied by parameters, and before it is shown under other extents.
  private func gained(_ name: String) -> String {
    var name = name
    while let maker = makers[name] {
      let step = steps[maker]
      switch step.role {
      case .multiply where step.reads.count == 1: name = step.reads[0]
      case .view where step.reads.count == 1 && makers[step.reads[0]] != nil:
        // Only where a gain stands before it; the shape is that of the sum otherwise.
        guard case .multiply? = makers[step.reads[0]].map({ steps[$0].role }) else { return name }
        name = step.reads[0]
      default: return name
      }
    }
    return name
  }

  /// What a branch is by what is in it; nil for one without weights.
  private func kind(of region: Set<Int>) -> Tap.Kind? {
    var (convolutions, products, attention, mixesTokens) = (0, 0, false, false)
    for index in region {
      switch steps[index].role {
      case .attention, .softmax: attention = true
      case .convolution(true): convolutions += 1
      case .convolution(false): products += 1
      case .linear:
        products += 1
        // A product along tokens reads them innermost: they were brought there.
        if let input = steps[index].inputs.first, case .view = steps[input].role,
          let axes = tokenAxes[steps[index].reads[0]], axes == steps[index].value.rank - 1
        {
          mixesTokens = true
        }
      default: break
      }
    }
    if attention { return .msa }
    if convolutions > 0 { return .conv }
    if products > 0 { return mixesTokens ? .mlpToken : .mlp }
    return nil
  }
}
