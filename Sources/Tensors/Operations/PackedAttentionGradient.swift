import CKernels

/// The cotangent of packed attention: inputs `[N, T, 3 D]` and `[N, T, D]`, result `[N, T, 3 D]`.
///
/// No map of `T × T` values outlives the head it belongs to: each is made again from queries and keys,
/// in cache. So memory grows with `T`, not with its square.
struct PackedAttentionGradient: Operation {
  let heads: Int
  let scale: Float

  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].count.times(5 * x[1][1]) }
  func kept(needs: [Bool]) -> SavedValues { [.first, .second] }

  /// With maps `P`: `dV = Pᵀ dO`, `dS = P (dO Vᵀ - row sums)`, `dQ = scale dS K`, `dK = scale dSᵀ Q`.
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (t, d) = (x[1].shape[1], x[1].shape[2])
    let (heads, scale, width, ld) = (heads, scale, d / heads, 3 * d)
    let (pqkv, pdo, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, at) = (index / heads, index % heads * width)
      let (q, out) = (pqkv + (image * t * ld + at), py + (image * t * ld + at))
      let (k, v) = (q + d, q + 2 * d)
      let dO = pdo + (image * t * d + at)
      let p = maps(2, of: t)
      let dp = p + t * t
      gemm(t, t, width, q, lda: ld, k, ldb: ld, transposeB: true, p, ldc: t)
      ck_softmax(p, p, t, t, scale)
      gemm(t, t, width, dO, lda: d, v, ldb: ld, transposeB: true, dp, ldc: t)
      gemm(t, width, t, p, lda: t, transposeA: true, dO, ldb: d, out + 2 * d, ldc: ld)
      ck_softmax_gradient(p, dp, dp, t, t)
      gemm(t, width, t, alpha: scale, dp, lda: t, k, ldb: ld, out, ldc: ld)
      gemm(t, width, t, alpha: scale, dp, lda: t, transposeA: true, q, ldb: ld, out + d, ldc: ld)
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    if x[0].isTracked || x[1].isTracked || u.isTracked {
      return Tensors.vjp(ofSteps: steps, at: x, u)
    }
    let (c, tangent) = curvature(x[0], x[1], u)
    return [needs[0] ? c : nil, needs[1] ? tangent : nil]
  }

  /// Both cotangents in one sweep over the heads.
  ///
  /// `<u, gradient>` is `<dO, tangent>`, where the tangent is that of attention along
  /// `u = (a, b, c)`: `dS' = scale (a Kᵀ + Q bᵀ)`, `P' = P (dS' - row sums)`, `P' V + P c`. Its
  /// derivative by queries, keys and values follows step by step.
  private func curvature(_ qkv: Tensor, _ dy: Tensor, _ u: Tensor) -> (Tensor, Tensor) {
    let (t, d) = (dy.shape[1], dy.shape[2])
    let (heads, scale, width, ld) = (heads, scale, d / heads, 3 * d)
    let (result, tangent) = (Tensor(uninitialized: qkv.shape), Tensor(uninitialized: dy.shape))
    let (pqkv, pdo, pu) = (
      DisjointWrites(qkv.pointer), DisjointWrites(dy.pointer), DisjointWrites(u.pointer)
    )
    let (py, pt) = (DisjointWrites(result.pointer), DisjointWrites(tangent.pointer))
    Threads.forEach(qkv.shape[0] * heads) { index in
      let (image, at) = (index / heads, index % heads * width)
      let (q, a) = (pqkv + (image * t * ld + at), pu + (image * t * ld + at))
      let (k, v, b, c) = (q + d, q + 2 * d, a + d, a + 2 * d)
      let (dO, out) = (pdo + (image * t * d + at), py + (image * t * ld + at))
      let along = pt + (image * t * d + at)
      let p = maps(4, of: t)
      let (dp, ds, e) = (p + t * t, p + 2 * t * t, p + 3 * t * t)
      gemm(t, t, width, q, lda: ld, k, ldb: ld, transposeB: true, p, ldc: t)
      ck_softmax(p, p, t, t, scale)
      gemm(t, t, width, dO, lda: d, v, ldb: ld, transposeB: true, dp, ldc: t)
      gemm(t, t, width, alpha: scale, a, lda: ld, k, ldb: ld, transposeB: true, ds, ldc: t)
      gemm(
        t, t, width, alpha: scale, q, lda: ld, b, ldb: ld, transposeB: true, ds, ldc: t,
        adding: true)
      gemm(t, t, width, dO, lda: d, c, ldb: ld, transposeB: true, e, ldc: t)
      ck_softmax_curvature(p, dp, ds, e, t, t)
      // Now dp is the cotangent of the scores, ds the tangent of the maps, e the curvature's part.
      gemm(t, width, t, ds, lda: t, v, ldb: ld, along, ldc: d)
      gemm(t, width, t, p, lda: t, c, ldb: ld, along, ldc: d, adding: true)
      gemm(t, width, t, ds, lda: t, transposeA: true, dO, ldb: d, out + 2 * d, ldc: ld)
      gemm(t, width, t, alpha: scale, dp, lda: t, b, ldb: ld, out, ldc: ld)
      gemm(t, width, t, alpha: scale, e, lda: t, k, ldb: ld, out, ldc: ld, adding: true)
      gemm(t, width, t, alpha: scale, dp, lda: t, transposeA: true, a, ldb: ld, out + d, ldc: ld)
      gemm(
        t, width, t, alpha: scale, e, lda: t, transposeA: true, q, ldb: ld, out + d, ldc: ld,
        adding: true)
    }
    return (result, tangent)
  }

  private func steps(_ x: [Tensor]) -> Tensor {
    let (qkv, dy, d) = (x[0], x[1], x[1].shape[2])
    let parts = (0..<3).map { qkv.slice(axis: 2, start: $0 * d, length: d) }
    let p = parts[0].headScores(parts[1], heads: heads).softmax(scale: scale)
    let ds = scale * SoftmaxGradient()(p, dy.headScores(parts[2], heads: heads))
    let transposed = HeadApply(heads: heads, transposed: true)
    return .concatenated(
      [ds.applied(to: parts[1]), transposed(ds, parts[0]), transposed(p, dy)], axis: 2)
  }

  /// Scratch memory for some maps of one head.
  private func maps(_ count: Int, of t: Int) -> UnsafeMutablePointer<Float> {
    scratch(0, count * t * t)
  }
}
