import Testing

@testable import Diagnostics

/// Standard errors of numbers whose mean is large against their spread.
@Suite struct ImageMomentsTests {
  /// 12,000 numbers of mean `mean` that are `0.01` above and below it in turn: with the divisor `n - 1` the
  /// variance is `1e-4 n / (n - 1)`, and the error of the mean its root over that of `n`.
  @Test(arguments: [0, 1, 1e3, 1e6], [1, 7, 128])
  func theErrorDoesNotDependOnTheMean(mean: Double, batches: Int) throws {
    let count = 12_000
    let values = (0..<count).map { mean + ($0 % 2 == 0 ? 0.01 : -0.01) }
    var parts: [(count: Int, a: Double, b: Double, within: Double)] = []
    for batch in 0..<batches {
      let own = Array(values[(count * batch / batches)..<(count * (batch + 1) / batches)])
      let sum = own.reduce(0, +)
      let within = ImageMoments.codeviation(count: own.count, { own[$0] }, { own[$0] })
      parts.append((own.count, sum, sum, within))
    }
    let moments = ImageMoments(
      count: count, sum: parts.reduce(0) { $0 + $1.a },
      deviations: ImageMoments.codeviation(parts))
    let expected = 0.01 / Double(count - 1).squareRoot()
    let error = try #require(moments.standardError)
    #expect(abs(error - expected) <= 1e-7 * expected, "\(error), \(expected)")
    #expect(abs(moments.mean - mean) <= 1e-15 * max(1, mean) * Double(count))
  }

  /// Two numbers an image, joined over minibatches of unequal sizes, are as in one.
  @Test func codeviationsAreThoseOfAllImages() {
    let a = [1.0, 4, -2, 8, 0.5], b = [2.0, -1, 3, 5, 5]
    func part(_ range: Range<Int>) -> (count: Int, a: Double, b: Double, within: Double) {
      let (x, y) = (Array(a[range]), Array(b[range]))
      return (
        x.count, x.reduce(0, +), y.reduce(0, +),
        ImageMoments.codeviation(count: x.count, { x[$0] }, { y[$0] })
      )
    }
    // Means 2.3 and 2.8; the sum of products 34.5 less 5 * 2.3 * 2.8.
    let expected = 34.5 - 5 * 2.3 * 2.8
    for cuts in [[0, 5], [0, 1, 5], [0, 2, 3, 5], [0, 2, 2, 5]] {
      let joined = ImageMoments.codeviation(zip(cuts, cuts.dropFirst()).map { part($0..<$1) })
      #expect(abs(joined - expected) < 1e-12)
    }
  }
}
