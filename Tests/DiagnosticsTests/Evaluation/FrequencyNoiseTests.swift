import StrictJSON
import TestSupport
import Testing

@testable import Diagnostics

@Suite struct FrequencyNoiseTests {
  private func noise(_ change: (inout FrequencyNoise) -> Void = { _ in }) -> FrequencyNoise {
    var noise = FrequencyNoise()
    change(&noise)
    return noise
  }

  /// Against the authors' way in float64: transform, roll, mask, roll back, real part.
  @Test func ringsAreThoseOfTheReference() throws {
    let folder = #filePath.dropLast("Evaluation/FrequencyNoiseTests.swift".count)
    let golden = try JSONValue(
      parsing: #require(Scratch.read(folder + "Fixtures/frequency-noise.json")))
    let pattern = (0..<256).map { (i: Int) -> Double in
      let remainder = (7 * i * i + 3 * i) % 11
      return Double(remainder) / 5 - 1
    }
    for (mask, frequency) in [
      (FrequencyNoise.Mask.hdvw, 0.3), (.hdvw, 0.9), (.symmetric, 0.5),
    ] {
      let noise = noise { $0.mask = mask }
      let values = try #require(golden["\(mask.rawValue) \(frequency)"]?.arrayValue)
      let expected = values.compactMap { if case .real(let value) = $0 { value } else { nil } }
      #expect(expected.count == 256)
      let ring = noise.ring(frequency, side: 16)
      var alone = pattern
      noise.filter(&alone, by: ring, side: 16, channels: 1)
      #expect(zip(alone, expected).allSatisfy { abs($0 - $1) < 1e-6 }, "\(mask) \(frequency)")
      // Channels do not see each other.
      var both = pattern.flatMap { (value: Double) -> [Double] in [value, 1 - 2 * value] }
      noise.filter(&both, by: ring, side: 16, channels: 2)
      #expect((0..<256).allSatisfy { abs(both[2 * $0] - alone[$0]) < 1e-6 })
      #expect((0..<256).allSatisfy { abs(both[2 * $0 + 1] + 2 * alone[$0]) < 2e-6 })
    }
  }

  /// At 224 pixels: the widths and the share of frequencies. In the first ring 86 of 1232 frequencies have no
  /// counterpart, so that half of their power is left out: an imaginary part of 19 % of the real one.
  @Test func ringsHaveTheirShareOfFrequencies() {
    let noise = noise()
    let known = [(0.1, 4, 18), (0.3, 26, 40), (0.5, 48, 63), (0.7, 71, 85), (0.9, 93, 107)]
    for (frequency, inner, outer) in known {
      let widths = noise.widths(frequency, side: 224)
      #expect(widths.inner == 2 * inner && widths.outer == 2 * outer)
      let sum = noise.ring(frequency, side: 224).reduce(0, +)
      #expect(sum == Double(4 * (outer * outer - inner * inner)))
    }
    let squares = noise.ring(0.1, side: 224).reduce(0) { $0 + $1 * $1 }
    #expect(squares == 1232 - 86 / 2)
    #expect(abs(((1232 - squares) / squares).squareRoot() - 0.19) < 5e-4)
    // Beyond the highest frequency there is nothing to hold.
    #expect(noise.widths(1, side: 224).outer == 224 && noise.widths(0, side: 224).inner == 0)
  }

  @Test(arguments: FrequencyNoise.Mask.allCases, [16, 15])
  func ringsAreSymmetric(mask: FrequencyNoise.Mask, side: Int) {
    let noise = noise { $0.mask = mask }
    let ring = noise.ring(0.4, side: side)
    #expect(ring.contains { $0 > 0 } && ring.allSatisfy { (0...1).contains($0) })
    for y in 0..<side {
      for x in 0..<side {
        #expect(ring[y * side + x] == ring[(side - y) % side * side + (side - x) % side])
      }
    }
    // A ring of everything leaves the noise as it is.
    let all = self.noise {
      $0.mask = mask
      $0.halfWidth = 9
    }
    #expect(all.ring(0.5, side: 16).allSatisfy { $0 == 1 })
    var values = all.white(id: "a", side: 16, channels: 3)
    let before = values
    all.filter(&values, by: all.ring(0.5, side: 16), side: 16, channels: 3)
    #expect(zip(values, before).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  private func added(
    _ noise: FrequencyNoise, _ frequency: Double, id: String = "a", to value: Float = 0
  ) -> (values: [Float], square: Double) {
    var image = [Float](repeating: value, count: 32 * 32 * 3)
    let square = image.withUnsafeMutableBufferPointer {
      noise.add(noise.ring(frequency, side: 32), to: $0, id: id, side: 32, channels: 3)
    }
    return (image, square)
  }

  @Test func noiseIsItsImages() {
    let plain = noise()
    let (values, square) = added(plain, 0.5)
    let measured = values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)
    #expect(abs(measured - square) < 1e-6 * square)
    #expect(added(plain, 0.5).values == values)
    #expect(added(plain, 0.5, id: "b").values != values)
    #expect(added(noise { $0.seed = 1 }, 0.5).values != values)
    // White noise of one size, or normal; the law of large numbers within four standard errors.
    #expect(plain.white(id: "a", side: 32, channels: 3).allSatisfy { abs($0) == 0.7 })
    let normal = noise { $0.isSign = false }.white(id: "a", side: 32, channels: 3)
    let variance = normal.reduce(0) { $0 + $1 * $1 } / 3072
    #expect(abs(variance - 0.49) < 4 * 0.49 * (2.0 / 3072).squareRoot())
    let expected = 0.49 * plain.ring(0.5, side: 32).reduce(0) { $0 + $1 * $1 } / 1024
    #expect(abs(square - expected) < 0.15 * expected)
    let scaled = added(noise { $0.renormalization = .rms }, 0.5)
    let size = scaled.values.reduce(0) { $0 + Double($1) * Double($1) } / 3072
    #expect(abs(size - 0.49) < 1e-6 && abs(scaled.square - 0.49) < 1e-12)
    let none = added(noise { $0.amplitude = 0 }, 0.5, to: 0.25)
    #expect(none.square == 0 && none.values.allSatisfy { $0 == 0.25 })
  }
}
