import CKernels

/// One product or two with what precedes and follows them, a tile of rows at a time, so that the rows of a
/// tile stay in cache from the normalisation to the residual.
struct FusedLinear: FusedFunction {
  /// `[..., in]`.
  let x: Tensor
  /// Applied to `x` before.
  var normalization: RowNormalization?
  /// A product before the last, and the activation that follows it: the hidden layer of a perceptron.
  var hidden: (weights: DenseWeights, activation: Activation)?
  let weights: DenseWeights
  /// What follows the product where there is no hidden layer.
  var activation = Activation.none
  var gain: Tensor?
  /// Of the result's shape.
  var residual: Tensor?

  var inputs: [Tensor?] {
    [
      x, normalization?.gamma, normalization?.beta, hidden?.weights.weight, hidden?.weights.bias,
      weights.weight, weights.bias, gain, residual,
    ]
  }

  var outputShape: Shape {
    [hidden?.weights.weight, weights.weight].compactMap(\.?.shape).reduce(x.shape) {
      precondition($0.last == $1.last, "Cannot multiply \($0) by a weight \($1)")
      return $0.replacingLast($1.rows)
    }
  }

  var multiplyAdds: Int {
    x.shape.rows.times(
      weights.weight.shape.count.plus(hidden?.weights.weight.shape.count ?? 0))
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    if let branch = inner.branch {
      var product = self
      (product.gain, product.residual) = (nil, nil)
      return finished(branch(product(InnerTaps(hidden: inner.hidden))))
    }
    if let hidden {
      let y = FusedLinear(
        x: x, normalization: normalization, weights: hidden.weights, activation: hidden.activation)()
      return FusedLinear(
        x: inner.hidden?(y) ?? y, weights: weights, gain: gain, residual: residual)()
    }
    let y = MatMul(transposeB: true)(normalization?(x) ?? x, weights.weight)
    return finished(activation(weights.bias.map { y + $0 } ?? y))
  }

  private func finished(_ branch: Tensor) -> Tensor {
    let y = gain.map { branch * $0 } ?? branch
    return residual.map { y + $0 } ?? y
  }

  /// Rows that are too few for weights to be packed for them.
  private static let fewRows = 16

  /// A product of a few rows: weights are read once, where they are.
  private func sweepFew(into y: Tensor) {
    let (rows, k, n) = (x.shape.rows, x.shape.last, y.shape.last)
    let input = normalization?(x) ?? x
    let (px, pw, py) = (input.memory, weights.weight.memory, y.memory)
    Threads.forEachTile(of: n, target: max(1, (1 << 16) / max(1, k)), unit: Panels.rowUnit) {
      first, count in
      gemm(
        rows, count, k, px.pointer, lda: k, pw + first * k, ldb: k, transposeB: true, py + first,
        ldc: n)
    }
    ck_linear_epilogue(
      y.pointer, rows, n, n, weights.bias?.pointer, activation.code, gain?.pointer,
      residual?.pointer)
    withExtendedLifetime(input) {}
  }

  func sweep(into y: Tensor) {
    if hidden == nil && x.shape.rows <= Self.fewRows {
      sweepFew(into: y)
      return
    }
    let first = hidden.map { DenseStep($0.weights, activation: $0.activation) }
    let last = DenseStep(weights, activation: activation, gain: gain)
    let (px, py) = (x.memory, y.memory)
    let rest = residual.map(\.memory)
    let (epsilon, width) = (normalization?.epsilon ?? 0, x.shape.last)
    let affine = normalization.map {
      (gamma: $0.gamma.memory, beta: $0.beta.memory)
    }
    // With a hidden layer, a tile's rows of three widths stay in cache.
    let rows = first == nil ? 288 : 144
    Threads.forEachTile(of: x.shape.rows, target: rows, unit: Panels.rowUnit) { start, count in
      guard count > 0 else { return }
      let normalised = ScratchMemory(.operand, affine == nil ? 0 : count * width)
      let between = ScratchMemory(.result, first.map { count * $0.panels.n } ?? 0)
      var a = px + start * width
      if let affine {
        ck_layer_norm(
          a, affine.gamma.pointer, affine.beta.pointer, normalised.pointer, count, width, epsilon)
        a = normalised.pointer
      }
      if let first {
        first.run(count, a, between.pointer, residual: nil)
        a = between.pointer
      }
      let at = start * last.panels.n
      last.run(count, a, py + at, residual: rest.map { UnsafePointer($0 + at) })
    }
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
///   - branch: gets the values before the gain; nil if nobody looks.
/// - Returns: `[..., out]`.
public func linear(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, normalization: RowNormalization? = nil,
  activation: Activation = .none, gain: Tensor? = nil, residual: Tensor? = nil,
  branch: InnerTap? = nil
) -> Tensor {
  FusedLinear(
    x: x, normalization: normalization, weights: (weight, bias), activation: activation, gain: gain,
    residual: residual)(InnerTaps(branch: branch))
}

/// Two products with an activation between, the hidden layer of a perceptron:
/// `residual + gain * (activation(x W1ᵀ + b1) W2ᵀ + b2)`; the same values as two calls of
/// ``linear(_:_:bias:normalization:activation:gain:residual:branch:)``.
///
/// - Parameters:
///   - x: `[..., in]`.
///   - first: `W1` `[hidden, in]` and `b1`.
///   - second: `W2` `[out, hidden]` and `b2`.
///   - normalization: applied to `x` before.
///   - gain: `[out]`, a LayerScale.
///   - residual: of the result's shape.
///   - hidden: gets the values after the activation; nil if nobody looks.
///   - branch: gets the values before the gain; nil if nobody looks.
/// - Returns: `[..., out]`.
public func perceptron(
  _ x: Tensor, _ first: DenseWeights, _ second: DenseWeights,
  normalization: RowNormalization? = nil, activation: Activation, gain: Tensor? = nil,
  residual: Tensor? = nil, hidden: InnerTap? = nil, branch: InnerTap? = nil
) -> Tensor {
  FusedLinear(
    x: x, normalization: normalization, hidden: (first, activation), weights: second, gain: gain,
    residual: residual)(InnerTaps(hidden: hidden, branch: branch))
}
