import Diagnostics
import Glibc
import Reports
import Synchronization
import Tensors

/// Accuracy, likelihood and calibration of logits: they prove that the weights were loaded right.
public struct ClassificationMetrics: Sendable, Hashable {
  /// Images with a label.
  public var count = 0
  /// Hits within the first and the first five classes.
  public var hits = 0
  public var topFive = 0
  /// Sum of negative log-likelihoods (nats).
  public var negativeLogLikelihood = 0.0
  /// Ten bins `(a, b]` of confidence: images, hits, and the sum of confidences (Guo et al. 2017).
  private var bins = [Bin](repeating: Bin(), count: 10)
  /// Images whose logits are not finite.
  private(set) var nonfinite = 0

  private struct Bin: Sendable, Hashable {
    var count = 0
    var hits = 0
    var confidence = 0.0
  }

  /// Metrics of no image.
  public init() {}

  /// Takes in one image.
  ///
  /// - Precondition: `label` is a place in `logits`.
  public mutating func add(_ logits: some Collection<Float>, label: Int) {
    let values = logits.map(Double.init)
    guard values.allSatisfy(\.isFinite), let top = values.max() else {
      nonfinite += 1
      return
    }
    let exponentials = values.map { exp($0 - top) }
    let sum = exponentials.reduce(0, +)
    count += 1
    let own = values[label]
    // Ties go to the earlier class, as PyTorch's topk does on a CPU.
    let rank = values.enumerated().count { $1 > own || ($1 == own && $0 < label) }
    if rank == 0 { hits += 1 }
    if rank < 5 { topFive += 1 }
    negativeLogLikelihood += log(sum) - (own - top)
    let confidence = 1 / sum
    let bin = max(0, min(9, Int((confidence * 10).rounded(.up)) - 1))
    bins[bin].count += 1
    bins[bin].hits += rank == 0 ? 1 : 0
    bins[bin].confidence += confidence
  }

  /// The sums of both.
  public static func + (a: Self, b: Self) -> Self {
    var sum = a
    sum.count += b.count
    sum.hits += b.hits
    sum.topFive += b.topFive
    sum.negativeLogLikelihood += b.negativeLogLikelihood
    sum.nonfinite += b.nonfinite
    for index in sum.bins.indices {
      sum.bins[index].count += b.bins[index].count
      sum.bins[index].hits += b.bins[index].hits
      sum.bins[index].confidence += b.bins[index].confidence
    }
    return sum
  }

  /// Expected calibration error over ten equal bins, in 0...1.
  public var calibrationError: Double? {
    guard count > 0 else { return nil }
    return bins.reduce(0) { $0 + abs(Double($1.hits) - $1.confidence) } / Double(count)
  }

  /// Gathers the metrics of each minibatch, to be added in batch order.
  final class Collector: Sendable {
    private struct Key: Hashable {
      let subject: Int
      let batch: Int
    }
    private struct State {
      var parts: [Key: ClassificationMetrics] = [:]
      /// Subjects whose head has fewer classes than the labels ask for.
      var mismatched: [Int: Int] = [:]
      var classes: [Int: Int] = [:]
    }
    private let state = Mutex(State())

    func add(_ logits: Tensor, labels: [Int?], subject: Int, batch: Int) {
      let classes = logits.shape.last
      var metrics = ClassificationMetrics()
      var largest = -1
      logits.withValues { values in
        for (row, label) in labels.enumerated() {
          guard let label, label >= 0 else { continue }
          largest = max(largest, label)
          guard label < classes else { continue }
          metrics.add(values[(row * classes)..<((row + 1) * classes)], label: label)
        }
      }
      guard largest >= 0 else { return }
      state.withLock { state in
        state.parts[Key(subject: subject, batch: batch)] = metrics
        state.classes[subject] = classes
        if largest >= classes {
          state.mismatched[subject] = max(largest, state.mismatched[subject] ?? 0)
        }
      }
    }

    /// `metrics.csv`, or nil where no image had a label.
    func report(labels: [String]) -> Report? {
      let state = state.withLock { $0 }
      guard !state.parts.isEmpty else { return nil }
      var table = Table(
        "metrics",
        columns: [
          .text("model"), .integer("n"), .real("acc"), .real("top5"), .real("nll"), .real("ece"),
          .text("status"),
        ])
      var notes: [String] = []
      for (index, label) in labels.enumerated() {
        let parts = state.parts.filter { $0.key.subject == index }
          .sorted { $0.key.batch < $1.key.batch }
        guard !parts.isEmpty else { continue }
        let sum = parts.reduce(ClassificationMetrics()) { $0 + $1.value }
        if let largest = state.mismatched[index] {
          notes.append(
            "\(label): labels go up to \(largest), but its head has "
              + "\(state.classes[index] ?? 0) classes: no metrics")
          table.append([.text(label), 0, .empty, .empty, .empty, .empty, "class_mismatch"])
          continue
        }
        let n = Double(sum.count)
        let known = sum.count > 0
        table.append([
          .text(label), .integer(sum.count), Cell(known ? Double(sum.hits) / n : nil),
          Cell(known && (state.classes[index] ?? 0) > 5 ? Double(sum.topFive) / n : nil),
          Cell(known ? sum.negativeLogLikelihood / n : nil), Cell(sum.calibrationError),
          .text(sum.nonfinite > 0 ? "nan_input" : "ok"),
        ])
      }
      return Report(tables: [table], figures: [], summary: table, notes: notes)
    }
  }
}
