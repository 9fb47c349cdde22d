import Models
import Tensors

/// Where NaN or an infinity first appears in the pass of a minibatch through a subject.
struct NonfiniteValue: Sendable, Codable, Equatable {
  /// The subject's place in the run.
  let subject: Int
  /// The layer; the first in the order of the pass among those that are looked at.
  let layer: String
  /// The name of the first sample of the minibatch that has it there.
  let sample: String
  /// `nan`, `inf` or `-inf`.
  let value: String

  /// - Parameters:
  ///   - value: a value `[N, ...]` of `layer`.
  ///   - samples: the names of its N samples.
  init?(in value: Tensor, subject: Int, layer: String, samples: [String]) {
    guard let found = value.firstNonfinite, !samples.isEmpty else { return nil }
    self.subject = subject
    self.layer = layer
    sample =
      samples[min(found.place / max(1, value.shape.count / samples.count), samples.count - 1)]
    self.value = found.value.isNaN ? "nan" : found.value > 0 ? "inf" : "-inf"
  }

  /// A remark for each subject that has one, in order.
  ///
  /// - Parameters:
  ///   - values: of all minibatches, in batch order.
  ///   - labels: the names of the subjects.
  static func notes(_ values: [(batch: Int, value: NonfiniteValue)], labels: [String]) -> [String] {
    labels.enumerated().compactMap { index, label in
      let own = values.filter { $0.value.subject == index }
      guard let first = own.first else { return nil }
      let batches = own.count == 1 ? "" : " (and in \(own.count - 1) more minibatch(es))"
      return "\(label): \(first.value.value) appears first in layer \(first.value.layer) at "
        + "\(first.value.sample), minibatch \(first.batch)\(batches); cells that depend on such "
        + "values are empty with the status nan_input"
    }
  }
}

extension Network {
  /// A remark on weights that are NaN or infinite; nil if all are finite.
  var nonfiniteNote: String? {
    var first: (name: String, value: Float)?
    var count = 0
    for parameter in parameters {
      guard let found = parameter.tensor.firstNonfinite else { continue }
      count += 1
      if first == nil { first = (parameter.specification.name, found.value) }
    }
    return first.map { name, value in
      "weights that are not finite: \(value) in \(name)"
        + (count > 1 ? " and in \(count - 1) more tensor(s)" : "")
    }
  }
}
