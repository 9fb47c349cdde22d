import Diagnostics
import Models
import Tensors

/// The parameters of a model that a Hessian is taken by, as one long vector.
struct ParameterVector: Sendable {
  let selected: [NamedParameter]
  private let fixed: [String: Tensor]
  let count: Int

  /// - Throws: ``VitProbeError`` `.usage` for a glob that matches no parameter.
  init(_ model: LoadedModel, globs: [String], label: String) throws(VitProbeError) {
    let trainable = model.parameters.filter { !$0.specification.isBuffer }
    for glob in globs {
      let pattern = Glob(glob.hasPrefix("!") ? String(glob.dropFirst()) : glob)
      guard trainable.contains(where: { pattern.matches($0.specification.name) }) else {
        let names = trainable.prefix(4).map(\.specification.name).joined(separator: ", ")
        throw VitProbeError(
          .usage, "--params \"\(glob)\" matches no parameter of \(label); there are \(names), …")
      }
    }
    let startsIn = globs.first.map { $0.hasPrefix("!") } ?? true
    selected = trainable.filter { parameter in
      globs.reduce(startsIn) { included, glob in
        let excludes = glob.hasPrefix("!")
        let pattern = Glob(excludes ? String(glob.dropFirst()) : glob)
        return pattern.matches(parameter.specification.name) ? !excludes : included
      }
    }
    guard !selected.isEmpty else {
      throw VitProbeError(.usage, "--params leaves no parameter of \(label)")
    }
    let names = Set(selected.map(\.specification.name))
    fixed = Dictionary(
      model.parameters.filter { !names.contains($0.specification.name) }
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
      let count = parameter.tensor.shape.count
      defer { at += count }
      return Tensor(shape: parameter.tensor.shape) { buffer in
        for index in 0..<count { buffer[index] = Float(vector[at + index]) }
      }
    }
  }

  /// Adds parts times `weight` to one long vector.
  func add(_ parts: [Tensor], times weight: Double, to sum: inout [Double]) {
    var at = 0
    for part in parts {
      part.withValues { values in
        for index in values.indices { sum[at + index] += weight * Double(values[index]) }
      }
      at += part.shape.count
    }
  }
}

/// One minibatch as the loss sees it.
struct LossBatch: Sendable {
  let images: Tensor
  let targets: Tensor
  var count: Int { images.shape[0] }
}

/// The Hessian of the mean loss over minibatches, as an operator of Doubles that computes in Float32.
///
/// The loss and gradient of a minibatch are recorded once and serve every product; with many
/// minibatches, as many recordings are kept as memory allows and the others made anew.
final class NetworkHessian: SymmetricOperator {
  private let model: LoadedModel
  private let parameters: ParameterVector
  private let batches: [LossBatch]
  private let kept: [LossCurvature?]
  private let total: Int

  /// The mean loss over all images, without weight decay.
  let loss: Double

  /// - Parameters:
  ///   - memory: bytes that recordings may take; the first minibatch's is kept in any case.
  init(
    _ model: LoadedModel, parameters: ParameterVector, batches: [LossBatch], memory: Int
  ) throws {
    self.model = model
    self.parameters = parameters
    self.batches = batches
    total = batches.reduce(0) { $0 + $1.count }
    var kept: [LossCurvature?] = []
    var loss = 0.0
    let before = liveTensorBytes()
    for batch in batches {
      let fits = kept.isEmpty || (liveTensorBytes() - before) * (kept.count + 1) / kept.count <= memory
      let curvature = try Self.record(model, parameters, batch)
      loss += Double(curvature.loss) * Double(batch.count)
      kept.append(fits ? curvature : nil)
    }
    self.kept = kept
    self.loss = loss / Double(max(1, total))
  }

  var dimension: Int { parameters.count }

  func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    let parts = vectors.map { parameters.split($0) }
    var results = vectors.map { [Double](repeating: 0, count: $0.count) }
    // In batch order, each weighted by its images.
    for (batch, saved) in zip(batches, kept) {
      let curvature = try saved ?? Self.record(model, parameters, batch)
      let weight = Double(batch.count) / Double(total)
      for (index, product) in curvature.products(with: parts).enumerated() {
        parameters.add(product, times: weight, to: &results[index])
      }
    }
    return results
  }

  private static func record(
    _ model: LoadedModel, _ parameters: ParameterVector, _ batch: LossBatch
  ) throws -> LossCurvature {
    try LossCurvature(at: parameters.selected.map(\.tensor)) { tracked in
      let rebuilt = try model.rebuilt(with: parameters.merged(with: tracked))
      let losses = rebuilt(batch.images).crossEntropy(targets: batch.targets)
      return (1 / Float(batch.count)) * losses.sum()
    }
  }
}
