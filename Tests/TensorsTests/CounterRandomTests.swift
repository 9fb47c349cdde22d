import Testing

@testable import Tensors

/// Known answers of the Random123 distribution (`kat_vectors`, philox4x32, 10 rounds).
private let knownAnswers: [(SIMD4<UInt32>, SIMD2<UInt32>, SIMD4<UInt32>)] = [
  (
    SIMD4(repeating: 0), SIMD2(repeating: 0),
    SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
  ),
  (
    SIMD4(repeating: 0xffff_ffff), SIMD2(repeating: 0xffff_ffff),
    SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
  ),
  (
    SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), SIMD2(0xa409_3822, 0x299f_31d0),
    SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
  ),
]

@Suite struct CounterRandomTests {
  @Test func philoxGivesTheKnownAnswers() {
    for (counter, key, answer) in knownAnswers {
      #expect(CounterRandom.philox4x32(counter: counter, key: key) == answer)
    }
  }

  @Test(arguments: [0, 1, 2, 127, 128, 129, 1000])
  func vectorsHoldTheNumbersOfTheirIndices(count: Int) {
    let random = CounterRandom(seed: 7, purpose: "test")
    #expect(random.normals(count) == (0..<count).map { random.normal(at: UInt64($0)) })
    #expect(random.signs(count) == (0..<count).map { random.sign(at: UInt64($0)) })
  }

  @Test func seedPurposeAndStreamAllMatter() {
    let all = [
      CounterRandom(seed: 1, purpose: "a"), CounterRandom(seed: 2, purpose: "a"),
      CounterRandom(seed: 1, purpose: "b"), CounterRandom(seed: 1, purpose: "a", stream: 1),
      CounterRandom(seed: 1 << 32, purpose: "a"),
    ].map { $0.bits(at: 5) }
    #expect(Set(all).count == all.count)
    #expect(
      CounterRandom(seed: 1, purpose: "a").bits(at: 5)
        == CounterRandom(seed: 1, purpose: "a").bits(at: 5))
  }

  @Test func momentsAreThoseOfTheDistributions() {
    let random = CounterRandom(seed: 3, purpose: "moments")
    let n = 40_000
    let normals = random.normals(n)
    func moment(_ x: [Double], _ power: Int) -> Double {
      x.reduce(0) { sum, x in sum + (0..<power).reduce(1.0) { p, _ in p * x } } / Double(n)
    }
    // Four standard errors of each moment: variances 1/n, 2/n, 15/n, 96/n.
    let se = 4 / Double(n).squareRoot()
    #expect(abs(moment(normals, 1)) < se)
    #expect(abs(moment(normals, 2) - 1) < se * 1.42)
    #expect(abs(moment(normals, 3)) < se * 3.9)
    #expect(abs(moment(normals, 4) - 3) < se * 9.8)
    #expect(abs(moment(random.signs(n), 1)) < se)
    let uniforms = (0..<n).map { random.uniform(at: UInt64($0)) }
    #expect(uniforms.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(moment(uniforms, 1) - 0.5) < se * 0.29)
    #expect(abs(moment(uniforms, 2) - 1 / 3) < se * 0.3)
    let dice = (0..<n).map { random.integer(below: 6, at: UInt64($0)) }
    for face in 0..<6 {
      // Variance of a count: n · 5/36.
      let count = dice.filter { $0 == face }.count
      #expect(abs(Double(count) - Double(n) / 6) < 4 * (Double(n) * 5 / 36).squareRoot())
    }
  }
}
