import CKernels

/// A self-attention with the products before and after it, of all tokens of an image or within windows, a
/// few windows after the other: what lies between stays in cache, and windows are read from the map and
/// written to it as they are. Only where nothing is tracked and nobody looks inside.
///
/// - Inputs: `[N, R, D]`; gamma and beta; weight and bias of queries, keys and values; those of the
///   projection, and a gain; the bias `[K, heads, T, T]` of windows. The first is also the residual.
private struct FusedSelfAttention: Operation {
  let heads: Int
  let scale: Float
  let epsilon: Float
  let inner: DenseStep.Parts
  let outer: DenseStep.Parts
  /// Nil: one window without a bias, the image.
  let windows: WindowLayout?

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
    let seen = windows?.tokens ?? x[0][1]
    return x[0].rows.times(weight.count.plus(projection.count).plus(2 * seen * projection.last))
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let d = y.shape.last
    let (before, after) = (DenseStep(inner, x[3...]), DenseStep(outer, x[(3 + inner.count)...]))
    let bias = windows == nil ? nil : x.last.map { DisjointWrites($0.pointer) }
    let layout = windows ?? WindowLayout(rows: Array(0..<Int32(y.shape[1])), biases: [0])
    let (t, channels, all) = (layout.tokens, after.panels.k, y.shape[0] * layout.windows)
    let (heads, width, epsilon) = (heads, channels / heads, epsilon)
    let attention = HeadAttention(t: t, s: t, width: width, scale: scale)
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let (gamma, beta) = (DisjointWrites(x[1].pointer), DisjointWrites(x[2].pointer))
    // Enough rows for the products, as long as that leaves enough tiles for the threads.
    Threads.forEachTile(of: all, target: max(1, min(200 / t, all / 8))) { first, count in
      let (windows, rows) = (first..<(first + count), count * t)
      let mixed = scratch(1, rows * max(d, channels))
      let wide = scratch(2, rows * max(d, 3 * channels))
      layout.forEachRun(in: windows) { place, row, count in
        ck_layer_norm(
          px + row * d, gamma.pointer, beta.pointer, mixed + place * d, count, d, epsilon)
      }
      before.run(rows, mixed, wide, residual: nil)
      for window in windows {
        let start = (window - first) * t * channels
        let kind = Int(layout.biases[window % layout.windows])
        for head in 0..<heads {
          let q = wide + (3 * start + head * width)
          attention.run(
            q, q + channels, q + 2 * channels, ld: 3 * channels,
            bias: bias.map { $0 + (kind * heads + head) * t * t },
            mixed + (start + head * width), ldy: channels)
        }
      }
      after.run(rows, mixed, wide, residual: nil)
      layout.forEachRun(in: windows) { place, row, count in
        ck_add(wide + place * d, px + row * d, py + row * d, 1, count * d, Int32(CK_SAME))
      }
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
///   - windows: attention stays within these; see ``windowAttention(qkv:_:heads:scale:bias:maps:)``.
/// - Returns: `[N, T, D]`.
public func selfAttention(
  _ x: Tensor, normalization: RowNormalization, qkv: (weight: Tensor, bias: Tensor?),
  projection: (weight: Tensor, bias: Tensor?), heads: Int, scale: Float, gain: Tensor? = nil,
  windows: (layout: WindowLayout, bias: Tensor)? = nil
) -> Tensor {
  let inputs = [
    x, normalization.gamma, normalization.beta, qkv.weight, qkv.bias, projection.weight,
    projection.bias, gain, windows?.bias,
  ].compactMap(\.self)
  if let windows { windows.layout.check(x.shape, heads: heads, bias: windows.bias.shape) }
  // Few windows are too few tiles for the threads.
  let tiles = x.shape[0] * (windows?.layout.windows ?? 1)
  if tiles < 8 || inputs.contains(where: \.isTracked) {
    let projected = linear(x, qkv.weight, bias: qkv.bias, normalization: normalization)
    let mixed =
      windows.map {
        windowAttention(qkv: projected, $0.layout, heads: heads, scale: scale, bias: $0.bias)
      } ?? attention(qkv: projected, heads: heads, scale: scale)
    return linear(mixed, projection.weight, bias: projection.bias, gain: gain, residual: x)
  }
  return FusedSelfAttention(
    heads: heads, scale: scale, epsilon: normalization.epsilon,
    inner: .init(hasBias: qkv.bias != nil),
    outer: .init(hasBias: projection.bias != nil, hasGain: gain != nil), windows: windows?.layout
  ).apply(inputs)
}
