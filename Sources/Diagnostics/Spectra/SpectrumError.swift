/// Why a spectrum, trace or density could not be computed.
public enum SpectrumError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The operator has dimension 0.
  case emptyOperator
  /// The operator returned another number of vectors than it was given.
  case wrongVectorCount(expected: Int, found: Int)
  /// The operator returned a vector of another length than its dimension.
  case wrongLength(expected: Int, found: Int)
  /// A product of the operator holds NaN or infinity, or has a norm of 1e140 and more; products
  /// count from 1.
  case nonFiniteProduct(solver: String, product: Int)
  /// A sample of eigenvalues holds NaN or infinity at this index.
  case nonFiniteValue(index: Int)
  /// A solver was given a setting it cannot work with.
  case invalidSetting(name: String, value: String, requirement: String)
  /// A saved state does not belong to this operator or these settings.
  case stateMismatch(what: String, expected: String, found: String)
  /// LAPACK did not solve a small eigenproblem.
  case smallProblem(routine: String, info: Int)

  /// What went wrong, and what to do.
  public var description: String {
    switch self {
    case .emptyOperator:
      "the operator has dimension 0: no parameter was chosen, so there is no spectrum"
    case .wrongVectorCount(let expected, let found):
      "the operator returned \(found) vectors for \(expected): its products cannot be used"
    case .wrongLength(let expected, let found):
      "the operator returned a vector of \(found) entries where its dimension is \(expected)"
    case .nonFiniteProduct(let solver, let product):
      "\(solver): product \(product) of the operator holds NaN, infinity or values near 1e140; "
        + "check weights and inputs for such values, and the loss for overflow"
    case .nonFiniteValue(let index):
      "eigenvalue \(index) of the sample is NaN or infinite; leave failed minibatches out"
    case .invalidSetting(let name, let value, let requirement):
      "\(name) is \(value), but must be \(requirement)"
    case .stateMismatch(let what, let expected, let found):
      "the saved state has \(what) \(found), but this run has \(expected); start afresh"
    case .smallProblem(let routine, let info):
      "LAPACK \(routine) failed on the projected problem (info \(info))"
    }
  }
}

/// Throws unless an integer setting is at least `minimum`.
func require(
  _ name: String, _ value: Int, atLeast minimum: Int
) throws(SpectrumError) {
  guard value >= minimum else {
    throw .invalidSetting(name: name, value: "\(value)", requirement: "at least \(minimum)")
  }
}

/// Throws unless a real setting is finite and positive.
func require(positive name: String, _ value: Double) throws(SpectrumError) {
  guard value.isFinite, value > 0 else {
    throw .invalidSetting(name: name, value: "\(value)", requirement: "finite and above 0")
  }
}
