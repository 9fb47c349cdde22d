import CKernels

/// A self-attention with the products before and after it, one image after the other: what lies between
/// stays in cache. Only where nothing is tracked and nobody looks inside.
///
/// - Inputs: `[N, T, D]`; gamma and beta; weight and bias of queries, keys and values; those of the
///   projection, and a gain. The first is also the residual.
private struct FusedSelfAttention: Operation {
  let heads: Int
  let scale: Float
  let epsilon: Float
  let inner: DenseStep.Parts
  let outer: DenseStep.Parts

  func outputShape(_ x: [Shape]) -> Shape {
    let (weight, projection) = (x[3], x[3 + inner.count])
    precondition(
      x[0].rank == 3 && weight.last == x[0].last && weight.rows == 3 * projection.last
        && projection.rows == x[0].last && projection.last % heads == 0,
      "\(heads) heads of weights \(weight) and \(projection) do not fit \(x[0])")
    return x[0]
  }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    let (weight, projection) = (x[3], x[3 + inner.count])
    return x[0].rows * (weight.count + projection.count + 2 * x[0][1] * projection.last)
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (images, t, d) = (y.shape[0], y.shape[1], y.shape[2])
    let (before, after) = (DenseStep(inner, x[3...]), DenseStep(outer, x[(3 + inner.count)...]))
    let channels = after.panels.k
    let (heads, epsilon) = (heads, epsilon)
    let attention = HeadAttention(t: t, s: t, width: channels / heads, scale: scale)
    let (px, py) = (Shared(x[0].pointer), Shared(y.pointer))
    let (gamma, beta) = (Shared(x[1].pointer), Shared(x[2].pointer))
    Threads.forEach(images) { image in
      let input = px + image * t * d
      let mixed = scratch(1, t * max(d, channels))
      let qkv = scratch(2, t * 3 * channels)
      ck_layer_norm(input, gamma.pointer, beta.pointer, mixed, t, d, epsilon)
      before.run(t, mixed, qkv, residual: nil)
      for head in 0..<heads {
        let q = qkv + head * attention.width
        attention.run(
          q, q + channels, q + 2 * channels, ld: 3 * channels, mixed + head * attention.width,
          ldy: channels)
      }
      after.run(t, mixed, py + image * t * d, residual: input)
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("A fused attention is never recorded")
  }
}

/// `x + gain * (attention(norm(x) Wᵀ + b) Pᵀ + p)`; the same values as the steps one by one.
///
/// - Parameters:
///   - x: `[N, T, D]`.
///   - normalization: applied to `x` before.
///   - qkv: `W` `[3 C, D]` and `b`: queries, keys and values, each with its heads side by side.
///   - projection: `P` `[D, C]` and `p`.
///   - gain: `[D]`, a LayerScale.
/// - Returns: `[N, T, D]`.
public func selfAttention(
  _ x: Tensor, normalization: RowNormalization, qkv: (weight: Tensor, bias: Tensor?),
  projection: (weight: Tensor, bias: Tensor?), heads: Int, scale: Float, gain: Tensor? = nil
) -> Tensor {
  let inputs = [
    x, normalization.gamma, normalization.beta, qkv.weight, qkv.bias, projection.weight,
    projection.bias, gain,
  ].compactMap(\.self)
  // Few images are too few tiles for the threads.
  if x.shape[0] < 8 || inputs.contains(where: \.isTracked) {
    let mixed = attention(
      qkv: linear(x, qkv.weight, bias: qkv.bias, normalization: normalization), heads: heads,
      scale: scale)
    return linear(mixed, projection.weight, bias: projection.bias, gain: gain, residual: x)
  }
  return FusedSelfAttention(
    heads: heads, scale: scale, epsilon: normalization.epsilon,
    inner: .init(hasBias: qkv.bias != nil),
    outer: .init(hasBias: projection.bias != nil, hasGain: gain != nil)
  ).apply(inputs)
}
