import Tensors

/// Convolutions and normalisations of maps among the steps of a graph, with what follows them.
extension GraphFuser {
  /// A convolution, with zeros before it and a bias or normalisation, a sum and an activation behind it.
  mutating func convolution(at index: Int) -> GraphFusion? {
    guard isFree(index), case .convolution(var window, let groups) = steps[index].kind else {
      return nil
    }
    let own = steps[index].inputs
    var (x, members) = (own[0], [index])
    while let maker = previous(x),
      case .movement(.padded(let axis, let before, let after)) = steps[maker].kind,
      let wider = window.padded(axis: axis, before: before, after: after)
    {
      (window, x) = (wider, steps[maker].inputs[0])
      members.append(maker)
    }
    let tail = tail(of: index, takesAffine: true)
    members += tail.members
    let isAffine = tail.affine != nil
    guard own.count > 2 || isAffine || members.contains(where: { $0 < index }) else { return nil }
    let bias = own.count > 2 ? own[2] : nil
    let weights =
      tail.affine.map { [$0.scale, shift(of: bias, in: $0)] } ?? [bias].compactMap(\.self)
    let (all, residual) = (window, tail.residual)
    let count = 2 + weights.count
    return fusion(.convolution, members, [x, own[1]] + weights + (residual.map { [$0] } ?? [])) {
      inputs, _ in
      Tensors.convolution(
        inputs[0], inputs[1], window: all, groups: groups,
        affine: isAffine
          ? ChannelAffine(scale: inputs[2], shift: inputs[3])
          : count > 2 ? ChannelAffine(bias: inputs[2]) : nil,
        residual: residual == nil ? nil : inputs[count], activation: tail.activation)
    }
  }

  /// The shift of a scale and shift of channels that a bias is added before.
  private mutating func shift(of bias: Int?, in affine: (scale: Int, shift: Int)) -> Int {
    guard let bias else { return affine.shift }
    let shape = shape(affine.shift)
    return prepare([bias, affine.scale, affine.shift], shape) { inputs in
      inputs[0].reshaped(shape) * inputs[1].reshaped(shape) + inputs[2]
    }
  }

  /// A scale and shift of channels, with a sum and an activation behind it.
  func affine(at index: Int) -> GraphFusion? {
    guard isFree(index), case .affine = steps[index].kind else { return nil }
    let tail = tail(of: index, takesAffine: false)
    let residual = tail.residual
    return fusion(
      .affine, [index] + tail.members, steps[index].inputs + (residual.map { [$0] } ?? [])
    ) { inputs, _ in
      ChannelAffine(scale: inputs[1], shift: inputs[2])(
        inputs[0], residual: residual == nil ? nil : inputs[3], activation: tail.activation)
    }
  }

  /// What follows a map and is joined to it.
  private struct Tail {
    var members: [Int] = []
    var affine: (scale: Int, shift: Int)?
    var residual: Int?
    var activation = Activation.none
  }

  private func tail(of index: Int, takesAffine: Bool) -> Tail {
    var tail = Tail()
    var (last, between) = (index, [Int]())
    let shape = result(index)
    while let next = next(last) {
      let step = steps[next]
      var isJoined = true
      switch step.kind {
      case .view where result(next) == shape: isJoined = false
      case .affine where takesAffine && tail.affine == nil && tail.residual == nil:
        tail.affine = (step.inputs[1], step.inputs[2])
      case .sum where tail.residual == nil:
        guard let slot = other(next, than: steps[last].output), isResidual(slot, of: shape) else {
          return tail
        }
        tail.residual = slot
      case .activation(let function):
        tail.members += between + [next]
        tail.activation = function
        return tail
      default: return tail
      }
      between.append(next)
      if isJoined {
        tail.members += between
        between = []
      }
      last = next
    }
    return tail
  }
}

extension SlidingWindow {
  /// The window over a map that is to be padded with zeros along an axis of `[N, H, W, C]`; nil for other axes.
  fileprivate func padded(axis: Int, before: Int, after: Int) -> SlidingWindow? {
    guard axis == 1 || axis == 2 else { return nil }
    var padding = padding
    if axis == 1 {
      padding = (padding.0 + before, padding.1, padding.2 + after, padding.3)
    } else {
      padding = (padding.0, padding.1 + before, padding.2, padding.3 + after)
    }
    return SlidingWindow(kernel: kernel, stride: stride, padding: padding, dilation: dilation)
  }
}
