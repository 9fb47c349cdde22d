import Tensors

/// What was found of the Hessian of one loss: one minibatch, or the whole data set.
public struct HessianRecord: Sendable, Codable {
  /// An eigenvalue with the means to judge it.
  public struct Eigenvalue: Sendable, Codable {
    /// Which list it belongs to: `mag`, `max` or `min`.
    public let which: String
    /// The place in that list, from 0.
    public let rank: Int
    /// With the weight decay's shift.
    public let value: Double
    /// `|Hv - λv|`, measured by a product with v.
    public let residual: Double
    /// Products that went into it.
    public let iterations: Int
    /// `ok`, `not_converged`, or `tied` with a value of the other sign.
    public let status: String
  }

  /// A trace with its error.
  public struct Trace: Sendable, Codable {
    /// The estimate.
    public let value: Double
    /// Its standard error, if it has one.
    public let standardError: Double?
  }

  /// A smoothed spectral density by stochastic Lanczos quadrature.
  public struct Density: Sendable, Codable {
    /// Where.
    public let x: [Double]
    /// How dense.
    public let density: [Double]
    /// σ of the Gaussians.
    public let bandwidth: Double
    /// The share of eigenvalues below a dead band about zero.
    public let negativeFraction: Double
  }

  /// Steps of each probe of a density, unless more are asked for: fewer misplace what lies near 0.
  public static let leastDensitySteps = 40

  /// The number of the minibatch; nil for the whole data set.
  public let batch: Int?
  /// Images in it.
  public let images: Int
  /// The loss without weight decay.
  public let loss: Double
  /// The values found.
  public let eigenvalues: [Eigenvalue]
  /// Products made in all, but for those that residuals were measured by.
  public let products: Int
  /// The trace, if asked for.
  public let trace: Trace?
  /// The density, if asked for.
  public let density: Density?
  /// `ok`, or why there are no values.
  public let status: String
  /// Remarks of the solver, and on the images.
  public var notes: [String]

  /// A loss whose Hessian could not be had.
  public init(undefined status: String, batch: Int?, images: Int, loss: Double, note: String) {
    self.batch = batch
    self.images = images
    self.loss = loss.isFinite ? loss : 0
    eigenvalues = []
    products = 0
    trace = nil
    density = nil
    self.status = status
    notes = [note]
  }

  /// Solves for what the settings ask of an operator.
  ///
  /// - Parameters:
  ///   - matrix: the Hessian of the loss without weight decay.
  ///   - gradient: the gradient of the same loss, for Lanczos to start towards; nil: at random.
  ///   - progress: told before every product; an error it throws ends the work.
  /// - Throws: `SpectrumError`, and whatever the operator or `progress` throws.
  public init(
    solving matrix: some SymmetricOperator, gradient: @autoclosure () -> [Double]? = nil,
    settings: HessianSettings, batch: Int?, images: Int, loss: Double, threads: Int,
    progress: () throws -> Void
  ) throws {
    let shifted = ShiftedOperator(matrix, shift: settings.weightDecay)
    var values: [Eigenvalue] = []
    var products = 0
    var notes: [String] = []
    switch settings.solver {
    case .lanczos:
      var solver = Lanczos()
      solver.top = settings.top
      solver.steps = settings.steps
      solver.maximumBasis = settings.basisLimit
      solver.tolerance = settings.tolerance
      solver.threads = threads
      solver.seed = settings.seed
      solver.direction = gradient()
      let found = try solver.solve(shifted) { _ in try progress() }
      // The recurrence's own figure falls far below what products in Float32 can mean. One vector at a
      // time, so that no more of them are in memory than while solving.
      let spectrum = try found.measuringResiduals(
        with: shifted, vectorsAtOnce: 1, progress: progress)
      values = spectrum.top.enumerated().map { Eigenvalue($1, which: "mag", rank: $0) }
      values.append(Eigenvalue(spectrum.largest, which: "max", rank: 0))
      values.append(Eigenvalue(spectrum.smallest, which: "min", rank: 0))
      products += found.products
      notes += spectrum.notes.map(\.description)
    case .power:
      var solver = PowerIteration()
      solver.top = settings.top
      solver.maximumIterations = settings.maximumIterations
      solver.tolerance = settings.tolerance
      solver.threads = threads
      solver.seed = settings.seed
      let result = try solver.solve(shifted) { _, _ in try progress() }
      values = result.values.enumerated().map { Eigenvalue($1, which: "mag", rank: $0) }
      products += result.products
      if result.isClipped {
        let note = LanczosSpectrum.Note.topClipped(
          requested: settings.top, dimension: shifted.dimension)
        notes.append(note.description)
      }
    }
    var trace: Trace?
    if settings.traceProbes > 0 {
      var estimator = TraceEstimator()
      estimator.method = settings.usesHutchPlusPlus ? .hutchPlusPlus : .hutchinson
      estimator.products = settings.traceProbes
      estimator.threads = threads
      estimator.seed = settings.seed
      let result = try estimator.estimate(shifted) { _, _ in try progress() }
      trace = Trace(value: result.trace.mean, standardError: result.trace.standardError)
      products += result.products
    }
    var density: Density?
    if settings.densityProbes > 0 {
      var quadrature = LanczosQuadrature()
      quadrature.probes = settings.densityProbes
      quadrature.steps = max(settings.steps, Self.leastDensitySteps)
      quadrature.threads = threads
      quadrature.seed = settings.seed
      let measure = try quadrature.measure(shifted) { _, _ in try progress() }
      let smooth = try measure.density()
      density = Density(
        x: smooth.x, density: smooth.density, bandwidth: smooth.bandwidth,
        negativeFraction: measure.negativeFraction().mean)
      products += measure.products
    }
    self.batch = batch
    self.images = images
    self.loss = loss
    eigenvalues = values
    self.products = products
    self.trace = trace
    self.density = density
    status = "ok"
    self.notes = notes
  }
}

extension HessianRecord.Eigenvalue {
  init(_ estimate: EigenvalueEstimate, which: String, rank: Int) {
    let status =
      switch estimate.status {
      case .converged: "ok"
      case .unconverged: "not_converged"
      case .tied: "tied"
      }
    self.init(
      which: which, rank: rank, value: estimate.value, residual: estimate.residual,
      iterations: estimate.iterations, status: status)
  }
}
