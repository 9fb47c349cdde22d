import CKernels

/// Maps of attention with their softmax, one head of one image at a time, plus a multiple of maps
/// carried along; its arithmetic is that of the separate steps. Never recorded.
///
/// - Inputs: `[N, T, 3 D]` and, carried, `[N, heads, T, T]`.
private struct FusedMaps: Operation {
  let heads: Int
  let scale: Float
  let carriedScale: Float

  func outputShape(_ x: [Shape]) -> Shape { [x[0][0], heads, x[0][1], x[0][1]] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(x[0][1]) / 3 }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (t, d) = (x[0].shape[1], x[0].shape[2] / 3)
    let (width, heads, scale, carriedScale) = (d / heads, heads, scale, carriedScale)
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let carried = x.count > 1 ? DisjointWrites(x[1].pointer) : nil
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, head) = (index / heads, index % heads)
      let q = px + (image * t * 3 * d + head * width)
      let map = py + index * t * t
      gemm(t, t, width, q, lda: 3 * d, q + d, ldb: 3 * d, transposeB: true, map, ldc: t)
      ck_softmax(map, map, t, t, scale)
      if let carried { ck_axpy(carriedScale, carried + index * t * t, map, t * t) }
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("Fused maps are never recorded")
  }
}

/// Attention maps `softmax(scale q kᵀ) + carriedScale carried` of queries, keys and values side by side.
///
/// - Parameters:
///   - qkv: `[N, T, 3 D]`.
///   - carried: maps `[N, heads, T, T]` to be added; nil for none.
///   - softmax: gets the maps before the addition and may put others in their place; nil if nobody looks.
/// - Returns: `[N, heads, T, T]`.
public func attentionMaps(
  qkv: Tensor, heads: Int, scale: Float, carried: Tensor? = nil, carriedScale: Float = 1,
  softmax: ((Tensor) -> Tensor)? = nil
) -> Tensor {
  let d = qkv.shape.last / 3
  precondition(
    qkv.shape.rank == 3 && qkv.shape.last == 3 * d && d % heads == 0,
    "\(qkv.shape) does not hold queries, keys and values of \(heads) heads")
  let inputs = [qkv] + [carried].compactMap(\.self)
  if !inputs.contains(where: \.isTracked) {
    guard let softmax else {
      return FusedMaps(heads: heads, scale: scale, carriedScale: carriedScale).apply(inputs)
    }
    let maps = softmax(
      FusedMaps(heads: heads, scale: scale, carriedScale: carriedScale).apply([qkv]))
    return carried.map { maps + carriedScale * $0 } ?? maps
  }
  let scores = HeadScores(heads: heads)(
    qkv.slice(axis: 2, start: 0, length: d), qkv.slice(axis: 2, start: d, length: d))
  let maps = scores.softmax(scale: scale)
  let seen = softmax?(maps) ?? maps
  return carried.map { seen + carriedScale * $0 } ?? seen
}
