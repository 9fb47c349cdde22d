/// An eigenvalue as a solver found it, with the means to judge it.
public struct EigenvalueEstimate: Sendable, Equatable {
  /// θ.
  public var value: Double
  /// |Av - θv| for the solver's unit vector v: some eigenvalue of A lies within this distance of θ.
  public var residual: Double
  /// Whether the residual is at most the tolerance times the largest magnitude found.
  public var isConverged: Bool
  /// Whether another value of opposite sign has the same magnitude to within the tolerance and both
  /// residuals. Which of the two is "the largest by magnitude", and so its sign, is then undecided.
  public var hasOppositeSignPair: Bool
  /// The products that went into this value.
  public var iterations: Int
  /// The place of the value in the solver's own order, to ask for its vector.
  public var index: Int

  /// One word for a table.
  public enum Status: String, Sendable, Codable {
    /// The residual is small enough, and the rank is decided.
    case converged
    /// The residual is too large.
    case unconverged
    /// The residual is small enough; a value of opposite sign has the same magnitude.
    case tied
  }

  /// One word for a table.
  public var status: Status {
    isConverged ? (hasOppositeSignPair ? .tied : .converged) : .unconverged
  }

  /// Sets `hasOppositeSignPair` for each of `chosen`, looking among `all` of `found`.
  static func markTwins(
    of chosen: inout [EigenvalueEstimate], among found: [EigenvalueEstimate], tolerance: Double
  ) {
    for position in chosen.indices {
      let own = chosen[position]
      let twin = found.contains { other in
        own.value * other.value < 0
          && abs(own.value + other.value)
            <= tolerance * abs(own.value) + own.residual + other.residual
      }
      if twin { chosen[position].hasOppositeSignPair = true }
    }
  }
}
