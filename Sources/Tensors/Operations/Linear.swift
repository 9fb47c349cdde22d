import CKernels

/// Products one after the other with what precedes and follows them, a tile of rows at a time: what lies
/// between stays in cache. Only where nothing is tracked.
///
/// - Inputs: `[..., in]`; gamma and beta of a normalisation, if any; for each step its weight `[out, in]`,
///   bias and gain; a residual of the result's shape.
private struct FusedLinear: Operation {
  let steps: [DenseStep.Parts]
  /// Of the normalisation before the first step, if there is one.
  let epsilon: Float?
  let hasResidual: Bool

  /// Where each step's tensors begin.
  private var places: [Int] {
    var place = epsilon == nil ? 1 : 3
    return steps.map { step in
      defer { place += step.count }
      return place
    }
  }

  func outputShape(_ x: [Shape]) -> Shape {
    var shape = x[0]
    for place in places {
      precondition(
        shape.last == x[place].last, "Cannot multiply \(shape) by a weight \(x[place])")
      shape = shape.replacingLast(x[place].rows)
    }
    return shape
  }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    places.reduce(0) { $0.plus(x[0].rows.times(x[$1].count)) }
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let input = x[0]
    let dense = zip(steps, places).map { DenseStep($0, x[$1...]) }
    let (pa, pc) = (DisjointWrites(input.pointer), DisjointWrites(y.pointer))
    let residual = hasResidual ? x.last.map { DisjointWrites($0.pointer) } : nil
    let (epsilon, width) = (epsilon, input.shape.last)
    let affine = epsilon == nil ? nil : (DisjointWrites(x[1].pointer), DisjointWrites(x[2].pointer))
    // Of what lies between products, only little at a time stays in cache.
    let rows = dense.count > 1 ? 144 : 288
    Threads.forEachTile(of: input.shape.rows, target: rows, unit: Panels.rowUnit) { first, count in
      guard count > 0 else { return }
      var a = pa + first * width
      if let epsilon, let affine {
        let normalised = scratch(0, count * width)
        ck_layer_norm(
          a, affine.0.pointer, affine.1.pointer, normalised, count, width, epsilon)
        a = normalised
      }
      for (index, step) in dense.enumerated() {
        let isLast = index == dense.count - 1
        let at = first * step.panels.n
        let c = isLast ? pc + at : scratch(Int32(1 + index % 2), count * step.panels.n)
        step.run(count, a, c, residual: isLast ? residual.map { UnsafePointer($0 + at) } : nil)
        a = c
      }
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("A fused product is never recorded")
  }
}

/// `residual + gain * activation(x Wᵀ + bias)`; parts left out are skipped.
///
/// - Parameters:
///   - x: `[..., in]`.
///   - weight: `[out, in]`, as PyTorch stores it.
///   - bias: `[out]`.
///   - normalization: applied to `x` before.
///   - gain: `[out]`, a LayerScale.
///   - residual: of the result's shape.
/// - Returns: `[..., out]`.
public func linear(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, normalization: RowNormalization? = nil,
  activation: Activation = .none, gain: Tensor? = nil, residual: Tensor? = nil
) -> Tensor {
  precondition(
    x.shape.last == weight.shape.last, "Cannot multiply \(x.shape) by a weight \(weight.shape)")
  let before = [normalization?.gamma, normalization?.beta]
  let inputs = ([x] + before + [weight, bias, gain, residual]).compactMap(\.self)
  if inputs.contains(where: \.isTracked) {
    var y = MatMul(transposeB: true)(normalization?(x) ?? x, weight)
    if let bias { y = y + bias }
    y = activation(y)
    if let gain { y = y * gain }
    if let residual { y = y + residual }
    return y
  }
  let parts = DenseStep.Parts(
    activation: activation, hasBias: bias != nil, hasGain: gain != nil)
  return FusedLinear(
    steps: [parts], epsilon: normalization?.epsilon, hasResidual: residual != nil
  ).apply(inputs)
}

/// Two products with an activation between, the hidden layer of a perceptron:
/// `residual + gain * (activation(x W1ᵀ + b1) W2ᵀ + b2)`; the same values as two calls of
/// ``linear(_:_:bias:normalization:activation:gain:residual:)``.
///
/// - Parameters:
///   - x: `[..., in]`.
///   - first: `W1` `[hidden, in]` and `b1`.
///   - second: `W2` `[out, hidden]` and `b2`.
///   - normalization: applied to `x` before.
///   - gain: `[out]`, a LayerScale.
///   - residual: of the result's shape.
/// - Returns: `[..., out]`.
public func perceptron(
  _ x: Tensor, _ first: (weight: Tensor, bias: Tensor?), _ second: (weight: Tensor, bias: Tensor?),
  normalization: RowNormalization? = nil, activation: Activation, gain: Tensor? = nil,
  residual: Tensor? = nil
) -> Tensor {
  let before = [normalization?.gamma, normalization?.beta]
  let weights = [first.weight, first.bias, second.weight, second.bias]
  let inputs = ([x] + before + weights + [gain, residual]).compactMap(\.self)
  if inputs.contains(where: \.isTracked) {
    let hidden = linear(
      x, first.weight, bias: first.bias, normalization: normalization, activation: activation)
    return linear(hidden, second.weight, bias: second.bias, gain: gain, residual: residual)
  }
  let steps = [
    DenseStep.Parts(activation: activation, hasBias: first.bias != nil),
    DenseStep.Parts(hasBias: second.bias != nil, hasGain: gain != nil),
  ]
  return FusedLinear(
    steps: steps, epsilon: normalization?.epsilon, hasResidual: residual != nil
  ).apply(inputs)
}
