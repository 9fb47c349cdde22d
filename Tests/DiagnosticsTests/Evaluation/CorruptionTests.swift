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
      let isRandom = [.gaussianNoise, .shotNoise, .impulseNoise, .occlusion].contains(kind)
      let other = corrupted(kind, severity, image, side: 16, channels: 3, id: "b")
      let seeded = corrupted(kind, severity, image, side: 16, channels: 3, seed: 9)
      #expect((other != once) == isRandom && (seeded != once) == isRandom)
    }
    // The more severe, the farther; saturation goes down and then up.
    #expect(kind == .saturation || sizes == sizes.sorted(), "\(sizes)")
    #expect(sizes[0] > 0)
  }
}
