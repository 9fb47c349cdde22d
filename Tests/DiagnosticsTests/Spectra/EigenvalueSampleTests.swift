import Testing

@testable import Diagnostics

@Suite struct EigenvalueSampleTests {
  let values = [-3.0, -1, 2, 4, 6, 0, 1.5, -0.25, 9, 12]

  @Test func proportionsAndMeansAreThoseOfTheRawSample() throws {
    let sample = try EigenvalueSample(values)
    let nep = try #require(sample.negativeProportion)
    #expect(nep.value == 0.3)
    // scipy.stats.binomtest(3, 10).proportion_ci(method="wilson")
    #expect(isClose(nep.interval.lowerBound, 0.10779126740630102, 1e-12))
    #expect(isClose(nep.interval.upperBound, 0.6032218525388546, 1e-12))
    #expect(isClose(try #require(sample.averagePositive), 34.5 / 6))
    #expect(isClose(try #require(sample.averageNegative), -4.25 / 3))
  }

  @Test func oneSidedAndEmptySamplesHaveNoGuesses() throws {
    let positive = try EigenvalueSample([1, 2, 3])
    #expect(positive.negativeProportion?.value == 0)
    #expect(positive.negativeProportion?.interval.lowerBound == 0)
    // z²/(n + z²)
    #expect(
      isClose(positive.negativeProportion?.interval.upperBound ?? 0, 3.8414588 / 6.8414588, 1e-7))
    #expect(positive.averageNegative == nil)
    #expect(try positive.density(.negative) == nil)
    #expect(try positive.histogram(.negative) == nil)
    let empty = try EigenvalueSample([])
    #expect(empty.negativeProportion == nil)
    #expect(empty.averagePositive == nil)
    #expect(throws: SpectrumError.nonFiniteValue(index: 1)) { try EigenvalueSample([1, .nan]) }
  }

  /// scipy.stats.gaussian_kde (scipy 1.17.1, Scott's factor) of the positive values, times their share of 0.6.
  @Test func densityIsThatOfScipy() throws {
    let sample = try EigenvalueSample(values)
    #expect(isClose(try #require(sample.scottBandwidth(.positive)), 2.8792186143590612, 1e-12))
    let density = try #require(try sample.density(.positive, points: 5))
    #expect(
      areClose(
        density.x,
        [0.0, 5.159413960769296, 10.318827921538592, 15.478241882307888, 20.637655843077184], 1e-12)
    )
    #expect(
      areClose(
        density.density,
        [
          0.029949039975861787, 0.04633759783541476, 0.03024580980982954, 0.007848400304859103,
          0.00015788667092337888,
        ], 1e-12))
  }

  @Test func densitiesOfBothSidesAddUpToTheSample() throws {
    let high = (0..<40).map { 100 + Double($0) }
    let far = high + (0..<10).map { -500 - 3 * Double($0) }
    let sample = try EigenvalueSample(far)
    var total = 0.0
    for side in EigenvalueSample.Side.allCases {
      let density = try #require(try sample.density(side, points: 4001))
      let mass = density.density.reduce(0, +) * (density.x[1] - density.x[0])
      #expect(isClose(mass, side == .positive ? 0.8 : 0.2, 2e-3))
      #expect(zip(density.x, density.x.dropFirst()).allSatisfy { $0 < $1 })
      #expect(density.x.allSatisfy { side == .positive ? $0 >= 0 : $0 <= 0 })
      total += mass
    }
    #expect(isClose(total, 1, 2e-3))
  }

  @Test func decadesSumUpToTheSampleAndScaleFreely() throws {
    let values = [1.0, 10, 100, 1000, 10, -0.01, -1, -3]
    let sample = try EigenvalueSample(values)
    for side in EigenvalueSample.Side.allCases {
      let density = try #require(try sample.decadeDensity(side, points: 2001))
      let mass = density.density.reduce(0, +) * (density.x[1] - density.x[0])
      #expect(isClose(mass, side == .positive ? 5.0 / 8 : 3.0 / 8, 5e-3))
      // A thousandfold spectrum is the same curve three decades further.
      let scaled = try EigenvalueSample(values.map { 1000 * $0 })
      let moved = try #require(try scaled.decadeDensity(side, points: 2001))
      #expect(areClose(moved.x.map { $0 - 3 }, density.x, 1e-9))
      #expect(areClose(moved.density, density.density, 1e-9))
    }
    #expect(try EigenvalueSample([5]).decadeDensity(.positive) == nil)
    #expect(try EigenvalueSample([5]).decadeDensity(.negative) == nil)
  }

  @Test func samplesWithoutSpreadHaveAHistogramOnly() throws {
    for values in [[0.1, 0.1, 0.1], [5.0], [1e-300], [1e300, 1e300]] {
      let sample = try EigenvalueSample(values)
      #expect(try sample.density(.positive) == nil)
      let histogram = try #require(try sample.histogram(.positive, bins: 4))
      #expect(histogram.counts == [0, 0, 0, values.count])
      #expect(histogram.density.allSatisfy { $0.isFinite })
    }
    let given = try #require(try EigenvalueSample([5]).density(.positive, bandwidth: 1))
    #expect(given.bandwidth == 1)
    #expect(throws: SpectrumError.self) {
      try EigenvalueSample([5]).density(.positive, bandwidth: 0)
    }
  }

  @Test func histogramsCountEveryValueOnce() throws {
    let sample = try EigenvalueSample(values)
    let positive = try #require(try sample.histogram(.positive, bins: 4))
    #expect(positive.edges == [0, 3, 6, 9, 12])
    #expect(positive.counts == [2, 1, 1, 2])
    #expect(areClose(positive.density, [2, 1, 1, 2].map { $0 / 30 }, 1e-15))
    let negative = try #require(try sample.histogram(.negative, bins: 3))
    #expect(negative.edges == [-3, -2, -1, 0])
    #expect(negative.counts == [1, 1, 1])
  }
}
