import Testing

@testable import Diagnostics

@Suite struct PairedDifferenceTests {
  private func scores(_ hits: [Int], _ losses: [Double]) -> ImageScores {
    ImageScores(losses: losses, hits: hits.map { $0 == 1 })
  }

  private func difference(_ before: ImageScores, _ after: ImageScores) -> PairedDifference? {
    PairedDifference(ScoreSums(after, against: before))
  }

  /// Ten images, three of which become wrong and one right; the interval is that of a table with half an
  /// image more in each of its four cells.
  @Test func differencesAreThoseOfTheTable() throws {
    let before = scores([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    let after = scores([1, 1, 1, 0, 0, 0, 1, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 20])
    let found = try #require(difference(before, after))
    #expect(abs(found.accuracy.value + 20) < 1e-12)
    let half = 1.959963984540054 * (5 - 4.0 / 12).squareRoot() / 12
    let interval = try #require(found.accuracy.interval)
    #expect(abs(interval.lowerBound - 100 * (-2.0 / 12 - half)) < 1e-10)
    #expect(abs(interval.upperBound - 100 * (-2.0 / 12 + half)) < 1e-10)
    #expect(found.mcNemar == 0.625)
    // Nine differences of 0 and one of 10: mean 1, deviation √10, standard error 1.
    #expect(found.loss.value == 1)
    let loss = try #require(found.loss.interval)
    #expect(abs(loss.lowerBound - (1 - 1.959963984540054)) < 1e-12)
    #expect(abs(loss.upperBound - (1 + 1.959963984540054)) < 1e-12)
  }

  @Test func nothingThatChangesIsNoDifference() throws {
    let same = scores([1, 0, 1], [0.1, 2, 0.3])
    let found = try #require(difference(same, same))
    #expect(found.accuracy.value == 0 && found.loss.value == 0 && found.mcNemar == 1)
    let interval = try #require(found.accuracy.interval)
    #expect(interval.lowerBound == -interval.upperBound && interval.upperBound > 0)
    #expect(found.loss.interval == 0...0)
  }

  /// Against `scipy.stats.binomtest` (1.16).
  @Test func mcNemarIsExact() {
    let known: [(won: Int, lost: Int, p: Double)] = [
      (500, 600, 0.0028195449914364284), (17, 3, 0.0025768280029296875), (10, 0, 2.0 / 1024),
      (2, 2, 1), (0, 0, 1),
    ]
    for (won, lost, p) in known {
      #expect(abs(PairedDifference.exactTail(won, lost) - p) < 1e-12, "\(won) \(lost)")
    }
  }

  @Test func valuesThatAreNotFiniteHaveNoDifference() {
    let fine = scores([1, 0], [1, 2])
    let bad = scores([1, 0], [1, .nan])
    #expect(difference(fine, bad) == nil && difference(bad, fine) == nil)
    #expect(difference(scores([], []), scores([], [])) == nil)
    #expect(PairedDifference(ScoreSums(fine)) == nil)
    let one = ScoreSums(scores([1], [.nan]))
    #expect(one.accuracy == nil && one.loss == nil && one.hits == 0 && one.nonfinite == 1)
    #expect(one.isValid(images: 1, isCompared: false))
    for (wrong, images) in [(scores([1], [-1]), 1), (scores([1], [1]), 0)] {
      #expect(!ScoreSums(wrong).isValid(images: images, isCompared: false))
    }
    #expect(!ScoreSums(fine).isValid(images: 2, isCompared: true))
    #expect(ScoreSums(bad, against: fine).isValid(images: 2, isCompared: true))
    // A single image has no error.
    let single = difference(scores([1], [1]), scores([0], [3]))
    #expect(
      single?.accuracy.value == -100 && single?.loss.value == 2 && single?.loss.interval == nil)
  }

  /// Sums of minibatches are those of all images together, also where losses are large against their spread.
  @Test func minibatchesAddUp() throws {
    let before = (0..<40).map { Double($0 * $0 % 17) / 7 + 1e6 }
    let after = (0..<40).map { before[$0] + Double($0 * 5 % 11) / 3 }
    let (hits, others) = (
      (0..<40).map { $0 % 3 == 0 ? 1 : 0 }, (0..<40).map { $0 % 4 == 0 ? 1 : 0 }
    )
    func scores(_ range: Range<Int>, _ hits: [Int], _ losses: [Double]) -> ImageScores {
      self.scores(Array(hits[range]), Array(losses[range]))
    }
    func sums(_ range: Range<Int>) -> ScoreSums {
      var own = scores(range, others, after)
      own.inputChanges = range.map { Double($0) }
      return ScoreSums(own, against: scores(range, hits, before))
    }
    let whole = sums(0..<40)
    var parts = ScoreSums()
    for range in [0..<7, 7..<8, 8..<8, 8..<40] { parts.add(sums(range)) }
    #expect(parts.count == 40 && parts.hits == 10 && parts.accuracy == whole.accuracy)
    #expect(parts.inputChangeRMS == whole.inputChangeRMS)
    #expect(whole.inputChangeRMS == 19.5.squareRoot())
    for (a, b) in [(parts.loss, whole.loss), (parts.lossError, whole.lossError)] {
      #expect(abs((a ?? 0) - (b ?? 1)) < 1e-9)
    }
    // The standard error in two passes.
    let mean = after.reduce(0, +) / 40
    let squares = after.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    #expect(abs((whole.lossError ?? 0) - (squares / 39 / 40).squareRoot()) < 1e-12)
    let (one, other) = try (
      #require(PairedDifference(parts)), #require(PairedDifference(whole))
    )
    #expect(one.accuracy == other.accuracy && one.mcNemar == other.mcNemar)
    #expect(abs(one.loss.value - other.loss.value) < 1e-9)
    let (a, b) = try (#require(one.loss.interval), #require(other.loss.interval))
    #expect(abs(a.lowerBound - b.lowerBound) < 1e-9 && abs(a.upperBound - b.upperBound) < 1e-9)
  }
}
