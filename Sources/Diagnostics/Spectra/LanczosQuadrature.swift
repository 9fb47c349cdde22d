import Tensors

/// The spectral density of a symmetric operator by stochastic Lanczos quadrature.
///
/// From each random sign vector z/√n, m Lanczos steps give a Gauss quadrature: nodes θ_i and
/// weights τ_i² (squared first components of the eigenvectors of T) with Σ τ_i² f(θ_i) ≈ z'f(A)z/n,
/// exact for polynomials f of degree below 2m. The mean over probes estimates tr f(A)/n.
///
/// Golub and Welsch, Math. Comp. 23 (1969); Ubaru, Chen, Saad, "Fast estimation of tr(f(A)) via
/// stochastic Lanczos quadrature", SIAM J. Matrix Anal. Appl. 38 (2017); Ghorbani, Krishnan, Xiao,
/// "An investigation into neural net optimization via Hessian eigenvalue density" (2019).
public struct LanczosQuadrature: Sendable {
  /// Random vectors.
  public var probes = 10
  /// Lanczos steps for each; at most the dimension is used.
  public var steps = 80
  /// Probes that share a block product; each holds a basis of its own in memory.
  public var probesAtOnce = 1
  /// Float32 for operators that compute in Float32, Float64 for those that compute in Float64.
  public var precision = KrylovBasis.Precision.single
  /// Threads for the long vectors; no result depends on it.
  public var threads = 1
  /// Seed of the probes.
  public var seed: UInt64 = 0

  /// The defaults: 10 probes of 80 steps.
  public init() {}

  /// Runs all probes.
  ///
  /// - Parameters:
  ///   - matrix: the operator [n, n].
  ///   - progress: called before every block product with the products made and planned. An error
  ///     it throws ends the run and is passed on.
  /// - Throws: `SpectrumError`, and whatever the operator or `progress` throws.
  public func measure(
    _ matrix: some SymmetricOperator,
    progress: (_ products: Int, _ planned: Int) throws -> Void = { _, _ in }
  ) throws -> SpectralMeasure {
    try matrix.checkDimension()
    try require("probes", probes, atLeast: 1)
    try require("steps", steps, atLeast: 1)
    try require("probesAtOnce", probesAtOnce, atLeast: 1)
    let dimension = matrix.dimension
    let length = min(steps, dimension)
    let planned = probes.multipliedReportingOverflow(by: length).partialValue
    var made = 0
    var rules: [[SpectralMeasure.Node]] = []
    for start in stride(from: 0, to: probes, by: probesAtOnce) {
      var processes = (start..<min(start + probesAtOnce, probes)).map { probe in
        var process = LanczosProcess(
          dimension: dimension, precision: precision, threads: threads, seed: seed)
        let random = CounterRandom(seed: seed, purpose: "density probe", stream: UInt64(probe))
        _ = process.start(with: random.signs(dimension))
        return process
      }
      // A probe whose Krylov space became invariant is exact already.
      while case let active = processes.indices.filter({ index in
        processes[index].order < length
          && (processes[index].order == 0 || !processes[index].isInvariant)
      }), !active.isEmpty {
        try progress(made, planned)
        for index in active where processes[index].order > 0 { processes[index].advance() }
        let images = try matrix.product(
          with: active.map { processes[$0].next }, solver: "density", product: made)
        made += active.count
        for (image, index) in zip(images, active) { processes[index].absorb(image) }
      }
      for process in processes {
        let ritz = try process.ritz()
        rules.append(
          ritz.values.indices.map { index in
            let first = ritz.entry(0, of: index)
            return SpectralMeasure.Node(value: ritz.values[index], weight: first * first)
          })
      }
    }
    return SpectralMeasure(rules: rules, dimension: dimension, steps: length, products: made)
  }
}
