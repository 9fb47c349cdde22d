import Glibc
import Testing

@testable import VitProbe

/// Accuracy, likelihood and calibration of logits of which each is known.
@Suite struct ClassificationMetricsTests {
  private func metrics(_ images: [(logits: [Float], label: Int)]) -> ClassificationMetrics {
    var metrics = ClassificationMetrics()
    for image in images { metrics.add(image.logits, label: image.label) }
    return metrics
  }

  private func isNear(_ found: Double?, _ expected: Double) -> Bool {
    found.map { abs($0 - expected) < 1e-12 } ?? false
  }

  /// Of `classes` equal logits the confidence is 1 / classes: the upper edge of a bin, and of that bin.
  /// An image a little below the edge shares the bin, so that a hit and a miss make up for each other.
  @Test(arguments: [2, 5, 10])
  func aBinHoldsItsUpperEdge(_ classes: Int) {
    let even = [Float](repeating: 0, count: classes)
    let (edge, inside) = (1 / Double(classes), 1 / Double(classes) - 0.05)
    let others = [Float](repeating: Float(log((1 - inside) / 40)), count: 40)
    let both = metrics([(even, 0), ([Float(log(inside))] + others, 1)])
    #expect(abs((both.calibrationError ?? 0) - abs(1 - edge - inside) / 2) < 1e-6)
  }

  /// The image above the edge is in the next bin: nothing makes up for anything.
  @Test func aBinDoesNotHoldItsLowerEdge() {
    // Confidences 1 / 2, a miss, and 4 / 7, a hit.
    let both = metrics([([0, 0], 1), ([Float(log(4.0)), 0, 0, 0], 0)])
    #expect(abs((both.calibrationError ?? 0) - (0.5 + 3.0 / 7) / 2) < 1e-7)
  }

  @Test func fullConfidenceIsInTheLastBin() {
    let both = metrics([([200, 0], 0), ([200, 0], 1)])
    #expect(isNear(both.calibrationError, 0.5))
    #expect(isNear(metrics([([200, 0], 0)]).calibrationError, 0))
    #expect(isNear(metrics([([200, 0], 1)]).calibrationError, 1))
    #expect(metrics([]).calibrationError == nil)
  }

  /// A label's rank is the number of classes before it: larger ones, and equal ones of a lower number.
  @Test func theFirstFiveRanksCount() {
    let logits: [Float] = [9, 8, 7, 6, 5, 5, 1]
    for label in logits.indices {
      let one = metrics([(logits, label)])
      #expect(one.count == 1)
      #expect(one.hits == (label == 0 ? 1 : 0))
      #expect(one.topFive == (label < 5 ? 1 : 0), "\(label)")
    }
    let all = metrics(logits.indices.map { (logits, $0) })
    #expect(all.hits == 1 && all.topFive == 5 && all.count == 7)
  }

  /// 100 images of 10 classes: a guess hits 10, with a deviation of 3.
  @Test func aGuessIsAtChance() {
    func isAtChance(_ hits: Int?, of images: Int, classes: Int) -> Bool {
      ClassificationMetrics.chance(hits: hits, of: images, classes: classes, label: "m") != nil
    }
    #expect(isAtChance(0, of: 100, classes: 10))
    #expect(isAtChance(16, of: 100, classes: 10))
    #expect(!isAtChance(17, of: 100, classes: 10))
    #expect(!isAtChance(0, of: 15, classes: 10))
    #expect(isAtChance(0, of: 16, classes: 1000))
    #expect(!isAtChance(1, of: 16, classes: 1000))
    // Of two classes, few images cannot tell a guess from half of a network's hits.
    #expect(!isAtChance(8, of: 16, classes: 2))
    #expect(!isAtChance(nil, of: 100, classes: 10))
  }

  /// The table's numbers: two of three right, one of them only among five, a calibration of bins.
  @Test func theTableHoldsWhatWasCounted() throws {
    let even = [Float](repeating: 0, count: 10)
    let parts = [
      metrics([(even, 0), (even, 4)]), metrics([(even, 5)]),
    ]
    let sum = parts[0] + parts[1]
    #expect(sum.count == 3 && sum.hits == 1 && sum.topFive == 2)
    // One bin: one hit, confidences of 0.3 in all.
    #expect(isNear(sum.calibrationError, 0.7 / 3))
    #expect(isNear(sum.negativeLogLikelihood, 3 * log(10.0)))
  }
}
