import Diagnostics
import Images
import Synchronization
import Tensors

/// The leading eigenvectors of models' Hessians, found when they are first asked for.
final class LeadingEigenvectors: Sendable {
  private let run: HessianRun
  private let count: Int
  private let known = Mutex<[Int: Found]>([:])

  /// Eigenvalues, and their vectors cut into the parameters' tensors.
  struct Found: Sendable {
    let values: [Double]
    let vectors: [[Tensor]]
  }

  /// - Parameters:
  ///   - run: over the whole data set.
  ///   - count: eigenvectors of each model.
  init(_ run: HessianRun, count: Int) { (self.run, self.count) = (run, count) }

  /// The tensors that they are made of.
  func parameters(of model: Int) -> ParameterVector { run.parameters[model] }

  /// Bytes that it takes to find them.
  func heldBytes(of model: Int) -> Int {
    run.costs[model].bytes(images: run.batches.largestBatch)
  }

  /// Those of the largest eigenvalues by magnitude, of length 1, each cut into the parameters' tensors.
  ///
  /// - Throws: ``VitProbeError`` if they have not converged; `SpectrumError` for a loss that is not finite.
  func callAsFunction(of model: Int) throws -> Found {
    try known.withLock { known in
      if let found = known[model] { return found }
      let label = run.subjects[model].label
      var solver = Lanczos()
      solver.top = count
      let spectrum = try solver.solve(try run.shared(model, SingleRank()))
      let leading = spectrum.top.prefix(count)
      guard leading.count == count, leading.allSatisfy(\.isConverged) else {
        throw VitProbeError(
          .badData,
          "\(label): the leading eigenvectors of the Hessian have not converged in "
            + "\(spectrum.products) products; every other `direction` needs none")
      }
      let found = Found(
        values: leading.map(\.value),
        vectors: leading.map { run.parameters[model].split(spectrum.vector(of: $0)) })
      known[model] = found
      return found
    }
  }
}
