/// What `Lanczos` found: both ends, the top values by magnitude, and the vectors on request.
public struct LanczosSpectrum {
  /// Something the reader of the values should know.
  public enum Note: Sendable, Equatable, CustomStringConvertible {
    /// More steps were asked for than the operator has dimensions.
    case stepsClipped(requested: Int, dimension: Int)
    /// More values were asked for than the operator has dimensions.
    case topClipped(requested: Int, dimension: Int)
    /// The wanted values had not converged, so that steps were added.
    case extended(to: Int)
    /// Fewer steps than planned were made, since nothing more was to be found.
    case exhausted(products: Int)
    /// The basis was compressed to stay within its limit.
    case restarted(times: Int)

    /// The note in words.
    public var description: String {
      switch self {
      case .stepsClipped(let requested, let dimension):
        "\(requested) steps exceed the dimension; \(dimension) are all there is"
      case .topClipped(let requested, let dimension):
        "\(requested) values exceed the dimension; there are \(dimension)"
      case .extended(let steps):
        "not converged within the steps given; extended to \(steps)"
      case .exhausted(let products):
        "all wanted values were found exactly after \(products) products"
      case .restarted(let times):
        "the basis was compressed \(times) times to stay within its limit"
      }
    }
  }

  /// The largest eigenvalue (algebraically).
  public let largest: EigenvalueEstimate
  /// The smallest eigenvalue (algebraically).
  public let smallest: EigenvalueEstimate
  /// The eigenvalues of largest magnitude, in descending magnitude.
  public let top: [EigenvalueEstimate]
  /// All Ritz values, ascending; those inside the spectrum are usually not converged.
  public let ritzValues: [EigenvalueEstimate]
  /// Products made.
  public let products: Int
  /// What the reader should know.
  public let notes: [Note]

  private let basis: KrylovBasis
  private let ritz: SmallEigenproblem
  private let tolerance: Double

  /// Whether both ends and all of `top` have converged.
  public var isConverged: Bool {
    largest.isConverged && smallest.isConverged && top.allSatisfy(\.isConverged)
  }

  init(_ process: LanczosProcess, settings: Lanczos) throws(SpectrumError) {
    let ritz = try process.ritz()
    let state = process.state
    let magnitude = ritz.values.reduce(0) { max($0, abs($1)) }
    let all = ritz.values.indices.map { index in
      let residual = process.residual(ritz, index)
      return EigenvalueEstimate(
        value: ritz.values[index], residual: residual,
        isConverged: residual <= settings.tolerance * magnitude, hasOppositeSignPair: false,
        iterations: state.products, index: index)
    }
    var notes: [Note] = []
    if settings.steps > state.dimension {
      notes.append(.stepsClipped(requested: settings.steps, dimension: state.dimension))
    }
    if settings.top > state.dimension {
      notes.append(.topClipped(requested: settings.top, dimension: state.dimension))
    }
    if state.extensions > 0 { notes.append(.extended(to: state.planned)) }
    if state.products < state.planned { notes.append(.exhausted(products: state.products)) }
    if state.restarts > 0 { notes.append(.restarted(times: state.restarts)) }
    self.init(
      all: all, topCount: settings.top, products: state.products, notes: notes,
      basis: process.basis, ritz: ritz, tolerance: settings.tolerance)
  }

  private init(
    all: [EigenvalueEstimate], topCount: Int, products: Int, notes: [Note], basis: KrylovBasis,
    ritz: SmallEigenproblem, tolerance: Double
  ) {
    // At least one product has been made, so that there is a value.
    precondition(!all.isEmpty, "a spectrum of no values")
    // Of equal magnitudes the positive one comes first.
    var top = Array(
      all.sorted {
        abs($0.value) != abs($1.value) ? abs($0.value) > abs($1.value) : $0.value > $1.value
      }
      .prefix(topCount))
    EigenvalueEstimate.markTwins(of: &top, among: all, tolerance: tolerance)
    (largest, smallest) = (all[all.count - 1], all[0])
    self.top = top
    ritzValues = all
    self.products = products
    self.notes = notes
    self.basis = basis
    self.ritz = ritz
    self.tolerance = tolerance
  }

  /// The unit Ritz vector of a value [n].
  ///
  /// - Precondition: the estimate is one of this spectrum.
  public func vector(of estimate: EigenvalueEstimate) -> [Double] {
    precondition(ritzValues.indices.contains(estimate.index), "not a value of this spectrum")
    var vector = basis.combination(ritz.vector(estimate.index))
    LongVector.normalise(&vector)
    return vector
  }

  /// The same spectrum with |Av - θv| measured anew for both ends and the top values, by products
  /// with their vectors, in place of the recurrence's own figure. `isConverged` follows it.
  ///
  /// - Parameters:
  ///   - matrix: the operator.
  ///   - vectorsAtOnce: how many vectors one block product takes.
  ///   - progress: called before every block. An error it throws ends the work and is passed on.
  public func measuringResiduals(
    with matrix: some SymmetricOperator, vectorsAtOnce: Int = 8,
    progress: () throws -> Void = {}
  ) throws -> LanczosSpectrum {
    var all = ritzValues
    let chosen = Set(([largest, smallest] + top).map(\.index)).sorted()
    let magnitude = all.reduce(0) { max($0, abs($1.value)) }
    let size = max(1, vectorsAtOnce)
    for start in stride(from: 0, to: chosen.count, by: size) {
      let indices = chosen[start..<min(start + size, chosen.count)]
      let vectors = indices.map { vector(of: all[$0]) }
      try progress()
      var results = try matrix.product(
        with: vectors, solver: "lanczos residuals", product: start)
      for (column, index) in indices.enumerated() {
        LongVector.add(-all[index].value, vectors[column], to: &results[column])
        all[index].residual = LongVector.norm(results[column])
        all[index].isConverged = all[index].residual <= tolerance * magnitude
      }
    }
    return LanczosSpectrum(
      all: all, topCount: top.count, products: products + chosen.count, notes: notes,
      basis: basis, ritz: ritz, tolerance: tolerance)
  }
}
