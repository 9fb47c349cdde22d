import Diagnostics
import Images
import Models
import Reports
import StrictJSON
import Tensors

/// What the Hessians of one model cost.
struct HessianCost: Sendable {
  /// Multiply-adds of a forward pass of an image.
  private let multiplyAdds: Int
  /// Bytes of all values of a pass of an image when it is recorded.
  private let passBytes: Int
  /// Bytes of the solver's long vectors.
  let vectorBytes: Int
  /// Bytes on disk that the products take while the solver is at work, at most; nil if none are kept.
  let keptBytes: Double?

  /// - Throws: ``VitProbeError`` if the network cannot be run on shapes.
  init(
    of network: any Network, _ parameters: ParameterVector, _ settings: HessianSettings
  ) throws(VitProbeError) {
    let summary: ModelSummary
    do {
      summary = try ModelSummary(network)
    } catch {
      throw VitProbeError(error)
    }
    multiplyAdds = summary.multiplyAdds
    passBytes = summary.recordedBytes
    let most = settings.solver == .lanczos ? settings.basisLimit : settings.top
    // In Float32; and a few working vectors in Float64.
    vectorBytes = parameters.count * (4 * (min(most, parameters.count) + 1) + 8 * 5)
    let extended = settings.solver == .lanczos ? min(settings.steps, parameters.count) : 0
    keptBytes =
      settings.scope == .dataset
      ? Double(settings.productsOfALoss + extended) * Double(ProductFile.bytes(parameters.count))
      : nil
  }

  /// Values of a recorded pass that a recorded loss with its gradient holds: these, their cotangents
  /// and what a product has in hand.
  private static let passesOfARecording = 2

  /// Bytes of a minibatch in hand.
  func bytes(images: Int) -> Int {
    let pass = Self.passesOfARecording * passBytes
    let (bytes, overflow) = pass.multipliedReportingOverflow(by: images)
    return overflow
      ? .max : vectorBytes.addingReportingOverflow(bytes).overflow ? .max : vectorBytes + bytes
  }

  /// A product runs through the pass and its gradient, three passes, in both directions.
  private static let passesOfAProduct = 6.0

  /// Multiply-adds of a product, in units of 10⁹.
  func product(images: Int) -> Double {
    Self.passesOfAProduct * Double(multiplyAdds) * Double(images) / 1e9
  }
}

extension HessianSettings {
  /// Products with the Hessian of one loss that are planned: without extensions for Lanczos, at most for
  /// the power method.
  var productsOfALoss: Int {
    let each: Int =
      switch solver {
      // And one for each value, to measure its residual.
      case .lanczos: steps + top + 2
      case .power: top * maximumIterations
      }
    return each + traceProbes + densityProbes * max(steps, HessianRecord.leastDensitySteps)
  }
}

extension HessianRun {
  /// Products with the Hessian of a minibatch that are planned.
  public var plannedProducts: Int { settings.productsOfALoss * numbers.count * subjects.count }

  /// A line a model on what will be done, and what it will cost.
  public var plan: [String] {
    var lines: [String] = []
    let whole = batches.batches.count
    let minibatches = numbers.count < whole ? "\(numbers.count) of \(whole)" : "\(whole)"
    for ((subject, parameters), cost) in zip(zip(subjects, parameters), costs) {
      lines.append(
        "\(subject.label): \(parameters.count) parameters in \(parameters.selected.count) tensors, "
          + "\(minibatches) minibatches of \(batches.batchSize), "
          + "\(settings.scope.rawValue) scope")
      let product = cost.product(images: batches.batchSize)
      let count = settings.productsOfALoss * numbers.count
      lines.append(
        "\(subject.label): \(count) products of about \(figures(product)) G multiply-adds, "
          + "\(figures(product * Double(count) / 1e3)) T in all; up to "
          + "\(figures(Double(cost.vectorBytes) / 1e6)) MB for the solver's vectors")
      if let kept = cost.keptBytes {
        lines.append(
          "\(subject.label): up to \(figures(kept / 1e6)) MB on disk while it is computed, to "
            + "go on from after an interruption (`keptBytes` 0: none)")
      }
    }
    return lines + notes.map { "note: \($0)" }
  }

  /// What will be done for each model and what it will cost, for programs.
  public var costsJSON: JSONValue {
    .array(
      zip(zip(subjects, parameters), costs).map { model, cost in
        [
          "label": .string(model.0.label), "parameters": .integer(model.1.count),
          "tensors": .integer(model.1.selected.count),
          "products": .integer(settings.productsOfALoss * numbers.count),
          "gmac_a_product": .real(cost.product(images: batches.batchSize)),
          "vector_bytes": .integer(cost.vectorBytes),
          "disk_bytes": cost.keptBytes.map(JSONValue.real) ?? .null,
        ]
      })
  }

  /// What is known before anything is computed: of the data, and of what labels mean to each model.
  public var notes: [String] {
    data.notes + batchNotes + ClassMapping.notes(classes, of: subjects, on: SampleSet(data))
  }

  private func figures(_ value: Double) -> String {
    NumberText.significant(max(value, 0.001), digits: 3)
  }
}
