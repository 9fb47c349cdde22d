/// A real symmetric matrix known only by its products with vectors, such as the Hessian of a loss
/// over the parameters of a network.
///
/// The solvers see nothing else. A network-backed operator computes in Float32 inside; a closed
/// form computes in Double and then reaches 1e-6 relative and better.
public protocol SymmetricOperator {
  /// The number of rows, n.
  var dimension: Int { get }

  /// The products A·v with several vectors, in their order.
  ///
  /// Vectors given together may share work (a Hessian shares the primal pass); the values may not
  /// depend on how vectors are grouped beyond rounding.
  ///
  /// - Parameter vectors: any number of vectors of n entries each.
  /// - Returns: as many vectors of n entries.
  /// - Throws: whatever kept the operator from its product; solvers pass it on as it is.
  func apply(_ vectors: [[Double]]) throws -> [[Double]]
}

extension SymmetricOperator {
  /// The products, once their number, lengths and finiteness are checked.
  ///
  /// - Parameters:
  ///   - solver: who asks, for the message.
  ///   - product: the number of products made before, for the message.
  func product(
    with vectors: [[Double]], solver: String, product: Int
  ) throws -> [[Double]] {
    let results = try apply(vectors)
    guard results.count == vectors.count else {
      throw SpectrumError.wrongVectorCount(expected: vectors.count, found: results.count)
    }
    for (offset, result) in results.enumerated() {
      guard result.count == dimension else {
        throw SpectrumError.wrongLength(expected: dimension, found: result.count)
      }
      // NaN fails every comparison; squares of anything larger would leave the range of Double.
      guard LongVector.norm(result) < 1e140 else {
        throw SpectrumError.nonFiniteProduct(solver: solver, product: product + offset + 1)
      }
    }
    return results
  }

  /// Throws unless there is anything to solve.
  func checkDimension() throws(SpectrumError) {
    guard dimension > 0 else { throw .emptyOperator }
  }
}

/// A + s·1: every eigenvalue moves by s.
///
/// L2 regularisation by half the squared norm adds exactly the weight decay to every eigenvalue of
/// a Hessian. Solvers must see the shift, since it changes which values are largest in magnitude.
public struct ShiftedOperator<Base: SymmetricOperator>: SymmetricOperator {
  /// A.
  public let base: Base
  /// s.
  public let shift: Double

  /// A + s·1.
  public init(_ base: Base, shift: Double) {
    self.base = base
    self.shift = shift
  }

  /// The dimension of A.
  public var dimension: Int { base.dimension }

  /// A·v + s·v.
  public func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    var results = try base.apply(vectors)
    guard shift != 0 else { return results }
    // Wrong counts and lengths are the solver's to report.
    for (column, vector) in vectors.enumerated()
    where results.indices.contains(column) && results[column].count == vector.count {
      LongVector.add(shift, vector, to: &results[column])
    }
    return results
  }
}
