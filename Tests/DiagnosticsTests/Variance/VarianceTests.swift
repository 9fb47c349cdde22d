import Glibc
import Reports
import Tensors
import Testing

@testable import Diagnostics

/// The variance of feature maps: known answers, agreement with plain sums in Float64, errors, and
/// values without a variance.
@Suite struct VarianceTests {
  private func analyzer(_ variant: VarianceSettings.Variant = .spatial) -> VarianceAnalyzer {
    var settings = VarianceSettings()
    settings.variant = variant
    return VarianceAnalyzer(settings)
  }

  private func spatial(_ n: Int, _ value: (Int, Int) -> Double) throws -> Double? {
    var map: [Float] = []
    for i in 0..<n { for j in 0..<n { map.append(Float(value(i, j))) } }
    var study = FeatureStudy([1])
    study.add("a", [.maps("m", map, n, n, 1)])
    return try study.report(analyzer()).reals("value", of: "variance")[0]
  }

  @Test(arguments: [2, 7, 8, 14])
  func knownMaps(_ n: Int) throws {
    let square = Double(n * n)
    #expect(try spatial(n) { _, _ in 0.1 } == 0)
    #expect(agrees(try spatial(n) { i, _ in Double(i) }, square / 12, 1e-13))
    if n % 2 == 0 {
      #expect(
        agrees(try spatial(n) { i, j in (i + j) % 2 == 0 ? 1 : -1 }, square / (square - 1), 1e-13))
    }
    // Shifted and scaled by powers of two, which Float32 holds exactly.
    #expect(agrees(try spatial(n) { i, _ in Double(i) + 65536 }, square / 12, 1e-13))
    #expect(agrees(try spatial(n) { i, _ in Double(i) * 0.125 }, square / 12 / 64, 1e-13))
  }

  /// One massive value among small ones, at the place that sums are taken about and elsewhere.
  @Test(arguments: [0, 5])
  func outliersLoseNothing(_ place: Int) throws {
    var values = normals(49, "outlier")
    values[place] = 1e6
    let mean = values.reduce(0.0) { $0 + Double($1) } / 49
    let expected = values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / 48
    let value = try spatial(7) { i, j in Double(values[i * 7 + j]) }
    #expect(abs(try #require(value) / expected - 1) < 1e-12)
  }

  private struct Plain {
    var spatial: [Double] = []
    var square: [Double] = []
    var sample = 0.0
  }

  /// `[image][place][channel]`, two passes.
  private func plain(_ values: [Float], images: Int, places: Int, channels: Int) -> Plain {
    func variance(_ x: [Double]) -> Double {
      let mean = x.reduce(0, +) / Double(x.count)
      return x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count - 1)
    }
    func at(_ image: Int, _ place: Int, _ channel: Int) -> Double {
      Double(values[(image * places + place) * channels + channel])
    }
    var result = Plain()
    for image in 0..<images {
      let maps = (0..<channels).map { c in (0..<places).map { at(image, $0, c) } }
      result.spatial.append(maps.reduce(0) { $0 + variance($1) } / Double(channels))
      let squares = maps.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } }
      result.square.append(squares / Double(channels * places))
    }
    for place in 0..<places {
      for channel in 0..<channels {
        result.sample += variance((0..<images).map { at($0, place, channel) })
      }
    }
    result.sample /= Double(places * channels)
    return result
  }

  @Test(arguments: [(2, 3, 1), (7, 7, 300), (5, 4, 33), (14, 14, 19)])
  func agreesWithPlainSums(_ height: Int, _ width: Int, _ channels: Int) throws {
    let (images, places) = (4, height * width)
    let values = normals(images * places * channels, "variance", scale: 2, offset: 30)
    let expected = plain(values, images: images, places: places, channels: channels)
    var study = FeatureStudy([4])
    study.add("a", [.maps("m", values, height, width, channels)])
    func number(_ variant: VarianceSettings.Variant, _ column: String) throws -> Double {
      try #require(try study.report(analyzer(variant)).reals(column, of: "variance")[0])
    }
    func mean(_ x: [Double]) -> Double { x.reduce(0, +) / Double(x.count) }
    let (v, q) = (mean(expected.spatial), mean(expected.square))
    #expect(abs(try number(.spatial, "value") / v - 1) < 1e-12)
    #expect(abs(try number(.sample, "value") / expected.sample - 1) < 1e-12)
    #expect(abs(try number(.normalised, "value") / (v / q) - 1) < 1e-12)
    // Errors over images; that of the ratio from the residuals v - (V / Q) q.
    let spread = expected.spatial.reduce(0) { $0 + ($1 - v) * ($1 - v) }
    #expect(abs(try number(.spatial, "se") / (spread / 12).squareRoot() - 1) < 1e-8)
    let rest = zip(expected.spatial, expected.square).reduce(0) { total, pair in
      total + (pair.0 - v / q * pair.1) * (pair.0 - v / q * pair.1)
    }
    #expect(abs(try number(.normalised, "se") / ((rest / 12).squareRoot() / q) - 1) < 1e-6)
  }

  /// Minibatches of the sample variance count by `n - 1`, those of one image not at all.
  @Test func sampleVarianceOverMinibatches() throws {
    let (places, channels, sizes) = (6, 4, [3, 1, 5])
    let values = normals(9 * places * channels, "sample")
    var study = FeatureStudy(sizes)
    study.add("a", [.maps("m", values, 2, 3, channels)])
    let report = try study.report(analyzer(.sample))
    let width = places * channels
    let first = plain(Array(values[..<(3 * width)]), images: 3, places: places, channels: channels)
    let last = plain(Array(values[(4 * width)...]), images: 5, places: places, channels: channels)
    let mean = (2 * first.sample + 4 * last.sample) / 6
    #expect(agrees(report.reals("value", of: "variance")[0], mean, 1e-12))
    let rest = pow(2 * (first.sample - mean), 2) + pow(4 * (last.sample - mean), 2)
    #expect(agrees(report.reals("se", of: "variance")[0], (2 * rest).squareRoot() / 6, 1e-12))
    study.batchSizes = [3]
    #expect(try study.report(analyzer(.sample)).reals("se", of: "variance")[0] == nil)
    study.batchSizes = [1, 1]
    #expect(try study.report(analyzer(.sample)).texts("status", of: "variance") == ["degenerate"])
  }

  /// Parseval: the variance of a map is the energy of its spectrum without the constant bin, over
  /// `hw (hw - 1)`.
  @Test(arguments: [(7, 7), (8, 8), (4, 9)])
  func isTheEnergyOfTheSpectrum(_ height: Int, _ width: Int) throws {
    let values = normals(2 * height * width * 3, "parseval", offset: 4)
    var study = FeatureStudy([2])
    study.add("a", [.maps("m", values, height, width, 3)])
    let energy = PlainSpectrum(values, images: 2, height, width, 3).energy
    let places = Double(height * width)
    let value = try study.report(analyzer()).reals("value", of: "variance")[0]
    #expect(agrees(value, energy / (places * (places - 1)), 1e-12))
  }

  /// A map of a single diagonal frequency, where the energy is on the diagonal alone: the two analyses
  /// agree with each other.
  @Test func agreesWithTheFourierAnalysis() throws {
    let n = 14
    var map: [Float] = []
    for i in 0..<n {
      for j in 0..<n { map.append(Float(2 + cos(2 * .pi * Double(3 * (i + j)) / Double(n)))) }
    }
    var study = FeatureStudy([1])
    study.add("a", [.maps("m", map, n, n, 1)])
    var settings = FourierSettings()
    settings.variant = .power
    let levels = try study.report(FourierAnalyzer(settings)).reals("log_amp", of: "fourier")
    let places = Double(n * n)
    // Each frequency stands for itself and its conjugate; bins without any power are empty.
    let energy = levels.dropFirst().reduce(0) { $0 + ($1.map { 2 * exp(2 * $0) } ?? 0) }
    let value = try study.report(analyzer()).reals("value", of: "variance")[0]
    #expect(agrees(value, energy / (places * (places - 1)), 1e-6))
  }

  private var several: FeatureStudy {
    var study = FeatureStudy([3, 2])
    study.add(
      "vit",
      (0..<3).map {
        .tokens(
          "b\($0)", normals(5 * 17 * 12, "b\($0)"), 4, 4, 12, prefix: 1,
          kind: $0 % 2 == 0 ? .mlp : .msa)
      })
    study.add(
      "resnet", family: "resnet",
      [
        .maps("r0", normals(5 * 81 * 700, "r0"), 9, 9, 700),
        .maps("r1", normals(5 * 1 * 9, "r1"), 1, 1, 9, kind: .pool),
      ])
    return study
  }

  @Test(arguments: VarianceSettings.Variant.allCases)
  func orderAndThreadsDoNotChangeABit(_ variant: VarianceSettings.Variant) throws {
    let study = several
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let files = try [1, 2, 3].map { count in
      Threads.configure(count: count)
      return try study.report(analyzer(variant)).files
    }
    #expect(files[0] == files[1] && files[0] == files[2])
    #expect(try study.report(analyzer(variant), order: [1, 0]).files == files[0])
  }

  @Test func singlePlacesDoNotVary() throws {
    let report = try several.report(analyzer())
    #expect(report.texts("status", of: "variance") == ["ok", "ok", "ok", "ok", "degenerate"])
    #expect(report.reals("value", of: "variance")[4] == nil)
    let sample = try several.report(analyzer(.sample))
    #expect(sample.texts("status", of: "variance").allSatisfy { $0 == "ok" })
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func layersThatAreNotFiniteAreNamed(_ bad: Float) throws {
    for variant in VarianceSettings.Variant.allCases {
      var study = several
      let clean = try study.report(analyzer(variant)).reals("value", of: "variance")
      study.subjects[0].layers[1].values[300] = bad
      // In a prefix token it belongs to no map.
      study.subjects[0].layers[2].values[3] = bad
      let report = try study.report(analyzer(variant))
      #expect(report.texts("status", of: "variance")[1] == "nan_input")
      let values = report.reals("value", of: "variance")
      #expect(values == [clean[0], nil, clean[2], clean[3], clean[4]])
      #expect(report.notes.contains { $0.contains("b1") })
    }
  }

  @Test(arguments: [1e18, 1e-18, 1e35])
  func hugeAndTinyFeatures(_ scale: Double) throws {
    let values = normals(2 * 49 * 3, "scale").map { Float(Double($0) * scale) }
    var study = FeatureStudy([2])
    study.add("a", [.maps("m", values, 7, 7, 3)])
    let expected = plain(values, images: 2, places: 49, channels: 3)
    let value = try study.report(analyzer()).reals("value", of: "variance")[0]
    let mean = (expected.spatial[0] + expected.spatial[1]) / 2
    #expect(abs(try #require(value) / mean - 1) < 1e-12)
    let ratio = try study.report(analyzer(.normalised)).reals("value", of: "variance")[0]
    let square = (expected.square[0] + expected.square[1]) / 2
    #expect(agrees(ratio, mean / square, 1e-12))
  }

  @Test func zerosHaveNoNormalisedVariance() throws {
    var study = FeatureStudy([2])
    study.add("a", [.maps("m", [Float](repeating: 0, count: 32), 4, 4, 1)])
    let report = try study.report(analyzer(.normalised))
    #expect(report.texts("status", of: "variance") == ["degenerate"])
    #expect(try study.report(analyzer()).reals("value", of: "variance") == [0])
  }

  /// Subjects whose steps are alike share a panel; otherwise each has its own shading and scale.
  @Test func figuresShowEverySubject() throws {
    let apart = try #require(try several.report(analyzer()).figures.first)
    #expect(apart.name == "variance" && apart.panels.count == 2 && !apart.sharesY)
    var twins = FeatureStudy([3, 2])
    twins.subjects = [several.subjects[0], several.subjects[0]]
    twins.subjects[1].label = "vit 2"
    let together = try #require(try twins.report(analyzer()).figures.first)
    #expect(together.panels.count == 1)
    let names = together.panels[0].marks.compactMap { mark -> String? in
      switch mark {
      case .series(let series): series.name
      case .shade(let shade): shade.name
      default: nil
      }
    }
    #expect(names == ["MSA", "vit", "vit 2"])
  }

  @Test func summariesAverageSteps() throws {
    let report = try several.report(analyzer())
    let values = report.reals("value", of: "variance")
    let cells = report.summary.cells("msa_step") ?? []
    #expect(cells[0] == Cell(try #require(values[1]) - #require(values[0])))
    #expect(cells[1] == .empty)
  }
}
