/// Products of matrices side by side, each possibly transposed: `[B, M, K]` and `[B, K, N]` to `[B, M, N]`.
///
/// The set is closed: the cotangents of such products are such products.
struct BatchedMatMul: SummableOperation {
  var transposeA = false
  var transposeB = false

  private func extents(_ a: Shape, _ b: Shape) -> (count: Int, m: Int, n: Int, k: Int) {
    precondition(a.rank == 3 && b.rank == 3 && a[0] == b[0], "No products of \(a) and \(b)")
    let (m, k) = transposeA ? (a[2], a[1]) : (a[1], a[2])
    let (n, inner) = transposeB ? (b[1], b[2]) : (b[2], b[1])
    precondition(k == inner, "Cannot multiply \(a) and \(b)")
    return (a[0], m, n, k)
  }

  func outputShape(_ x: [Shape]) -> Shape {
    let (count, m, n, _) = extents(x[0], x[1])
    return [count, m, n]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    y.count.times(extents(x[0], x[1]).k)
  }

  func forward(_ x: [Tensor], into y: Tensor) { multiply(x[0], x[1], y, adding: false) }
  func forward(_ x: [Tensor], addingTo y: Tensor) { multiply(x[0], x[1], y, adding: true) }

  private func multiply(_ a: Tensor, _ b: Tensor, _ y: Tensor, adding: Bool) {
    let (count, m, n, k) = extents(a.shape, b.shape)
    let (pa, pb, py) = (a.memory, b.memory, y.memory)
    if count < 8 {
      // Too few for the threads: each product is cut.
      for index in 0..<count {
        tiledGemm(
          m, n, k, pa + index * m * k, transposeA: transposeA, pb + index * k * n,
          transposeB: transposeB, py + index * m * n, adding: adding)
      }
      return
    }
    Threads.forEach(count) { index in
      gemm(
        m, n, k, pa + index * m * k, lda: transposeA ? m : k, transposeA: transposeA,
        pb + index * k * n, ldb: transposeB ? k : n, transposeB: transposeB, py + index * m * n,
        ldc: n, adding: adding)
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let (a, b) = (x[0], x[1])
    let da: (any Cotangent)? =
      !needs[0]
      ? nil
      : transposeA
        ? BatchedMatMul(transposeA: transposeB, transposeB: true).deferred(b, dy)
        : BatchedMatMul(transposeB: !transposeB).deferred(dy, b)
    let db: (any Cotangent)? =
      !needs[1]
      ? nil
      : transposeB
        ? BatchedMatMul(transposeA: true, transposeB: transposeA).deferred(dy, a)
        : BatchedMatMul(transposeA: !transposeA).deferred(a, dy)
    return [da, db]
  }
}

extension Tensor {
  /// The matrix product over the last two axes, all axes before them repeated by NumPy's rule; a tensor of
  /// one axis is a row on the left and a column on the right, and that axis goes away (PyTorch's `matmul`).
  ///
  /// - Precondition: the inner extents agree, and the axes before combine.
  public func matrixProduct(_ other: Tensor) -> Tensor {
    if other.shape.rank == 1 {
      let y = matrixProduct(other.reshaped([other.shape[0], 1]))
      return y.reshaped(Shape(y.shape.without([-1], keeping: false)))
    }
    if shape.rank == 1 {
      let y = reshaped([1, shape[0]]).matrixProduct(other)
      return y.reshaped(Shape(y.shape.without([-2], keeping: false)))
    }
    if other.shape.rank == 2 { return matmul(other) }
    let (m, k) = (shape[-2], shape[-1])
    let (inner, n) = (other.shape[-2], other.shape[-1])
    precondition(k == inner, "Cannot multiply \(shape) and \(other.shape)")
    let leading = [shape, other.shape].map { Shape(Array($0.dimensions.dropLast(2))) }
    guard let batch = Shape.broadcast(leading[0], leading[1]) else {
      preconditionFailure("Cannot multiply \(shape) and \(other.shape)")
    }
    func filled(_ x: Tensor, _ rows: Int, _ cols: Int) -> Tensor {
      x.expanded(to: Shape(batch.dimensions + [rows, cols])).reshaped([batch.count, rows, cols])
    }
    return BatchedMatMul()(filled(self, m, k), filled(other, k, n))
      .reshaped(Shape(batch.dimensions + [m, n]))
  }
}
