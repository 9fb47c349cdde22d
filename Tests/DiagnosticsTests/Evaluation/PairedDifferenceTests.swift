import Testing

@testable import Diagnostics

@Suite struct PairedDifferenceTests {
  private func scores(_ hits: [Int], _ losses: [Double]) -> ImageScores {
    ImageScores(losses: losses, hits: hits.map { $0 == 1 })
  }

  /// Ten images, three of which become wrong and one right; the interval is that of a table with half an
  /// image more in each of its four cells.
  @Test func differencesAreThoseOfTheTable() throws {
    let before = scores([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    let after = scores([1, 1, 1, 0, 0, 0, 1, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 20])
    let found = try #require(PairedDifference(from: before, to: after))
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
    let found = try #require(PairedDifference(from: same, to: same))
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
    #expect(PairedDifference(from: fine, to: scores([1, 0], [1, .nan])) == nil)
    #expect(PairedDifference(from: scores([], []), to: scores([], [])) == nil)
    #expect(scores([1], [.nan]).accuracy == nil && scores([1], [.nan]).loss == nil)
    #expect(!scores([1], [-1]).isValid(images: 1) && !scores([1], [1]).isValid(images: 0))
    #expect(scores([1], [.nan]).isValid(images: 1))
    // A single image has no error.
    let one = PairedDifference(from: scores([1], [1]), to: scores([0], [3]))
    #expect(one?.accuracy.value == -100 && one?.loss.value == 2 && one?.loss.interval == nil)
  }
}
