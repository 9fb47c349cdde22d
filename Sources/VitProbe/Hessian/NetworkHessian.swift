import Diagnostics
import Models
import Tensors

/// The parameters of a model that a Hessian is taken by, as one long vector.
struct ParameterVector: Sendable {
  let selected: [NamedParameter]
  private let fixed: [String: Tensor]
  let count: Int

  /// - Throws: ``VitProbeError`` `.usage` for a glob that matches no parameter.
  init(_ network: any Network, globs: [String], label: String) throws(VitProbeError) {
    let trainable = network.parameters.filter { !$0.specification.isBuffer }
    let selection = NameSelection(globs)
    let all = trainable.map(\.specification.name)
    if let glob = selection.firstUnmatched(in: all) {
      throw VitProbeError(
        .usage,
        "`parameters` \"\(glob)\" matches no parameter of \(label); there are "
          + all.prefix(4).joined(separator: ", ") + ", …"
          + NameSelection.question(glob, among: all))
    }
    selected = trainable.filter { selection.includes($0.specification.name) }
    guard !selected.isEmpty else {
      throw VitProbeError(.usage, "`parameters` leaves no parameter of \(label)")
    }
    let names = Set(selected.map(\.specification.name))
    fixed = Dictionary(
      network.parameters.filter { !names.contains($0.specification.name) }
        .map { ($0.specification.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    count = selected.reduce(0) { $0 + $1.tensor.shape.count }
  }

  /// All parameters by name, the selected ones replaced.
  func merged(with tensors: [Tensor]) -> [String: Tensor] {
    var all = fixed
    for (parameter, tensor) in zip(selected, tensors) { all[parameter.specification.name] = tensor }
    return all
  }

  /// Parts of the parameters' shapes from one long vector.
  func split(_ vector: [Double]) -> [Tensor] {
    var at = 0
    return selected.map { parameter in
      defer { at += parameter.tensor.shape.count }
      return Tensor(rounding: vector, from: at, shape: parameter.tensor.shape)
    }
  }

  /// Adds parts times `weight` to one long vector.
  func add(_ parts: [Tensor], times weight: Double, to sum: inout [Double]) {
    var at = 0
    for part in parts {
      part.add(times: weight, to: &sum, from: at)
      at += part.shape.count
    }
  }
}

/// One minibatch as the loss sees it.
struct LossBatch: Sendable {
  let images: Tensor
  let targets: Tensor
  /// What decoding its images has shown.
  var remarks: [String] = []
  var count: Int { images.shape[0] }
}

/// The Hessian of the mean loss over minibatches, as an operator of Doubles that computes in Float32;
/// or what some of the minibatches contribute to it.
///
/// The loss and gradient of a minibatch are recorded once and serve every product and every vector;
/// with many minibatches, as many recordings are kept as memory allows and the others made anew.
final class NetworkHessian: SymmetricOperator {
  private let network: any Network
  private let parameters: ParameterVector
  private let batches: [LossBatch]
  private var kept: [LossCurvature?] = []
  private let total: Int

  /// The mean loss over all images, without weight decay; of some minibatches, their part of it.
  private(set) var loss = 0.0
  /// Its gradient.
  private(set) var gradient: [Double]
  /// Forward and backward passes made so far.
  private(set) var recordings = 0

  /// - Parameters:
  ///   - images: how many the mean is over; nil for those of `batches`.
  ///   - memory: bytes that recordings may take; the first minibatch's is kept in any case.
  init(
    _ network: any Network, parameters: ParameterVector, batches: [LossBatch], images: Int? = nil,
    memory: Int
  ) throws {
    self.network = network
    self.parameters = parameters
    self.batches = batches
    gradient = [Double](repeating: 0, count: parameters.count)
    total = images ?? batches.reduce(0) { $0 + $1.count }
    let before = liveTensorBytes()
    var (largest, held) = (1, 0)
    for batch in batches {
      // The next one may be as large as any before.
      let fits = held == 0 || largest <= memory / (held + 1)
      let curvature = try record(batch)
      let weight = Double(batch.count) / Double(total)
      loss += weight * Double(curvature.loss)
      parameters.add(curvature.gradient, times: weight, to: &gradient)
      kept.append(fits ? curvature : nil)
      guard fits else { continue }
      held += 1
      largest = max(largest, (liveTensorBytes() - before) / held)
    }
  }

  var dimension: Int { parameters.count }

  /// What decoding the images has shown.
  var remarks: [String] { Set(batches.flatMap(\.remarks)).sorted() }

  func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    let parts = vectors.map { parameters.split($0) }
    var results = vectors.map { [Double](repeating: 0, count: $0.count) }
    // In batch order, each weighted by its images.
    for (batch, saved) in zip(batches, kept) {
      let curvature = try saved ?? record(batch)
      let weight = Double(batch.count) / Double(total)
      for (index, product) in curvature.products(with: parts).enumerated() {
        parameters.add(product, times: weight, to: &results[index])
      }
    }
    return results
  }

  private func record(_ batch: LossBatch) throws -> LossCurvature {
    recordings += 1
    return try LossCurvature(at: parameters.selected.map(\.tensor)) { tracked in
      let rebuilt = try network.rebuilt(with: parameters.merged(with: tracked))
      let losses = rebuilt(batch.images).crossEntropy(targets: batch.targets)
      return (1 / Float(batch.count)) * losses.sum()
    }
  }
}
