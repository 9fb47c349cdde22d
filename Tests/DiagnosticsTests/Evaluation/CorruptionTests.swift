import Glibc
import StrictJSON
import TestSupport
import Testing

@testable import Diagnostics

@Suite struct CorruptionTests {
  private func corrupted(
    _ kind: Corruption.Kind, _ severity: Int, _ image: [Double], side: Int, channels: Int = 1,
    id: String = "a", seed: UInt64 = 0
  ) -> [Double] {
    var image = image
    Corruption(kind, severity: severity).apply(
      to: &image, height: side, width: side, channels: channels, id: id, seed: seed)
    return image
  }

  private func isClose(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 }
  }

  @Test func smallCasesAreKnown() {
    let image = [0, 0.25, 0.5, 0.75]
    #expect(isClose(corrupted(.brightness, 3, image, side: 2), [0.3, 0.55, 0.8, 1]))
    // About the mean of 0.375.
    #expect(isClose(corrupted(.contrast, 4, image, side: 2), [0.3375, 0.3625, 0.3875, 0.4125]))
    let blocks = corrupted(.pixelate, 2, (0..<16).map { Double($0) / 16 }, side: 4)
    #expect(isClose(Array(blocks[0..<4]), [2.5, 2.5, 4.5, 4.5].map { $0 / 16 }))
    #expect(isClose(Array(blocks[12..<16]), [10.5, 10.5, 12.5, 12.5].map { $0 / 16 }))
    let colour = corrupted(.saturation, 3, [1, 0, 0], side: 1, channels: 3)
    #expect(isClose(colour, [0.299, 0.299, 0.299]))
    let loud = corrupted(.saturation, 4, [0.5, 0.4, 0.4], side: 1, channels: 3)
    let grey = 0.299 * 0.5 + 0.701 * 0.4
    #expect(
      isClose(loud, [grey + 3 * (0.5 - grey), grey + 3 * (0.4 - grey), grey + 3 * (0.4 - grey)]))
    // A square of 0.4 of ten pixels.
    let hidden = corrupted(.occlusion, 3, [Double](repeating: 1, count: 100), side: 10)
    #expect(hidden.count { $0 == 0.5 } == 16 && hidden.count { $0 == 1 } == 84)
  }

  @Test func aDiskOfDefocusKeepsTheSum() {
    let flat = [Double](repeating: 0.3, count: 1024)
    #expect(isClose(corrupted(.defocusBlur, 5, flat, side: 32), flat))
    var point = [Double](repeating: 0, count: 1024)
    point[16 * 32 + 16] = 1
    let disk = corrupted(.defocusBlur, 5, point, side: 32)
    #expect(abs(disk.reduce(0, +) - 1) < 1e-12)
    // A radius of 10/7 pixels and a rim that fades over one: 2.43 away there is nothing.
    #expect(disk[16 * 32 + 18] > 0 && disk[16 * 32 + 19] == 0 && disk[16 * 32 + 16] == disk.max())
  }

  /// A camera that moves keeps what is even, spreads a point along a line of its angle, and nothing beside it.
  @Test func aMovingCameraBlursAlongALine() {
    let flat = [Double](repeating: 0.3, count: 1024)
    #expect(isClose(corrupted(.motionBlur, 5, flat, side: 32), flat))
    var point = [Double](repeating: 0, count: 1024)
    point[16 * 32 + 16] = 1
    var image = point
    ImageBlur(height: 32, width: 32, channels: 1).line(&image, deviation: 1, angle: 0)
    let row = Array(image[(16 * 32)..<(17 * 32)])
    #expect(abs(row.reduce(0, +) - 1) < 1e-12 && abs(image.reduce(0, +) - 1) < 1e-12)
    // Halves between two pixels count for both: w₀ + w₁ at the middle, the normal weights at half steps.
    let weights = (-6...6).map { exp(-Double($0 * $0) / 8) }
    let sum = weights.reduce(0, +)
    #expect(abs(row[16] - (weights[6] + weights[5]) / sum) < 1e-12)
    #expect(abs(row[18] - (weights[10] + (weights[9] + weights[11]) / 2) / sum) < 1e-12)
    #expect(row[12] == 0 && row[20] == 0)
    let steep = corrupted(.motionBlur, 5, point, side: 32)
    #expect(abs(steep.reduce(0, +) - 1) < 1e-12 && steep.max() == steep[16 * 32 + 16])
  }

  /// Enlargements about the middle keep it, and shrink a slope by the mean of one over the factors.
  @Test func aCameraThatComesNearerShrinksSlopes() {
    let ramp = (0..<25).map { Double($0 % 5) / 10 }
    let zoomed = corrupted(.zoomBlur, 5, ramp, side: 5)
    var mean = 0.0
    for step in 0...10 {
      let factor: Double = 1 + 0.03 * Double(step)
      mean += 1 / factor / 11
    }
    let expected = (0..<25).map { (place: Int) -> Double in
      let column = Double(place % 5)
      return 0.2 + (column - 2) / 10 * mean
    }
    #expect(isClose(zoomed, expected))
  }

  /// The same samples as Pillow's, to the last bit.
  @Test func compressionIsThatOfPillow() throws {
    let folder = #filePath.dropLast("Evaluation/CorruptionTests.swift".count)
    let golden = try JSONValue(
      parsing: #require(Scratch.read(folder + "Fixtures/jpeg-round-trip.json")))
    func image(_ channels: Int) -> [Double] {
      (0..<17 * 13 * channels).map { (index: Int) -> Double in
        let (place, c) = (index / channels, index % channels)
        let (y, x) = (place / 13, place % 13)
        let sum: Int = 37 * y + 11 * x + 83 * c + x * y
        return Double(sum % 256) / 255
      }
    }
    for (name, channels) in [("rgb", 3), ("grey", 1)] {
      for (quality, severity) in [(25, 1), (7, 5)] {
        var found = image(channels)
        Corruption(.jpegCompression, severity: severity).apply(
          to: &found, height: 17, width: 13, channels: channels, id: "a", seed: 0)
        let values = try #require(golden["\(name) \(quality)"]?.arrayValue)
        let expected = values.compactMap { if case .integer(let v) = $0 { v } else { nil } }
        #expect(expected.count == 17 * 13 * channels)
        #expect(found.map { Int((255 * $0).rounded()) } == expected, "\(name) \(quality)")
      }
    }
    // Other numbers of channels are compressed one by one; what is no number stays.
    var two = image(1).flatMap { [$0, $0] }
    two[0] = .nan
    JPEGCompression(quality: 25).apply(to: &two, height: 17, width: 13, channels: 2)
    var one = image(1)
    JPEGCompression(quality: 25).apply(to: &one, height: 17, width: 13, channels: 1)
    #expect(two[0].isNaN && (0..<221).allSatisfy { two[2 * $0 + 1] == one[$0] })
  }

  /// Means and variances within five standard errors of what the law says.
  @Test func noiseHasItsLaw() {
    let count = 128 * 128
    let image = [Double](repeating: 0.5, count: count)
    func moments(_ values: [Double]) -> (mean: Double, variance: Double) {
      let mean = values.reduce(0, +) / Double(count)
      return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count))
    }
    let n = Double(count)
    let gauss = moments(corrupted(.gaussianNoise, 2, image, side: 128))
    #expect(abs(gauss.mean - 0.5) < 5 * 0.12 / n.squareRoot())
    #expect(abs(gauss.variance - 0.0144) < 5 * 0.0144 * (2 / n).squareRoot() + 1e-5)
    let shot = moments(corrupted(.shotNoise, 1, image, side: 128))
    #expect(abs(shot.mean - 0.5) < 5 * (0.5 / 60 / n).squareRoot())
    #expect(abs(shot.variance - 0.5 / 60) < 0.05 * 0.5 / 60)
    let salted = corrupted(.impulseNoise, 4, image, side: 128)
    for end in [0.0, 1.0] {
      let share = Double(salted.count { $0 == end }) / n
      #expect(abs(share - 0.085) < 5 * (0.085 * 0.915 / n).squareRoot())
    }
    #expect(Corruption.poisson(3, 0) == 0 && Corruption.poisson(0, 0.999) == 0)
    // P(X <= 2) of a mean of 2 is 5 e⁻² = 0.6767.
    #expect(Corruption.poisson(2, 0.676) == 2 && Corruption.poisson(2, 0.677) == 3)
  }

  @Test(arguments: Corruption.Kind.allCases)
  func corruptionsAreTheirImages(kind: Corruption.Kind) {
    let image = (0..<768).map { Double(($0 * 37) % 256) / 255 }
    var sizes: [Double] = []
    for severity in 1...5 {
      let once = corrupted(kind, severity, image, side: 16, channels: 3)
      #expect(once.allSatisfy { (0...1).contains($0) })
      #expect(corrupted(kind, severity, image, side: 16, channels: 3) == once)
      sizes.append(zip(once, image).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) })
      let isRandom = [
        .gaussianNoise, .shotNoise, .impulseNoise, .motionBlur, .occlusion,
      ].contains(kind)
      let other = corrupted(kind, severity, image, side: 16, channels: 3, id: "b")
      let seeded = corrupted(kind, severity, image, side: 16, channels: 3, seed: 9)
      #expect((other != once) == isRandom && (seeded != once) == isRandom)
    }
    // The more severe, the farther; saturation goes down and then up.
    #expect(kind == .saturation || sizes == sizes.sorted(), "\(sizes)")
    #expect(sizes[0] > 0)
  }
}
