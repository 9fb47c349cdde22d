import Glibc
import Tensors

/// The effective rank of a matrix: the exponential of the entropy of its singular values divided by
/// their sum (Roy and Vetterli, "The effective rank", EUSIPCO 2007).
///
/// - Parameters:
///   - matrix: `[rows, columns]`, finite.
/// - Returns: from 1 to the smaller extent; nil for a matrix of zeros.
func effectiveRank(
  _ matrix: UnsafePointer<Float>, rows: Int, columns: Int
) throws(SpectrumError) -> Double? {
  effectiveRank(singularValues: try singularValues(matrix, rows: rows, columns: columns).values)
}

/// The singular values of a matrix, in no order, in units of its largest magnitude.
///
/// They are the roots of the eigenvalues of the smaller product with the transpose, in Float64: those below 1e-8 of
/// the largest are lost, as they are among the rounding errors of a map in Float32.
///
/// - Parameters:
///   - matrix: `[rows, columns]`, finite.
/// - Returns: as many as the smaller extent; none for a matrix of zeros.
func singularValues(
  _ matrix: UnsafePointer<Float>, rows: Int, columns: Int
) throws(SpectrumError) -> (values: [Double], unit: Double) {
  let values = UnsafeBufferPointer(start: matrix, count: rows * columns)
  let top = values.reduce(0) { max($0, abs($1)) }
  guard top > 0 else { return ([], 0) }
  let scaled = values.map { Double($0) / Double(top) }
  let order = min(rows, columns)
  let product = OpenBLAS.gram(scaled, rows: rows, columns: columns, ofColumns: columns <= rows)
  let roots = try SmallEigenproblem.values(dense: product, order: order)
    .map { max(0, $0).squareRoot() }
  return (roots, Double(top))
}

/// The exponential of the entropy of singular values divided by their sum; nil if all are zero.
func effectiveRank(singularValues: [Double]) -> Double? {
  let sum = singularValues.reduce(0, +)
  guard sum > 0 else { return nil }
  let entropy = singularValues.reduce(0) { total, value in
    let share = value / sum
    return share > 0 ? total - share * log(share) : total
  }
  return exp(entropy)
}
