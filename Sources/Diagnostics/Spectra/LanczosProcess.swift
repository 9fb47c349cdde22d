import Tensors

/// What a Lanczos process has found so far, apart from its vectors: together with the basis it is
/// enough to go on after an interruption.
public struct LanczosState: Codable, Sendable, Equatable {
  /// The dimension of the operator.
  public internal(set) var dimension: Int
  /// How the basis is stored.
  public internal(set) var precision: KrylovBasis.Precision
  /// The seed of the start vectors.
  public internal(set) var seed: UInt64
  /// Products made.
  public internal(set) var products = 0
  /// Diagonal of the projected matrix T, α.
  var diagonal: [Double] = []
  /// Off-diagonal of T, β; 0 where an invariant subspace ended.
  var offDiagonal: [Double] = []
  /// After a thick restart, the couplings of the kept Ritz vectors to the vector after them.
  var spike: [Double] = []
  /// The norm of the last remainder: the coupling of the basis to the rest of the space.
  var lastNorm = 0.0
  /// The largest entry of T in magnitude.
  var scale = 0.0
  /// Start vectors drawn.
  var starts = 0
  /// Thick restarts made.
  var restarts = 0
  /// Steps planned, which grows when the solver extends itself.
  var planned = 0
  /// Extensions made.
  var extensions = 0
  /// The wanted values when the last invariant subspace was complete.
  var wantedAtBreakdown: [Double]?
}

/// The Lanczos recurrence with full two-pass re-orthogonalisation, one product at a time.
///
/// The process owns no operator: it hands out `next`, takes the product, and thereby lets several
/// processes share one block product.
struct LanczosProcess {
  let basis: KrylovBasis
  private(set) var state: LanczosState
  /// The basis vector of which the product is wanted.
  private(set) var next: [Double] = []
  private var remainder: [Double] = []

  /// A remainder below this fraction of the largest entry of T is rounding: the subspace is
  /// invariant. (Comparing with 0 would go on with noise.)
  static let breakdown = 1e-10

  init(dimension: Int, precision: KrylovBasis.Precision, threads: Int, seed: UInt64) {
    basis = KrylovBasis(dimension: dimension, precision: precision, threads: threads)
    state = LanczosState(dimension: dimension, precision: precision, seed: seed)
  }

  /// Goes on where a saved state left off: all vectors of `basis` but the last have had their
  /// product.
  init(resuming state: LanczosState, basis: KrylovBasis) throws(SpectrumError) {
    guard basis.count == state.diagonal.count + 1 else {
      throw .stateMismatch(
        what: "basis vectors", expected: "\(state.diagonal.count + 1)", found: "\(basis.count)")
    }
    guard basis.dimension == state.dimension, basis.precision == state.precision else {
      throw .stateMismatch(
        what: "a basis of", expected: "\(state.dimension) \(state.precision)",
        found: "\(basis.dimension) \(basis.precision)")
    }
    guard state.offDiagonal.count == state.diagonal.count,
      state.spike.count <= state.diagonal.count,
      (state.diagonal + state.offDiagonal + state.spike).allSatisfy(\.isFinite)
    else {
      throw .stateMismatch(
        what: "coefficients", expected: "finite, \(state.diagonal.count) off the diagonal",
        found: "\(state.offDiagonal.count), or others not finite")
    }
    self.basis = basis
    self.state = state
    next = basis.vector(basis.count - 1)
  }

  /// Vectors that have had their product: the order of T.
  var order: Int { state.diagonal.count }

  /// Whether the span of the basis is invariant.
  var isInvariant: Bool { state.lastNorm <= Self.breakdown * state.scale }

  /// Whether the basis spans the whole space.
  var isComplete: Bool { order >= state.dimension }

  mutating func plan(steps: Int, extensions: Int) {
    state.planned = steps
    state.extensions = extensions
  }

  mutating func noteBreakdown(wanted: [Double]) { state.wantedAtBreakdown = wanted }

  /// Takes in A·`next`; as the only one who has it, without a copy.
  mutating func absorb(_ product: consuming [Double]) {
    remainder = product
    let (coefficients, norm) = basis.orthogonalise(&remainder)
    state.diagonal.append(coefficients[coefficients.count - 1])
    // With the whole space spanned, what is left is rounding.
    state.lastNorm = isComplete ? 0 : norm
    state.scale = max(state.scale, abs(coefficients[coefficients.count - 1]))
    if isInvariant { state.lastNorm = 0 } else { state.scale = max(state.scale, norm) }
    state.products += 1
  }

  /// Makes the remainder the next vector.
  ///
  /// - Precondition: the subspace is not invariant.
  mutating func advance() {
    precondition(!isInvariant, "an invariant subspace has no next vector")
    LongVector.scale(&remainder, by: 1 / state.lastNorm)
    append(coupling: state.lastNorm)
  }

  /// Makes a given vector the next one, with no coupling to those before.
  ///
  /// - Returns: false if it lies within the span of the basis.
  mutating func start(with vector: [Double]) -> Bool {
    remainder = vector
    guard LongVector.normalise(&remainder) != nil else { return false }
    if basis.count > 0 {
      guard basis.orthogonalise(&remainder).norm > Self.breakdown,
        LongVector.normalise(&remainder) != nil
      else { return false }
    }
    state.lastNorm = 0
    append(coupling: 0)
    return true
  }

  /// Starts anew with a random vector orthogonal to the basis, to find what one Krylov space
  /// cannot hold: further copies of multiple eigenvalues.
  ///
  /// - Parameter direction: where to lean to, half the way; not followed if it is 0 or not finite.
  /// - Returns: false if the basis spans the space.
  mutating func startAtRandom(towards direction: [Double]? = nil) -> Bool {
    for _ in 0..<3 where basis.count < state.dimension {
      let random = CounterRandom(
        seed: state.seed, purpose: "lanczos start", stream: UInt64(state.starts))
      state.starts += 1
      var vector = random.normals(state.dimension)
      if let direction {
        let length = LongVector.norm(direction)
        if length.isNormal {
          LongVector.add(LongVector.norm(vector) / length, direction, to: &vector)
        }
      }
      if start(with: vector) { return true }
    }
    return false
  }

  private mutating func append(coupling: Double) {
    if order > 0 { state.offDiagonal.append(state.spike.count == order ? 0 : coupling) }
    basis.append(rounding: &remainder)
    swap(&next, &remainder)
    remainder = []
  }

  /// The eigenpairs of T, ascending.
  func ritz() throws(SpectrumError) -> SmallEigenproblem {
    guard !state.spike.isEmpty else {
      return try SmallEigenproblem(diagonal: state.diagonal, offDiagonal: state.offDiagonal)
    }
    let (order, kept) = (order, state.spike.count)
    var dense = [Double](repeating: 0, count: order * order)
    for j in 0..<order { dense[j * order + j] = state.diagonal[j] }
    for j in 1..<max(1, order) { dense[j * order + j - 1] = state.offDiagonal[j - 1] }
    if kept < order {
      for j in 0..<kept { dense[kept * order + j] = state.spike[j] }
    }
    return try SmallEigenproblem(dense: dense, order: order)
  }

  /// |β s_mi|: the residual of Ritz pair i.
  func residual(_ ritz: SmallEigenproblem, _ index: Int) -> Double {
    ritz.count == 0 ? 0 : abs(state.lastNorm * ritz.entry(ritz.count - 1, of: index))
  }

  /// Thick restart (Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000): keeps Ritz vectors from both
  /// ends of the spectrum, so that the basis never holds more vectors than fit into memory.
  mutating func compress(keeping kept: Int) throws(SpectrumError) {
    let ritz = try ritz()
    guard kept < ritz.count else { return }
    // Ritz values ascend: keep from both ends in turn, one more from the top if `kept` is odd.
    let low = 0..<kept / 2
    let chosen = Array(low) + Array(ritz.count - (kept - low.count)..<ritz.count)
    basis.rotate(by: chosen.flatMap { Array(ritz.vector($0)) }, keeping: kept)
    state.spike = chosen.map { state.lastNorm * ritz.entry(ritz.count - 1, of: $0) }
    state.diagonal = chosen.map { ritz.values[$0] }
    state.offDiagonal = [Double](repeating: 0, count: kept - 1)
    state.restarts += 1
  }
}
