/// A product of two matrices, each possibly transposed; leading axes of an operand count as rows.
///
/// The set is closed: the cotangents of a product are products.
struct MatMul: SummableOperation {
  var transposeA = false
  var transposeB = false
  /// The result's shape, if not that of the first operand with another last extent.
  var result: Shape?

  private func extents(_ a: Shape, _ b: Shape) -> (m: Int, n: Int, k: Int) {
    let (m, k) = transposeA ? (a.last, a.rows) : (a.rows, a.last)
    let (n, inner) = transposeB ? (b.rows, b.last) : (b.last, b.rows)
    precondition(k == inner, "Cannot multiply \(a) and \(b)")
    return (m, n, k)
  }

  func outputShape(_ x: [Shape]) -> Shape {
    let (m, n, _) = extents(x[0], x[1])
    if let result {
      precondition(
        result.count == m * n, "A product of \(x[0]) and \(x[1]) is not of shape \(result)")
      return result
    }
    return transposeA ? [m, n] : x[0].replacingLast(n)
  }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    let (m, n, k) = extents(x[0], x[1])
    return m.times(n).times(k)
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    multiply(x[0], x[1], y, adding: false)
    return []
  }

  func forward(_ x: [Tensor], addingTo y: Tensor) {
    multiply(x[0], x[1], y, adding: true)
  }

  private func multiply(_ a: Tensor, _ b: Tensor, _ y: Tensor, adding: Bool) {
    let (m, n, k) = extents(a.shape, b.shape)
    tiledGemm(
      m, n, k, a.pointer, transposeA: transposeA, b.pointer, transposeB: transposeB,
      y.pointer, adding: adding)
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    let (a, b) = (x[0], x[1])
    let da: (any Cotangent)? =
      !needs[0]
      ? nil
      : transposeA
        ? MatMul(transposeA: transposeB, transposeB: true, result: a.shape).deferred(b, dy)
        : MatMul(transposeB: !transposeB, result: a.shape).deferred(dy, b)
    let db: (any Cotangent)? =
      !needs[1]
      ? nil
      : transposeB
        ? MatMul(transposeA: true, transposeB: transposeA, result: b.shape).deferred(dy, a)
        : MatMul(transposeA: !transposeA, result: b.shape).deferred(a, dy)
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
