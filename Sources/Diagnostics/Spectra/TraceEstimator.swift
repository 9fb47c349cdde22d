import Tensors

/// The trace of a symmetric operator from products with random sign vectors.
///
/// The number of products is fixed beforehand and the standard error is reported. (Stopping when
/// the running mean stands still stops by luck: for a trace of 16 it gave 6 to 19.)
public struct TraceEstimator: Sendable {
  /// How the products are used.
  public enum Method: String, Sendable, Codable {
    /// Mean of z'Az over Rademacher z; variance 2 (|A|²_F - Σ A_ii²) per sample. Hutchinson, "A
    /// stochastic estimator of the trace of the influence matrix", Commun. Stat. 19 (1990).
    case hutchinson
    /// A third of the products finds the dominant range Q, a third gives tr(Q'AQ) exactly, and a
    /// third estimates the trace of the rest. Meyer, Musco, Musco, Woodruff, "Hutch++: optimal
    /// stochastic trace estimation" (SOSA 2021), algorithm 1.
    case hutchPlusPlus
  }

  /// How the products are used.
  public var method = Method.hutchinson
  /// Products to make: probes for Hutchinson, three thirds for Hutch++ (at least 3).
  public var products = 100
  /// How many vectors one block product takes.
  public var vectorsAtOnce = 1
  /// How the dominant range is stored (Hutch++).
  public var precision = KrylovBasis.Precision.single
  /// Threads for the long vectors; no result depends on it.
  public var threads = 1
  /// Seed of the probes.
  public var seed: UInt64 = 0

  /// The defaults: Hutchinson with 100 probes.
  public init() {}

  /// An estimate of a trace.
  public struct Result: Sendable, Equatable {
    /// The trace. Its standard error is nil for a single probe, and 0 where the dominant range is
    /// the whole space and nothing was left to chance.
    public let trace: SampleMean
    /// Products made.
    public let products: Int
  }

  /// Estimates the trace.
  ///
  /// - Parameters:
  ///   - matrix: the operator [n, n].
  ///   - progress: called before every block product with the products made and planned. An error
  ///     it throws ends the run and is passed on.
  /// - Throws: `SpectrumError`, and whatever the operator or `progress` throws.
  public func estimate(
    _ matrix: some SymmetricOperator,
    progress: (_ products: Int, _ planned: Int) throws -> Void = { _, _ in }
  ) throws -> Result {
    try matrix.checkDimension()
    try require("products", products, atLeast: method == .hutchinson ? 1 : 3)
    try require("vectorsAtOnce", vectorsAtOnce, atLeast: 1)
    let dimension = matrix.dimension
    var made = 0

    /// Products of vectors made one after the other, in blocks.
    func forEach(
      _ count: Int, vector: (Int) -> [Double], body: ([Double], inout [Double]) -> Void
    ) throws {
      for start in stride(from: 0, to: count, by: vectorsAtOnce) {
        try progress(made, products)
        let vectors = (start..<min(start + vectorsAtOnce, count)).map(vector)
        var images = try matrix.product(with: vectors, solver: method.rawValue, product: made)
        made += vectors.count
        for column in vectors.indices { body(vectors[column], &images[column]) }
      }
    }
    func probe(_ purpose: String) -> (Int) -> [Double] {
      { index in
        CounterRandom(seed: seed, purpose: purpose, stream: UInt64(index)).signs(dimension)
      }
    }

    var samples: [Double] = []
    guard method == .hutchPlusPlus else {
      try forEach(products, vector: probe("trace probe")) { vector, image in
        samples.append(LongVector.dot(vector, image))
      }
      return Result(trace: SampleMean(samples), products: made)
    }

    let range = KrylovBasis(dimension: dimension, precision: precision, threads: threads)
    try forEach(products / 3, vector: probe("trace sketch")) { _, image in
      guard let before = LongVector.normalise(&image), before > 0,
        range.orthogonalise(&image).norm > LanczosProcess.breakdown,
        LongVector.normalise(&image) != nil
      else { return }
      range.append(rounding: &image)
    }
    var dominant = 0.0
    try forEach(range.count, vector: range.vector) { vector, image in
      dominant += LongVector.dot(vector, image)
    }
    guard range.count < dimension else {
      return Result(
        trace: SampleMean(mean: dominant, standardError: 0, count: range.count), products: made)
    }
    let outside = probe("trace probe")
    try forEach(
      products - made,
      vector: { index in
        var vector = outside(index)
        range.orthogonalise(&vector)
        return vector
      },
      body: { vector, image in samples.append(LongVector.dot(vector, image)) })
    let rest = SampleMean(samples)
    return Result(
      trace: SampleMean(
        mean: dominant + rest.mean, standardError: rest.standardError, count: rest.count),
      products: made)
  }
}
