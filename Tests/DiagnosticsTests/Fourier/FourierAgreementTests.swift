import Glibc
import Reports
import Tensors
import Testing

@testable import Diagnostics

/// Agreement with the notebook's recipe in Float64, errors, threads, and values without a spectrum.
@Suite struct FourierAgreementTests {
  private func analyzer(_ variant: FourierSettings.Variant = .diag) -> FourierAnalyzer {
    var settings = FourierSettings()
    settings.variant = variant
    return FourierAnalyzer(settings)
  }

  private func expected(_ plain: PlainSpectrum, _ variant: FourierSettings.Variant) -> [Double] {
    switch variant {
    case .diag: plain.diagonal
    case .radial: plain.rings
    case .axis: plain.axes
    case .power: plain.power
    }
  }

  /// Square maps of all kinds of sizes, with channels that do and do not fill a vector register.
  @Test(arguments: [
    (1, 3), (2, 1), (3, 5), (4, 17), (5, 2), (7, 33), (8, 16), (9, 1), (11, 4), (14, 19), (16, 3),
    (21, 2),
  ])
  func squareMaps(_ n: Int, _ channels: Int) throws {
    let images = 3
    // Means from far below to far above the spread.
    let offsets = normals(channels, "offsets \(n)", scale: 5)
    var values = normals(images * n * n * channels, "maps \(n)")
    for index in values.indices { values[index] += offsets[index % channels] }
    let plain = PlainSpectrum(values, images: images, n, n, channels)
    var study = FeatureStudy([2, 1])
    study.add("a", [.maps("m", values, n, n, channels)])
    for variant in FourierSettings.Variant.allCases {
      let report = try study.report(analyzer(variant))
      let curve = expected(plain, variant)
      let levels = report.reals("log_amp", of: "fourier")
      let deltas = report.reals("delta_log_amp", of: "fourier")
      #expect(levels.count == curve.count)
      for (k, level) in curve.enumerated() {
        #expect(agrees(levels[k], level, 1e-5))
        #expect(agrees(deltas[k], level - curve[0], 1e-5))
      }
    }
  }

  /// Channels with a mean of many times their spread, where sums in Float32 would lose it.
  @Test func largeMeansLoseNothing() throws {
    let (n, channels) = (14, 4)
    let values = normals(n * n * channels, "large", scale: 0.01, offset: 100)
    let plain = PlainSpectrum(values, images: 1, n, n, channels)
    var study = FeatureStudy([1])
    study.add("a", [.maps("m", values, n, n, channels)])
    for variant in FourierSettings.Variant.allCases {
      let levels = try study.report(analyzer(variant)).reals("log_amp", of: "fourier")
      for (k, level) in expected(plain, variant).enumerated() {
        #expect(agrees(levels[k], level, 1e-5))
      }
    }
  }

  /// Prefix tokens are not part of any map, whatever they hold.
  @Test(arguments: [0, 1, 5])
  func prefixTokensAreLeftOut(_ prefix: Int) throws {
    let (n, channels) = (6, 4)
    let maps = normals(2 * n * n * channels, "maps")
    var tokens: [Float] = []
    for image in 0..<2 {
      tokens += [Float](repeating: .nan, count: prefix * channels)
      tokens += maps[(image * n * n * channels)..<((image + 1) * n * n * channels)]
    }
    var study = FeatureStudy([2])
    study.add("a", [.tokens("t", tokens, n, n, channels, prefix: prefix)])
    study.add("b", [.maps("m", maps, n, n, channels)])
    let report = try study.report(analyzer())
    let values = report.reals("log_amp", of: "fourier")
    #expect(Array(values[..<3]) == Array(values[3...]) && values[0] != nil)
    #expect(report.texts("status", of: "fourier").allSatisfy { $0 == "ok" })
  }

  /// `Σ_ij (x_ij - mean) exp(-iω (i + j))` at `ω = 2π t / min(h, w)`, the constant part by itself.
  @Test(arguments: [(4, 6), (6, 4), (14, 7), (5, 9), (8, 32)])
  func mapsThatAreNotSquare(_ height: Int, _ width: Int) throws {
    let values = normals(height * width, "oblong", offset: 2)
    let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
    let period = min(height, width)
    let curve = (0..<((period + 1) / 2)).map { t -> Double in
      if t == 0 { return log(abs(mean) * Double(values.count) + 1e-6) }
      var (re, im) = (0.0, 0.0)
      for i in 0..<height {
        for j in 0..<width {
          let angle = 2 * Double.pi * Double(t * (i + j)) / Double(period)
          re += (Double(values[i * width + j]) - mean) * cos(angle)
          im += (Double(values[i * width + j]) - mean) * sin(angle)
        }
      }
      return log((re * re + im * im).squareRoot() + 1e-6)
    }
    var study = FeatureStudy([1])
    study.add("a", [.maps("m", values, height, width, 1)])
    let report = try study.report(analyzer())
    for (t, level) in curve.enumerated() {
      #expect(agrees(report.reals("log_amp", of: "fourier")[t], level, 1e-5))
    }
    #expect(report.reals("h", of: "fourier")[0] == Double(height))
    #expect(report.reals("w", of: "fourier")[0] == Double(width))
    // The other variants exist too, with as many frequencies.
    for variant in [FourierSettings.Variant.axis, .radial, .power] {
      let levels = try study.report(analyzer(variant)).reals("log_amp", of: "fourier")
      #expect(levels.count >= curve.count && levels.allSatisfy { $0 != nil })
      #expect(agrees(levels[0], curve[0], 1e-5))
    }
  }

  /// The axis variant of oblong maps is the plain one where the shorter side divides the longer.
  @Test func oblongAxesOnTheGrid() throws {
    let (height, width) = (4, 8)
    let values = normals(height * width, "axes")
    let plane = PlainSpectrum(values, images: 1, height, width, 1).mean(PlainSpectrum.logAmplitude)
    var study = FeatureStudy([1])
    study.add("a", [.maps("m", values, height, width, 1)])
    let levels = try study.report(analyzer(.axis)).reals("log_amp", of: "fourier")
    #expect(agrees(levels[1], (plane[width] + plane[2]) / 2, 1e-5))
  }

  /// Errors are over images: the spread of image means, whatever the number of channels.
  @Test func standardErrorsAreOverImages() throws {
    let (n, channels, images) = (6, 5, 7)
    let values = normals(images * n * n * channels, "errors")
    let single = (0..<images).map { image -> [Double] in
      let width = n * n * channels
      let part = Array(values[(image * width)..<((image + 1) * width)])
      return PlainSpectrum.relative(PlainSpectrum(part, images: 1, n, n, channels).diagonal)
    }
    var study = FeatureStudy([3, 4])
    study.add("a", [.maps("m", values, n, n, channels)])
    let report = try study.report(analyzer())
    let errors = report.reals("delta_se", of: "fourier")
    for k in 0..<3 {
      let mean = single.reduce(0) { $0 + $1[k] } / Double(images)
      let squares = single.reduce(0) { $0 + ($1[k] - mean) * ($1[k] - mean) }
      let error = (squares / Double(images * (images - 1))).squareRoot()
      #expect(agrees(errors[k], error, 1e-5))
    }
    #expect(report.reals("n_maps", of: "fourier")[0] == Double(images * channels))
    study.batchSizes = [1]
    let one = try study.report(analyzer()).reals("delta_se", of: "fourier")
    #expect(one.allSatisfy { $0 == nil })
  }

  private var several: FeatureStudy {
    var study = FeatureStudy([3, 2, 4])
    study.add(
      "vit",
      (0..<3).map {
        .tokens(
          "b\($0)", normals(9 * 65 * 12, "b\($0)"), 8, 8, 12, prefix: 1,
          kind: $0 % 2 == 0 ? .mlp : .msa)
      })
    study.add(
      "resnet", family: "resnet",
      [
        .maps("r0", normals(9 * 81 * 7, "r0"), 9, 9, 7),
        .maps("r1", normals(9 * 25 * 9, "r1"), 5, 5, 9, kind: .pool),
      ])
    return study
  }

  @Test(arguments: FourierSettings.Variant.allCases)
  func orderAndThreadsDoNotChangeABit(_ variant: FourierSettings.Variant) throws {
    let study = several
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let files = try [1, 2, 3].map { count in
      Threads.configure(count: count)
      return try study.report(analyzer(variant)).files
    }
    #expect(files[0] == files[1] && files[0] == files[2])
    #expect(try study.report(analyzer(variant), order: [2, 0, 1]).files == files[0])
  }

  @Test(arguments: [Float.nan, .infinity, 1e38])
  func layersThatAreNotFiniteAreNamed(_ bad: Float) throws {
    var study = several
    let clean = try study.report(analyzer())
    study.subjects[0].layers[1].values[2000] = bad
    // Sums of the largest floats overflow.
    if bad.isFinite {
      for index in study.subjects[0].layers[1].values.indices {
        study.subjects[0].layers[1].values[index] *= 3e38
      }
    }
    let report = try study.report(analyzer())
    let (status, names) = (
      report.texts("status", of: "fourier"), report.texts("layer_name", of: "fourier")
    )
    for (row, name) in names.enumerated() {
      #expect(status[row] == (name == "b1" ? "nan_input" : "ok"))
      let value = report.reals("log_amp", of: "fourier")[row]
      #expect(value == (name == "b1" ? nil : clean.reals("log_amp", of: "fourier")[row]))
    }
    #expect(report.notes.contains { $0.contains("b1") })
  }

  @Test(arguments: [1e18, 1e-18, 1e30])
  func hugeAndTinyFeatures(_ scale: Double) throws {
    let values = normals(2 * 49 * 3, "scale").map { Float(Double($0) * scale) }
    let plain = PlainSpectrum(values, images: 2, 7, 7, 3)
    var study = FeatureStudy([2])
    study.add("a", [.maps("m", values, 7, 7, 3)])
    let levels = try study.report(analyzer()).reals("log_amp", of: "fourier")
    for (k, level) in plain.diagonal.enumerated() { #expect(agrees(levels[k], level, 1e-6)) }
    let power = try study.report(analyzer(.power)).reals("delta_log_amp", of: "fourier")
    for (k, level) in PlainSpectrum.relative(plain.power).enumerated() {
      #expect(agrees(power[k], level, 1e-5))
    }
  }

  @Test func noPowerIsDegenerate() throws {
    var study = FeatureStudy([2])
    study.add("a", [.maps("m", [Float](repeating: 0, count: 2 * 16), 4, 4, 1)])
    let report = try study.report(analyzer(.power))
    #expect(report.texts("status", of: "fourier") == ["degenerate", "degenerate"])
    #expect(report.reals("delta_log_amp", of: "fourier") == [nil, nil])
    let logs = try study.report(analyzer())
    #expect(agrees(logs.reals("log_amp", of: "fourier")[0], log(1e-6), 1e-6))
    #expect(logs.reals("dead_fraction", of: "fourier")[0] == 1)
  }

  @Test func gridsThatDoNotFitAreUndefined() throws {
    var study = several
    study.subjects[0].layers[1].tap = Tap(
      "b1", .msa, layout: .tokens(height: 9, width: 8, prefix: 1))
    study.subjects[0].layers[2].tap = Tap("b2", .mlp, layout: .vector)
    let report = try study.report(analyzer())
    let status = report.texts("status", of: "fourier")
    #expect(status.count { $0 == "undefined_grid" } == 2)
    #expect(status.count { $0 == "ok" } == 4 + 5 + 3)
    #expect(!analyzer().accepts(study.subjects[0].layers[2].tap))
    #expect(
      !analyzer().accepts(
        Tap("m", .attentionMap, layout: .attention(height: 2, width: 2, prefix: 1))))
  }

  @Test func figuresShowEverySubject() throws {
    var settings = FourierSettings()
    let report = try several.report(FourierAnalyzer(settings))
    #expect(report.figures.map(\.name) == ["fourier_vit", "fourier_resnet", "fourier_depth"])
    let depth = report.figures[2]
    #expect(depth.panels.count == 2 && depth.sharesY)
    let shades = depth.panels.map { panel in
      panel.marks.compactMap { if case .shade(let shade) = $0 { shade.name } else { nil } }
    }
    #expect(shades == [["MSA"], ["Subsampling"]])
    // The drawn axis alone depends on the setting.
    settings.axis = .actual
    let actual = try several.report(FourierAnalyzer(settings))
    #expect(actual.tables == report.tables)
    #expect(actual.figures[0].svg != report.figures[0].svg)
    guard case .series(let line)? = actual.figures[0].panels[0].marks.first else {
      Issue.record("no line")
      return
    }
    #expect(line.points.map(\.x) == [0, 0.25, 0.5, 0.75])
    let high = try #require(line.points[3].high)
    let low = try #require(line.points[3].low)
    let last = report.reals("delta_se", of: "fourier")[11]
    #expect(agrees((high - low) / 2 / 1.959963984540054, last, 1e-12))
  }
}
