import Glibc
import Tensors
import Testing

@testable import Diagnostics

@Suite struct FourierBasisTests {
  /// `|X(ky, kx)|²` in Float64.
  private func power(_ x: [Double], _ side: Int, _ ky: Int, _ kx: Int) -> Double {
    var (re, im) = (0.0, 0.0)
    for place in x.indices {
      let phase =
        2 * Double.pi * Double(ky * (place / side) + kx * (place % side)) / Double(side)
      re += x[place] * cos(phase)
      im -= x[place] * sin(phase)
    }
    return re * re + im * im
  }

  /// Waves have length 1, and no power but at their frequency and its conjugate.
  @Test(arguments: [8, 7])
  func wavesAreOfOneFrequency(side: Int) {
    let noise = FourierBasisNoise()
    let half = (side - 1) / 2
    for frequency in FourierBasisNoise.frequencies(size: 2 * half + 1) {
      let wave = noise.wave(frequency, side: side)
      #expect(abs(wave.reduce(0) { $0 + $1 * $1 } - 1) < 1e-12)
      var elsewhere = 0.0
      for ky in -half...half {
        for kx in -half...half {
          let isOwn =
            (ky, kx) == (frequency.ky, frequency.kx) || (ky, kx) == (-frequency.ky, -frequency.kx)
          if !isOwn { elsewhere += power(wave, side, ky, kx) }
        }
      }
      #expect(elsewhere < 1e-20, "\(frequency)")
    }
  }

  /// One of each conjugate pair, and the constant.
  @Test func halfOfThePlaneIsLookedAt() {
    let all = FourierBasisNoise.frequencies(size: 5)
    #expect(all.count == 13 && Set(all).count == 13)
    #expect(all.allSatisfy { $0.ky > 0 || ($0.ky == 0 && $0.kx >= 0) })
    #expect(FourierBasisNoise.frequencies(size: 1) == [.init(ky: 0, kx: 0)])
  }

  /// Of three channels, each has the length or all together; samples were divided by their deviations.
  @Test func lengthsAreThoseAskedFor() {
    let (side, deviations) = (8, [0.5, 0.25, 1])
    for (scale, expected) in [
      (FourierBasisNoise.Scale.channel, 2.0), (.image, 2 / 3.0.squareRoot()),
    ] {
      var noise = FourierBasisNoise()
      (noise.length, noise.scale) = (2, scale)
      let wave = noise.wave(.init(ky: 1, kx: -2), side: side)
      var image = [Float](repeating: 0, count: side * side * 3)
      let square = image.withUnsafeMutableBufferPointer {
        noise.add(wave, to: $0, id: "a", deviations: deviations)
      }
      var total = 0.0
      for channel in 0..<3 {
        let own = stride(from: channel, to: image.count, by: 3).map { Double(image[$0]) }
        let length = own.reduce(0) { $0 + $1 * $1 }.squareRoot() * deviations[channel]
        #expect(abs(length - expected) < 1e-6)
        total += own.reduce(0) { $0 + $1 * $1 }
      }
      #expect(abs(square - total / Double(image.count)) < 1e-7)
    }
  }

  /// Rings hold all frequencies once; the gradient that is a wave has all its power in the wave's ring.
  @Test(arguments: [8, 7])
  func spectraOfWavesAreInTheirRing(side: Int) {
    let spectrum = GradientSpectrum(side: side)
    let counts = (0..<spectrum.ringCount).map(spectrum.frequencies)
    #expect(counts.reduce(0, +) == side * side && counts[0] == 1 && counts[1] == 8)
    let waves = [(0, 0), (1, -3), (2, 1)].map {
      FourierBasisNoise().wave(.init(ky: $0.0, kx: $0.1), side: side)
    }
    // An image of each wave in one of two channels, and one without a gradient.
    let values =
      waves.flatMap { wave in wave.flatMap { [Float(3 * $0), 0] } }
      + [Float](repeating: 0, count: 2 * side * side)
    let measures = spectrum.measures(Tensor(values, shape: [4, side, side, 2]))
    #expect(measures.count == GradientSpectrum.measureCount(side: side) && measures[0] == 3)
    // Of each image the mean square is 9 over its values.
    #expect(abs(measures[1] - 27 / Double(2 * side * side)) < 1e-6)
    let shares = measures[2..<(2 + spectrum.ringCount)]
    for (share, expected) in zip(shares, [1.0, 0, 1, 1]) { #expect(abs(share - expected) < 1e-5) }
    let mean = MeanGradientSpectrum([measures, measures], spectrum)
    #expect(mean.images == 6 && abs((mean.rings[3].share ?? 0) - 1 / 3.0) < 1e-5)
    #expect(mean.rings[3].frequency == 6 / Double(side))
    // White noise of any size has 1 everywhere.
    let even = [1, 1] + counts.map { Double($0) / Double(side * side) }
    let white = MeanGradientSpectrum([even + counts.map { _ in 0.0 }], spectrum)
    #expect(white.rings.allSatisfy { abs(($0.overWhite ?? 0) - 1) < 1e-12 && $0.interval == nil })
    #expect(MeanGradientSpectrum([], spectrum).rings.allSatisfy { $0.share == nil })
  }
}
