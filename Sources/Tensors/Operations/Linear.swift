import CKernels

/// What is applied to the result of a product or a normalisation.
public enum Activation: Sendable {
  case none, gelu, relu, relu6

  var code: Int32 {
    switch self {
    case .none: Int32(CK_ACTIVATION_NONE)
    case .gelu: Int32(CK_ACTIVATION_GELU)
    case .relu: Int32(CK_ACTIVATION_RELU)
    case .relu6: Int32(CK_ACTIVATION_RELU6)
    }
  }

  /// The activation as an operation of its own.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .none: x
    case .gelu: x.gelu()
    case .relu: x.relu()
    case .relu6: x.relu6()
    }
  }
}

/// A product with what follows it, done while the tile is in cache: only where nothing is tracked.
private struct FusedLinear: Operation {
  let activation: Activation
  let hasBias: Bool
  let hasGain: Bool
  let hasResidual: Bool

  func outputShape(_ x: [Shape]) -> Shape { x[0].replacingLast(x[1].rows) }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count * x[1].rows }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (input, weight) = (x[0], x[1])
    let (k, n) = (weight.shape.last, weight.shape.rows)
    var rest = x.dropFirst(2)
    let bias = hasBias ? rest.popFirst() : nil
    let gain = hasGain ? rest.popFirst() : nil
    let residual = hasResidual ? rest.popFirst() : nil
    let panels = Panels(weight.pointer, ldb: k, transposed: true, k: k, n: n)
    let (pa, pc) = (Shared(input.pointer), Shared(y.pointer))
    let pBias = bias.map { Shared($0.pointer) }
    let pGain = gain.map { Shared($0.pointer) }
    let pResidual = residual.map { Shared($0.pointer) }
    let code = activation.code
    Threads.forEachTile(of: input.shape.rows, target: 288, unit: Panels.rowUnit) { first, count in
      panels.multiply(count, pa + first * k, lda: k, pc + first * n, ldc: n)
      ck_linear_epilogue(
        pc + first * n, count, n, n, pBias?.pointer, code, pGain?.pointer,
        pResidual.map { $0 + first * n })
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
///   - gain: `[out]`, a LayerScale.
///   - residual: of the result's shape.
/// - Returns: `[..., out]`.
public func linear(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, activation: Activation = .none,
  gain: Tensor? = nil, residual: Tensor? = nil
) -> Tensor {
  precondition(
    x.shape.last == weight.shape.last, "Cannot multiply \(x.shape) by a weight \(weight.shape)")
  let inputs = [x, weight] + [bias, gain, residual].compactMap(\.self)
  if inputs.contains(where: \.isTracked) {
    var y = MatMul(transposeB: true)(x, weight)
    if let bias { y = y + bias }
    y = activation(y)
    if let gain { y = y * gain }
    if let residual { y = y + residual }
    return y
  }
  return FusedLinear(
    activation: activation, hasBias: bias != nil, hasGain: gain != nil,
    hasResidual: residual != nil
  ).apply(inputs)
}
