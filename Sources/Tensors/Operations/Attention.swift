import CKernels

/// `[N, T, D]` with heads along the channels, as head-major matrices: `q_h k_hᵀ`.
///
/// - Inputs: `[N, T, D]` and `[N, S, D]`, `D = heads * width`. Result: `[N, heads, T, S]`.
///
/// This product and the two of ``HeadApply`` are closed under differentiation.
struct HeadScores: Operation {
  let heads: Int

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0].rank == 3 && x[1].rank == 3 && x[0][0] == x[1][0] && x[0][2] == x[1][2]
        && x[0][2] % heads == 0, "No scores of \(heads) heads for \(x[0]) and \(x[1])")
    return [x[0][0], heads, x[0][1], x[1][1]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(x[1][1]) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (t, s, d) = (x[0].shape[1], x[1].shape[1], x[0].shape[2])
    let width = d / heads
    let (pa, pb, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, head) = (index / heads, index % heads)
      gemm(
        t, s, width, pa + (image * t * d + head * width), lda: d,
        pb + (image * s * d + head * width), ldb: d, transposeB: true, py + index * t * s, ldc: s)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? HeadApply(heads: heads)(dy, x[1]) : nil,
      needs[1] ? HeadApply(heads: heads, transposed: true)(dy, x[0]) : nil,
    ]
  }
}

/// Maps applied to values: `P_h v_h`, or `P_hᵀ v_h`.
///
/// - Inputs: `[N, heads, T, S]` and `[N, S, D]` (transposed: `[N, T, D]`). Result: `[N, T, D]`
///   (transposed: `[N, S, D]`).
struct HeadApply: Operation {
  let heads: Int
  var transposed = false

  func outputShape(_ x: [Shape]) -> Shape {
    let inner = transposed ? x[0][2] : x[0][3]
    precondition(
      x[0].rank == 4 && x[0][1] == heads && x[1].rank == 3 && x[0][0] == x[1][0]
        && x[1][1] == inner && x[1][2] % heads == 0,
      "Maps \(x[0]) of \(heads) heads do not apply to \(x[1])")
    return [x[0][0], transposed ? x[0][3] : x[0][2], x[1][2]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { (x[0].count / heads).times(x[1][2]) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (t, s, d) = (x[0].shape[2], x[0].shape[3], x[1].shape[2])
    let width = d / heads
    let (rows, inner) = transposed ? (s, t) : (t, s)
    let (pp, pv, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, head) = (index / heads, index % heads)
      gemm(
        rows, width, inner, pp + index * t * s, lda: s, transposeA: transposed,
        pv + (image * inner * d + head * width), ldb: d,
        py + (image * rows * d + head * width), ldc: d)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    let scores = HeadScores(heads: heads)
    return [
      needs[0] ? (transposed ? scores(x[1], dy) : scores(dy, x[1])) : nil,
      needs[1] ? HeadApply(heads: heads, transposed: !transposed)(x[0], dy) : nil,
    ]
  }
}

/// Softmax attention of one head of one image, whose map stays in cache.
struct HeadAttention: Sendable {
  /// Queries, keys, and channels of the head.
  let t, s, width: Int
  let scale: Float

  /// `y[t, width] = softmax(scale q kᵀ + bias) v`, with row strides `ld` and `ldy`. Takes slot 0.
  func run(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, _ v: UnsafePointer<Float>, ld: Int,
    bias: UnsafePointer<Float>? = nil, _ y: UnsafeMutablePointer<Float>, ldy: Int
  ) {
    let map = scratch(0, t * s)
    scores(q, k, ld: ld, bias: bias, map)
    gemm(t, width, s, map, lda: s, v, ldb: ld, y, ldc: ldy)
  }

  /// `map[t, s] = softmax(scale q kᵀ + bias)`.
  func scores(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, ld: Int, bias: UnsafePointer<Float>?,
    _ map: UnsafeMutablePointer<Float>
  ) {
    if let bias { map.update(from: bias, count: t * s) }
    gemm(
      t, s, width, alpha: bias == nil ? 1 : scale, q, lda: ld, k, ldb: ld, transposeB: true, map,
      ldc: s, adding: bias != nil)
    ck_softmax(map, map, t, s, bias == nil ? scale : 1)
  }
}

/// Softmax attention with the maps kept in cache, one head of one image at a time. Used where nobody
/// looks at the maps; tracked only in the packed form without a bias.
///
/// The inputs are queries, keys and values, or one tensor with the three side by side.
private struct FusedAttention: Operation {
  let heads: Int
  let scale: Float
  let isPacked: Bool
  /// Extents `[groups, heads, T, S]` of a bias added to the scores, if there is one.
  let hasBias: Bool

  func outputShape(_ x: [Shape]) -> Shape { isPacked ? x[0].replacingLast(x[0].last / 3) : x[0] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    y.count.times(2 * (isPacked ? x[0][1] : x[1][1]))
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (t, s, d) = (y.shape[1], isPacked ? y.shape[1] : x[1].shape[1], y.shape[2])
    let (width, heads, scale, ld) = (d / heads, heads, scale, isPacked ? 3 * d : d)
    let q = DisjointWrites(x[0].pointer)
    let k = DisjointWrites(isPacked ? x[0].pointer + d : x[1].pointer)
    let v = DisjointWrites(isPacked ? x[0].pointer + 2 * d : x[2].pointer)
    let py = DisjointWrites(y.pointer)
    let bias = hasBias ? x.last.map { DisjointWrites($0.pointer) } : nil
    let biasCount = hasBias ? x.last?.shape.count ?? 1 : 1
    let attention = HeadAttention(t: t, s: s, width: width, scale: scale)
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, at) = (index / heads, index % heads * width)
      attention.run(
        q + (image * t * ld + at), k + (image * s * ld + at), v + (image * s * ld + at), ld: ld,
        bias: bias.map { $0 + (index * t * s) % biasCount }, py + (image * t * d + at), ldy: d)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    precondition(isPacked && !hasBias, "Only packed attention without a bias is recorded")
    return [PackedAttentionGradient(heads: heads, scale: scale)(x[0], dy)]
  }
}

/// Multi-head attention `softmax(scale q kᵀ + bias) v`, heads side by side in the channels.
///
/// - Parameters:
///   - q: `[N, T, D]`; k, v: `[N, S, D]`, `D` a multiple of `heads`.
///   - bias: added to the scaled scores, `[heads, T, S]` or `[windows, heads, T, S]` (for `N` a
///     multiple of `windows`), with any masks in it.
///   - maps: gets the maps `[N, heads, T, S]` after the softmax and may put others in their place;
///     nil if nobody looks.
/// - Returns: `[N, T, D]`, before the output projection.
public func attention(
  _ q: Tensor, _ k: Tensor, _ v: Tensor, heads: Int, scale: Float, bias: Tensor? = nil,
  maps: ((Tensor) -> Tensor)? = nil
) -> Tensor {
  let inputs = [q, k, v] + [bias].compactMap(\.self)
  if maps == nil, !inputs.contains(where: \.isTracked) {
    _ = HeadScores(heads: heads).outputShape([q.shape, k.shape])
    return FusedAttention(heads: heads, scale: scale, isPacked: false, hasBias: bias != nil)
      .apply(inputs)
  }
  var scores = HeadScores(heads: heads)(q, k)
  if let bias {
    let shape = scores.shape
    scores = scale * scores
    // A bias for each window repeats over the images: seen as [images, windows * heads * T * S].
    let rows = Shape([shape.count / bias.shape.count] + bias.shape.dimensions)
    scores = (scores.reshaped(rows) + bias).reshaped(shape).softmax()
  } else {
    scores = scores.softmax(scale: scale)
  }
  return HeadApply(heads: heads)(maps?(scores) ?? scores, v)
}

/// As ``attention(_:_:_:heads:scale:bias:maps:)``, with queries, keys and values side by side.
///
/// - Parameters:
///   - qkv: `[N, T, 3 D]`.
/// - Returns: `[N, T, D]`.
public func attention(
  qkv: Tensor, heads: Int, scale: Float, bias: Tensor? = nil, maps: ((Tensor) -> Tensor)? = nil
) -> Tensor {
  let d = qkv.shape.last / 3
  precondition(
    qkv.shape.rank == 3 && qkv.shape.last == 3 * d && d % heads == 0,
    "\(qkv.shape) does not hold queries, keys and values of \(heads) heads")
  let inputs = [qkv] + [bias].compactMap(\.self)
  if maps == nil, bias == nil || !inputs.contains(where: \.isTracked) {
    return FusedAttention(heads: heads, scale: scale, isPacked: true, hasBias: bias != nil)
      .apply(inputs)
  }
  let parts = (0..<3).map { qkv.slice(axis: 2, start: $0 * d, length: d) }
  return attention(
    parts[0], parts[1], parts[2], heads: heads, scale: scale, bias: bias, maps: maps)
}

extension Tensor {
  /// `self_h otherᵀ_h` for each head: `[N, T, D]`, `[N, S, D]` to `[N, heads, T, S]`.
  public func headScores(_ other: Tensor, heads: Int) -> Tensor {
    HeadScores(heads: heads)(self, other)
  }

  /// Maps `[N, heads, T, S]` applied to values `[N, S, D]`: `[N, T, D]`.
  public func applied(to values: Tensor) -> Tensor {
    HeadApply(heads: shape[1])(self, values)
  }
}
