/// Eigenvalues at both ends of the spectrum of a symmetric operator, and the largest by magnitude,
/// by Lanczos with full two-pass re-orthogonalisation.
///
/// Every value comes with its Ritz residual |β s| and is called converged if that is at most
/// `tolerance` times the largest magnitude. Where the wanted values have not converged after
/// `steps` products, the process extends itself, once by default, to at most twice as many: it ends
/// as soon as they have.
///
/// A Krylov space holds one vector of each eigenspace. Where it becomes invariant, the solver
/// starts anew orthogonally to what it has, and so finds multiple eigenvalues; where it does not
/// become invariant within the steps, further copies of a multiple eigenvalue may be missing.
///
/// Golub and Van Loan, "Matrix Computations", chapter 10; Parlett, "The Symmetric Eigenvalue
/// Problem", chapter 13.
public struct Lanczos: Sendable {
  /// How many values of largest magnitude are wanted, beside both ends.
  public var top = 5
  /// Products to make, before any extension; at most the dimension is used.
  public var steps = 30
  /// Relative to the largest magnitude found.
  public var tolerance = 1e-3
  /// How often the number of steps may double as long as the wanted values have not converged.
  public var extensions = 1
  /// Float32 for operators that compute in Float32, Float64 for those that compute in Float64.
  public var precision = KrylovBasis.Precision.single
  /// The most vectors to hold in memory; beyond it the process restarts with the outermost Ritz
  /// vectors (Wu and Simon 2000). At least `top` + 6; nil: as many as there are steps.
  public var maximumBasis: Int?
  /// Threads for the long vectors; no result depends on it.
  public var threads = 1
  /// Seed of the start vector.
  public var seed: UInt64 = 0
  /// A vector [n] that may be rich in the wanted eigenvectors; nil: none is known.
  ///
  /// The process then starts from the sum of its direction and a random one, which still has a part
  /// in every eigenvector. The gradient of a loss lies mostly within the few leading eigenvectors of its
  /// Hessian (Gur-Ari, Roberts and Dyer, "Gradient descent happens in a tiny subspace", 2018).
  public var direction: [Double]?

  /// The defaults: 30 steps, both ends and the top five, tolerance 1e-3, one extension, Float32.
  public init() {}

  /// Where a run stands; the basis and the state are those of this moment.
  public struct Progress {
    /// Products made.
    public let products: Int
    /// Products planned as it now stands.
    public let planned: Int
    /// What `solve(_:resuming:progress:)` needs to go on from here, with the basis.
    public let state: LanczosState
    /// The vectors so far. From one product to the next a vector is added; with `maximumBasis` set
    /// all may change.
    public let basis: KrylovBasis
  }

  /// Finds the values.
  ///
  /// - Parameters:
  ///   - matrix: the operator [n, n].
  ///   - saved: a state and its basis, as `progress` was handed them, to go on with.
  ///   - progress: called before every product. An error it throws ends the run and is passed on.
  /// - Throws: `SpectrumError`, and whatever the operator or `progress` throws.
  public func solve(
    _ matrix: some SymmetricOperator,
    resuming saved: (state: LanczosState, basis: KrylovBasis)? = nil,
    progress: (Progress) throws -> Void = { _ in }
  ) throws -> LanczosSpectrum {
    try check(matrix)
    let dimension = matrix.dimension
    let limit = maximumBasis.flatMap { $0 < dimension ? $0 : nil }
    var process: LanczosProcess
    if let saved {
      try check(saved.state, dimension: dimension)
      process = try LanczosProcess(resuming: saved.state, basis: saved.basis)
    } else {
      process = LanczosProcess(
        dimension: dimension, precision: precision, threads: threads, seed: seed)
      process.plan(steps: limit == nil ? min(steps, dimension) : steps, extensions: 0)
      _ = process.startAtRandom(towards: direction)
    }

    while true {
      try progress(
        Progress(
          products: process.state.products, planned: process.state.planned,
          state: process.state, basis: process.basis))
      var products = try matrix.product(
        with: [process.next], solver: "lanczos", product: process.state.products)
      process.absorb(products.removeLast())

      if process.isComplete { break }
      if process.isInvariant, try isFinished(&process) { break }
      if process.state.extensions > 0,
        try hasConverged(process)
      {
        process.plan(steps: process.state.products, extensions: process.state.extensions)
        break
      }
      if process.state.products >= process.state.planned {
        guard process.state.extensions < extensions, try !hasConverged(process) else { break }
        let doubled = process.state.planned.multipliedReportingOverflow(by: 2)
        let goal = doubled.overflow ? Int.max : doubled.partialValue
        let extended = limit == nil ? min(goal, dimension) : goal
        guard extended > process.state.planned else { break }
        process.plan(steps: extended, extensions: process.state.extensions + 1)
      }
      if let limit, process.order >= limit {
        try process.compress(keeping: max(top + 4, limit / 2))
      }
      if process.isInvariant {
        guard process.startAtRandom() else { break }
      } else {
        process.advance()
      }
    }
    return try LanczosSpectrum(process, settings: self)
  }

  /// With an invariant subspace complete: whether the last start added nothing that is wanted. What
  /// is then left orthogonal to it holds no eigenvalue beyond those of that start.
  private func isFinished(_ process: inout LanczosProcess) throws -> Bool {
    let wanted = wanted(try process.ritz().values)
    defer { process.noteBreakdown(wanted: wanted) }
    guard let before = process.state.wantedAtBreakdown, before.count == wanted.count else {
      return false
    }
    let slack = LanczosProcess.breakdown * process.state.scale
    return zip(before, wanted).allSatisfy { abs($0 - $1) <= slack }
  }

  private func hasConverged(_ process: LanczosProcess) throws -> Bool {
    let spectrum = try LanczosSpectrum(process, settings: self)
    return spectrum.isConverged && spectrum.top.count == min(top, process.state.dimension)
  }

  /// Both ends and the values of largest magnitude.
  private func wanted(_ ascending: [Double]) -> [Double] {
    [ascending.first, ascending.last].compactMap(\.self)
      + ascending.sorted { abs($0) > abs($1) }.prefix(top)
  }

  private func check(_ matrix: some SymmetricOperator) throws(SpectrumError) {
    try matrix.checkDimension()
    try require("top", top, atLeast: 1)
    try require("steps", steps, atLeast: 1)
    try require("extensions", extensions, atLeast: 0)
    try require(positive: "tolerance", tolerance)
    if let maximumBasis { try require("maximumBasis", maximumBasis, atLeast: top + 6) }
    if let direction, direction.count != matrix.dimension {
      throw .invalidSetting(
        name: "direction", value: "of \(direction.count) entries",
        requirement: "of \(matrix.dimension), as the operator")
    }
  }

  private func check(_ state: LanczosState, dimension: Int) throws(SpectrumError) {
    guard state.dimension == dimension else {
      throw .stateMismatch(
        what: "dimension", expected: "\(dimension)", found: "\(state.dimension)")
    }
    guard state.precision == precision else {
      throw .stateMismatch(
        what: "precision", expected: precision.rawValue, found: state.precision.rawValue)
    }
    guard state.seed == seed else {
      throw .stateMismatch(what: "seed", expected: "\(seed)", found: "\(state.seed)")
    }
  }
}
