import Diagnostics
import Glibc
import Reports
import Tensors
import Testing

/// Spectra that are known in closed form.
@Suite struct FourierKnownAnswersTests {
  private func analyzer(_ variant: FourierSettings.Variant = .diag) -> FourierAnalyzer {
    var settings = FourierSettings()
    settings.variant = variant
    return FourierAnalyzer(settings)
  }

  private func study(
    _ n: Int, images: Int = 1, channels: Int = 1, _ value: (_ i: Int, _ j: Int) -> Double
  ) -> FeatureStudy {
    var study = FeatureStudy([images])
    var map: [Float] = []
    for i in 0..<n {
      for j in 0..<n { map += [Float](repeating: Float(value(i, j)), count: channels) }
    }
    let all = (0..<images).flatMap { _ in map }
    study.add("a", [.maps("m", all, n, n, channels)])
    return study
  }

  private func deltas(
    _ study: FeatureStudy, _ variant: FourierSettings.Variant = .diag
  ) throws -> [Double?] {
    try study.report(analyzer(variant)).reals("delta_log_amp", of: "fourier")
  }

  @Test(arguments: [2, 7, 8, 14])
  func constantMaps(_ n: Int) throws {
    let values = try deltas(study(n) { _, _ in 3 })
    #expect(values.count == (n + 1) / 2 && values[0] == 0)
    // With the first value taken out there is nothing left, not even rounding.
    let expected = log(1e-6) - log(3 * Double(n * n) + 1e-6)
    for value in values.dropFirst() { #expect(agrees(value, expected, 1e-6)) }
    if n == 14 { #expect(agrees(values[1], -20.192237507563583, 1e-6)) }
  }

  @Test(arguments: FourierSettings.Variant.allCases)
  func impulsesAreFlat(_ variant: FourierSettings.Variant) throws {
    for place in [0, 1, 5] {
      let values = try deltas(study(8) { i, j in i * 8 + j == place ? 1 : 0 }, variant)
      for value in values { #expect(abs(try #require(value)) < 1e-6) }
    }
  }

  @Test(arguments: [(14, 3), (14, 1), (7, 2), (16, 7)])
  func diagonalWavesHaveOneBin(_ n: Int, _ k: Int) throws {
    let waves = study(n) { i, j in cos(2 * .pi * Double(k * (i + j)) / Double(n)) }
    let levels = try waves.report(analyzer()).reals("log_amp", of: "fourier")
    for (bin, level) in levels.enumerated() {
      let amplitude = exp(try #require(level)) - 1e-6
      #expect(abs(amplitude - (bin == k ? Double(n * n) / 2 : 0)) < 2e-4)
    }
  }

  /// White noise: (log 2) / 2 above the constant part in the mean of logarithms, level in the mean power.
  @Test func whiteNoise() throws {
    let (n, channels, images) = (14, 64, 64)
    var study = FeatureStudy([images])
    study.add(
      "a", [.maps("m", normals(images * n * n * channels, "white"), n, n, channels)])
    let maps = Double(images * channels)
    let error = ((Double.pi * Double.pi / 24 + .pi * .pi / 8) / maps).squareRoot()
    let report = try study.report(analyzer())
    for value in report.reals("delta_log_amp", of: "fourier").dropFirst() {
      #expect(abs(try #require(value) - log(2) / 2) < 4 * error)
    }
    // Channels are independent here, so that the error over images is the same.
    for value in report.reals("delta_se", of: "fourier").dropFirst() {
      #expect(abs(try #require(value) / error - 1) < 0.4)
    }
    let power = try study.report(analyzer(.power))
    let errors = power.reals("delta_se", of: "fourier")
    for (k, value) in power.reals("delta_log_amp", of: "fourier").enumerated().dropFirst() {
      // Powers: relative variance 2 of the constant bin, 1 of the others.
      let expected = 0.5 * (3 / maps).squareRoot()
      #expect(abs(try #require(value)) < 4 * expected)
      #expect(abs(try #require(errors[k]) / expected - 1) < 0.4)
    }
    // The last ring holds a few real bins, which lie lower.
    for value in try deltas(study, .radial).dropFirst() {
      #expect(abs(try #require(value) - log(2) / 2) < 4 * error + 0.02)
    }
  }

  @Test func circularBoxBlur() throws {
    let (n, channels) = (14, 8)
    let noise = normals(n * n * channels, "blur")
    func at(_ i: Int, _ j: Int, _ c: Int) -> Float { noise[((i % n) * n + j % n) * channels + c] }
    var blurred = noise
    for i in 0..<n {
      for j in 0..<n {
        for c in 0..<channels {
          blurred[(i * n + j) * channels + c] =
            (at(i, j, c) + at(i + 1, j, c) + at(i, j + 1, c) + at(i + 1, j + 1, c)) / 4
        }
      }
    }
    var study = FeatureStudy([1])
    study.add("a", [.maps("m", noise, n, n, channels), .maps("b", blurred, n, n, channels)])
    let values = try deltas(study)
    let expected = [0, -0.05078, -0.20857, -0.49223, -0.94485, -1.66996, -3.00547]
    for k in 0..<7 {
      let change = try #require(values[7 + k]) - #require(values[k])
      #expect(abs(change - expected[k]) < 2e-5)
    }
  }

  @Test(arguments: FourierSettings.Variant.allCases)
  func transposesAndRollsChangeNothing(_ variant: FourierSettings.Variant) throws {
    let n = 9
    let noise = normals(n * n, "roll")
    let plain = try deltas(study(n) { Double(noise[$0 * n + $1]) }, variant)
    let transposed = try deltas(study(n) { Double(noise[$1 * n + $0]) }, variant)
    let rolled = try deltas(study(n) { Double(noise[(($0 + 4) % n) * n + ($1 + 2) % n]) }, variant)
    for k in plain.indices {
      #expect(agrees(plain[k], transposed[k], 1e-5) && agrees(plain[k], rolled[k], 1e-5))
    }
  }

  @Test func frequenciesAreTrueAndStretched() throws {
    for (n, last) in [(14, 6.0 / 7), (8, 0.75), (7, 6.0 / 7)] {
      let report = try study(n) { Double($0 * $1) }.report(analyzer())
      let actual = report.reals("freq_true", of: "fourier")
      let stretched = report.reals("freq_plot", of: "fourier")
      #expect(actual.count == (n + 1) / 2 && actual[0] == 0 && stretched[0] == 0)
      #expect(agrees(actual[actual.count - 1], last, 1e-15))
      #expect(stretched[stretched.count - 1] == 1)
    }
    let rings = try study(14) { Double($0 * $1) }.report(analyzer(.radial))
    #expect(rings.reals("freq_true", of: "fourier").last == 1)
  }

  @Test func singlePlacesHaveNoFrequencies() throws {
    for n in [1, 2] {
      let report = try study(n, images: 2) { Double(1 + $0 + $1) }.report(analyzer())
      #expect(report.reals("delta_log_amp", of: "fourier") == [0])
      #expect(report.reals("freq_plot", of: "fourier") == [0])
      #expect(report.figures.isEmpty)
    }
  }

  @Test func deadMapsAreCounted() throws {
    var study = FeatureStudy([2])
    // Channel 1 is dead in both images, channel 2 in the second.
    var values: [Float] = []
    for image in 0..<2 {
      for place in 0..<16 {
        values += [Float(place + 1), 0, image == 0 ? Float(place % 3) : 0, 4]
      }
    }
    study.add("a", [.maps("m", values, 4, 4, 4)])
    let report = try study.report(analyzer())
    #expect(report.reals("dead_fraction", of: "fourier") == [0.375, 0.375])
    #expect(report.notes.contains { $0.contains("dead") })
  }
}
