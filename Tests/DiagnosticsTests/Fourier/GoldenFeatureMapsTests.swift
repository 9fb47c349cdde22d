import Diagnostics
import Reports
import Testing

/// Features of a ViT and a ResNet against NumPy's evaluation of the notebooks' recipes
/// (Fixtures/feature_maps.py).
@Suite struct GoldenFeatureMapsTests {
  private struct Golden {
    var layer: FeatureStudy.Layer
    var images: Int
    var quantities: [String: [Double]] = [:]
  }

  private func goldens() throws -> [Golden] {
    let numbers = try fixture("feature_maps.f32")
    let text = String(decoding: try fixtureBytes("feature_maps.txt"), as: UTF8.self)
    var goldens: [Golden] = []
    var at = 0
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      if words[0] == "tap" {
        let sizes = words[2...].compactMap { Int($0) }
        try #require(sizes.count == 5)
        let (h, w, c, prefix) = (sizes[1], sizes[2], sizes[3], sizes[4])
        let count = sizes[0] * (prefix + h * w) * c
        let values = Array(numbers[at..<(at + count)])
        at += count
        goldens.append(
          Golden(
            layer: prefix > 0
              ? .tokens(words[1], values, h, w, c, prefix: prefix)
              : .maps(words[1], values, h, w, c),
            images: sizes[0]))
      } else {
        goldens[goldens.count - 1].quantities[words[0]] = words.dropFirst().compactMap {
          Double($0)
        }
      }
    }
    try #require(at == numbers.count && goldens.count == 4)
    return goldens
  }

  @Test func spectra() throws {
    for golden in try goldens() {
      var study = FeatureStudy([2, golden.images - 2])
      study.add("a", [golden.layer])
      for variant in FourierSettings.Variant.allCases {
        var settings = FourierSettings()
        settings.variant = variant
        let report = try study.report(FourierAnalyzer(settings))
        let values = report.reals("delta_log_amp", of: "fourier")
        let expected = try #require(golden.quantities[variant.rawValue])
        #expect(values.count == expected.count)
        for (value, number) in zip(values, expected) { #expect(agrees(value, number, 1e-5)) }
        guard variant == .diag, let errors = golden.quantities["diag_se"] else { continue }
        for (value, number) in zip(report.reals("delta_se", of: "fourier"), errors) {
          #expect(agrees(value, number, 1e-5))
        }
      }
    }
  }

  @Test func variances() throws {
    for golden in try goldens() {
      var study = FeatureStudy([golden.images])
      study.add("a", [golden.layer])
      for variant in VarianceSettings.Variant.allCases {
        var settings = VarianceSettings()
        settings.variant = variant
        let report = try study.report(VarianceAnalyzer(settings))
        let expected = try #require(golden.quantities[variant.rawValue])
        let value = try #require(report.reals("value", of: "variance")[0])
        #expect(abs(value / expected[0] - 1) < 1e-10)
        guard expected.count > 1 else { continue }
        let error = try #require(report.reals("se", of: "variance")[0])
        #expect(abs(error / expected[1] - 1) < 1e-8)
      }
    }
  }
}
