import Diagnostics
import Glibc
import Reports
import Tensors

/// Accuracy, likelihood and calibration of logits: they prove that the weights were loaded right.
public struct ClassificationMetrics: Sendable, Hashable, Codable {
  /// Images with a label.
  public var count = 0
  /// Images whose class has the largest score.
  public var hits = 0
  /// Images whose class is among the five largest scores.
  public var topFive = 0
  /// Sum of negative log-likelihoods (nats).
  public var negativeLogLikelihood = 0.0
  /// Ten bins `(a, b]` of confidence: images, hits, and the sum of confidences (Guo et al. 2017).
  private var bins = [Bin](repeating: Bin(), count: 10)
  /// Images whose logits are not finite.
  private(set) var nonfinite = 0

  private struct Bin: Sendable, Hashable, Codable {
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

  /// What to say of a model where guessing among so many classes would hit as often: the hits are at most two
  /// standard deviations above those of a guess, and there are enough images for a trained network to stand
  /// out. Nil otherwise.
  ///
  /// - Parameter hits: nil where scores are not finite.
  static func chance(hits: Int?, of count: Int, classes: Int, label: String) -> String? {
    guard classes > 1, let hits else { return nil }
    let (n, share) = (Double(count), 1 / Double(classes))
    let limit = n * share + 2 * (n * share * (1 - share)).squareRoot()
    guard limit < n / 2 && count >= 16 && Double(hits) <= limit else { return nil }
    return
      "\(label): \(NumberText.significant(100 * Double(hits) / n, digits: 3)) % of \(count) images are "
      + "right, no more than a guess among \(classes) classes would be: weights, preprocessing or labels "
      + "do not fit, unless the network is untrained"
  }

  /// What one minibatch says of one model.
  struct Part: Sendable, Hashable, Codable {
    /// The place of the model among the subjects.
    let subject: Int
    let metrics: ClassificationMetrics
    /// The greatest label.
    let largest: Int
    /// Classes of the head.
    let classes: Int

    /// Nil where no image has a label.
    init?(_ logits: Tensor, labels: [Int?], subject: Int) {
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
      guard largest >= 0 else { return nil }
      self.subject = subject
      self.metrics = metrics
      self.largest = largest
      self.classes = classes
    }

    /// Whether a part that was read from a file has the form it needs.
    func isValid(subjects: Int) -> Bool {
      let counts = [metrics.count, metrics.hits, metrics.topFive, metrics.nonfinite]
      return subject >= 0 && subject < subjects && metrics.bins.count == 10
        && (counts + metrics.bins.flatMap { [$0.count, $0.hits] })
          .allSatisfy { (0...1 << 40).contains($0) }
    }
  }

  /// `metrics.csv`, or nil where no image had a label.
  ///
  /// - Parameters:
  ///   - parts: of all minibatches, in batch order.
  ///   - labels: the names of the models.
  ///   - data: what the images are called.
  ///   - classes: what labels mean to each model.
  static func report(
    _ all: [Part], labels: [String], on data: String, classes: [ClassMapping?]
  ) -> Report? {
    guard !all.isEmpty || classes.contains(where: { $0?.basis == .unmapped }) else { return nil }
    var table = Table(
      "metrics",
      columns: [
        .text("model"), .text("data"), .integer("n"), .real("acc"), .real("top5"), .real("nll"),
        .real("ece"),
        .text("status"),
      ])
    var notes: [String] = []
    for (index, label) in labels.enumerated() {
      let mapping = classes[index] ?? .numbers
      if mapping.basis == .unmapped {
        table.append([
          .text(label), .text(data), 0, .empty, .empty, .empty, .empty, .text(mapping.status),
        ])
        continue
      }
      let parts = all.filter { $0.subject == index }
      guard let classes = parts.first?.classes else { continue }
      let sum = parts.reduce(ClassificationMetrics()) { $0 + $1.metrics }
      if let largest = parts.map(\.largest).max(), largest >= classes {
        notes.append(
          "\(label): labels go up to \(largest), but its head has \(classes) classes: no metrics")
        table.append([
          .text(label), .text(data), 0, .empty, .empty, .empty, .empty, "class_mismatch",
        ])
        continue
      }
      let n = Double(sum.count)
      let chance = Self.chance(hits: sum.hits, of: sum.count, classes: classes, label: label)
      if let chance { notes.append(chance) }
      let known = sum.count > 0
      let own = sum.nonfinite > 0 ? "nan_input" : chance != nil ? "at_chance" : "ok"
      table.append([
        .text(label), .text(data), .integer(sum.count), Cell(known ? Double(sum.hits) / n : nil),
        Cell(known && classes > 5 ? Double(sum.topFive) / n : nil),
        Cell(known ? sum.negativeLogLikelihood / n : nil), Cell(sum.calibrationError),
        .text(mapping.status(beside: own)),
      ])
    }
    return Report(tables: [table], figures: [], summary: table, notes: notes)
  }
}
