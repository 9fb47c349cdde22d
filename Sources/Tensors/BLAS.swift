import COpenBLAS

/// `C = alpha * op(A) op(B) + beta * C`, row-major, single-threaded.
///
/// - Parameters:
///   - m, n, k: rows of C, columns of C, and the length of the sums.
func gemm(
  _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1,
  _ a: UnsafePointer<Float>, lda: Int, transposeA: Bool = false,
  _ b: UnsafePointer<Float>, ldb: Int, transposeB: Bool = false,
  beta: Float = 0, _ c: UnsafeMutablePointer<Float>, ldc: Int
) {
  if m == 0 || n == 0 { return }
  cblas_sgemm(
    CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
    blasint(m), blasint(n), blasint(k), alpha, a, blasint(max(1, lda)), b, blasint(max(1, ldb)),
    beta, c, blasint(ldc))
}

/// As ``gemm`` over dense matrices, cut along the longer side of C among the threads.
///
/// Every tile packs the whole operand that is not cut: cutting the longer side packs the smaller one
/// again. Sums over many rows (`transposeA`) have small results and take smaller tiles.
func tiledGemm(
  _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, transposeA: Bool = false,
  _ b: UnsafePointer<Float>, transposeB: Bool = false, beta: Float = 0,
  _ c: UnsafeMutablePointer<Float>
) {
  let (lda, ldb) = (transposeA ? m : k, transposeB ? k : n)
  let pa = Shared(UnsafeMutablePointer(mutating: a))
  let pb = Shared(UnsafeMutablePointer(mutating: b))
  let pc = Shared(c)
  let target = transposeA || n > m ? 384 : 800
  Threads.forEachTile(of: max(m, n), target: target) { first, count in
    if n > m {
      gemm(
        m, count, k, pa.pointer, lda: lda, transposeA: transposeA,
        pb + (transposeB ? first * ldb : first), ldb: ldb, transposeB: transposeB, beta: beta,
        pc + first, ldc: n)
    } else {
      gemm(
        count, n, k, pa + (transposeA ? first : first * lda), lda: lda, transposeA: transposeA,
        pb.pointer, ldb: ldb, transposeB: transposeB, beta: beta, pc + first * n, ldc: n)
    }
  }
}
