import CKernels

/// The few operations on single long vectors that solvers share. Sums run in an order that depends
/// on the length alone.
enum LongVector {
  /// x·y
  static func dot(_ x: [Double], _ y: [Double]) -> Double {
    precondition(x.count == y.count, "\(x.count) and \(y.count) entries")
    return x.withUnsafeBufferPointer { x in
      y.withUnsafeBufferPointer { y in ck_dot_f64(x.baseAddress, y.baseAddress, x.count) }
    }
  }

  /// |x|
  static func norm(_ x: [Double]) -> Double { dot(x, x).squareRoot() }

  /// a·x
  static func scale(_ x: inout [Double], by factor: Double) {
    x.withUnsafeMutableBufferPointer { ck_scale_f64(factor, $0.baseAddress, $0.count) }
  }

  /// y + a·x
  static func add(_ factor: Double, _ x: [Double], to y: inout [Double]) {
    precondition(x.count == y.count, "\(x.count) and \(y.count) entries")
    x.withUnsafeBufferPointer { x in
      y.withUnsafeMutableBufferPointer { y in
        var (vector, factor) = (x.baseAddress, factor)
        ck_basis_add_f64(&vector, &factor, 1, y.baseAddress, y.count)
      }
    }
  }

  /// Divides by the norm.
  ///
  /// - Returns: the norm, or nil where it is 0 (or too small to divide by) and nothing was done.
  @discardableResult
  static func normalise(_ x: inout [Double]) -> Double? {
    let norm = norm(x)
    guard norm.isNormal, (1 / norm).isFinite else { return nil }
    scale(&x, by: 1 / norm)
    return norm
  }
}
