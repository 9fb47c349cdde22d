/// A product of two matrices, each possibly transposed; leading axes of an operand count as rows.
///
/// The set is closed: the cotangents of a product are products.
struct MatMul: Operation {
  var transposeA = false
  var transposeB = false

  private func extents(_ a: Shape, _ b: Shape) -> (m: Int, n: Int, k: Int) {
    let (m, k) = transposeA ? (a.last, a.rows) : (a.rows, a.last)
    let (n, inner) = transposeB ? (b.rows, b.last) : (b.last, b.rows)
    precondition(k == inner, "Cannot multiply \(a) and \(b)")
    return (m, n, k)
  }

  func outputShape(_ x: [Shape]) -> Shape {
    let (m, n, _) = extents(x[0], x[1])
    return transposeA ? [m, n] : x[0].replacingLast(n)
  }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    let (m, n, k) = extents(x[0], x[1])
    return m * n * k
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (a, b) = (x[0], x[1])
    let (m, n, k) = extents(a.shape, b.shape)
    let (lda, ldb) = (a.shape.last, b.shape.last)
    let (pa, pb, pc) = (Shared(a.pointer), Shared(b.pointer), Shared(y.pointer))
    // A sum over many rows (a weight's gradient) has a small result: it is cut along its longer side.
    if transposeA, n > m {
      Threads.forEachTile(of: n, target: 384) { first, count in
        let column = transposeB ? first * ldb : first
        gemm(
          m, count, k, pa.pointer, lda: lda, transposeA: true, pb + column, ldb: ldb,
          transposeB: transposeB, pc + first, ldc: n)
      }
    } else {
      Threads.forEachTile(of: m, target: transposeA ? 384 : 800) { first, count in
        let row = transposeA ? first : first * lda
        gemm(
          count, n, k, pa + row, lda: lda, transposeA: transposeA, pb.pointer, ldb: ldb,
          transposeB: transposeB, pc + first * n, ldc: n)
      }
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool]) -> [Tensor?]
  {
    let (a, b) = (x[0], x[1])
    let da: Tensor? =
      !needs[0]
      ? nil
      : transposeA
        ? MatMul(transposeA: transposeB, transposeB: true)(b, dy).reshaped(a.shape)
        : MatMul(transposeB: !transposeB)(dy, b).reshaped(a.shape)
    let db: Tensor? =
      !needs[1]
      ? nil
      : transposeB
        ? MatMul(transposeA: true, transposeB: transposeA)(dy, a).reshaped(b.shape)
        : MatMul(transposeA: !transposeA)(a, dy).reshaped(b.shape)
    return [da, db]
  }
}

extension Tensor {
  /// The matrix product with `other`; leading axes of `self` count as rows.
  ///
  /// - Precondition: the inner extents agree.
  public func matmul(_ other: Tensor, transposed: Bool = false) -> Tensor {
    MatMul(transposeB: transposed)(self, other)
  }
}
