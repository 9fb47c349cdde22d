import Tensors

/// All eigenpairs of a small symmetric matrix, by LAPACK.
struct SmallEigenproblem {
  /// Ascending.
  let values: [Double]
  /// Column-major [m, m]: the vector of value i is at i·m ..< (i + 1)·m.
  let vectors: [Double]

  /// The order m.
  var count: Int { values.count }

  /// Entry `row` of the vector of value `column`.
  func entry(_ row: Int, of column: Int) -> Double { vectors[column * count + row] }

  /// The vector of one value.
  func vector(_ column: Int) -> ArraySlice<Double> {
    vectors[column * count..<(column + 1) * count]
  }

  /// A dense matrix [m, m] of which the lower triangle is read by rows (`dsyev`).
  init(dense matrix: [Double], order: Int) throws(SpectrumError) {
    var (a, w) = (matrix, [Double](repeating: 0, count: order))
    let info = OpenBLAS.eigenproblem(&a, order: order, vectors: true, values: &w)
    try Self.check("dsyev", info, w)
    (values, vectors) = (w, a)
  }

  /// The eigenvalues alone, ascending, of a dense matrix as in ``init(dense:order:)``; a fraction of
  /// the cost.
  static func values(dense matrix: [Double], order: Int) throws(SpectrumError) -> [Double] {
    var (a, w) = (matrix, [Double](repeating: 0, count: order))
    let info = OpenBLAS.eigenproblem(&a, order: order, vectors: false, values: &w)
    try check("dsyev", info, w)
    return w
  }

  /// A tridiagonal matrix (`dstev`); `offDiagonal` has one entry fewer than `diagonal`, or more,
  /// which are not read.
  init(diagonal: [Double], offDiagonal: [Double]) throws(SpectrumError) {
    let order = diagonal.count
    var (d, e) = (diagonal, Array(offDiagonal.prefix(max(0, order - 1))) + [0])
    if order == 0 { e = [] }
    let (z, info) = OpenBLAS.tridiagonal(diagonal: &d, offDiagonal: &e)
    try Self.check("dstev", info, d)
    (values, vectors) = (d, z)
  }

  private static func check(
    _ routine: String, _ info: Int, _ values: [Double]
  ) throws(SpectrumError) {
    guard info == 0, values.allSatisfy(\.isFinite) else {
      throw .smallProblem(routine: routine, info: info)
    }
  }
}
