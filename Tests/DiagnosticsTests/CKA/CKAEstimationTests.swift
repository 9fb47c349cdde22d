import Reports
import Tensors
import Testing

@testable import Diagnostics

/// Minibatches, rows, intervals, threads, and values that have no similarity.
@Suite struct CKAEstimationTests {
  private func analyzer(_ change: (inout CKASettings) -> Void = { _ in }) -> CKAAnalyzer {
    var settings = CKASettings()
    settings.bootstrap = 0
    change(&settings)
    return CKAAnalyzer(settings)
  }

  /// Layers that have something in common, so that similarities are neither 0 nor 1.
  private func related(_ images: Int, _ widths: [Int], batches: [Int]) -> FeatureStudy {
    let base = normals(images * 8, "base")
    var study = FeatureStudy(batches)
    study.add(
      "a",
      widths.enumerated().map { index, width in
        let mixing = normals(8 * width, "mixing \(index)")
        let noise = normals(images * width, "noise \(index)", scale: 2)
        var values = [Float](repeating: 0, count: images * width)
        for image in 0..<images {
          for column in 0..<width {
            var sum = noise[image * width + column]
            for k in 0..<8 { sum += base[image * 8 + k] * mixing[k * width + column] }
            values[image * width + column] = sum
          }
        }
        return .rows("l\(index)", values, columns: width)
      })
    return study
  }

  /// Columns within one chunk of the Gram product, and across several.
  @Test(arguments: [(24, [150, 300]), (10, [8191, 8193, 20000])])
  func agreesWithTheDefinitionInFloat64(_ images: Int, _ widths: [Int]) throws {
    let study = related(images, widths, batches: [images])
    let grams = study.subjects[0].layers.enumerated().map { index, layer in
      PlainCKA.linear(PlainCKA.rows(layer.values, columns: widths[index]))
    }
    for estimator in CKASettings.Estimator.allCases {
      let hsic = estimator == .unbiased ? PlainCKA.unbiasedHSIC : PlainCKA.biasedHSIC
      let report = try study.report(analyzer { $0.estimator = estimator })
      let values = report.reals("cka", of: "cka")
      for (i, k) in grams.enumerated() {
        for (j, l) in grams.enumerated() where i != j {
          let expected = hsic(k, l) / (hsic(k, k) * hsic(l, l)).squareRoot()
          #expect(agrees(values[i * grams.count + j], expected, 1e-5))
        }
      }
    }
  }

  /// Ratio of weighted sums over minibatches of different sizes, each estimated by itself.
  @Test(arguments: CKASettings.BatchWeight.allCases)
  func isARatioOfSumsOverRaggedMinibatches(_ weight: CKASettings.BatchWeight) throws {
    let sizes = [9, 5, 4, 12]
    let study = related(30, [6, 7], batches: sizes)
    var (ab, aa, bb) = (0.0, 0.0, 0.0)
    var first = 0
    for n in sizes {
      func gram(_ layer: Int, _ width: Int) -> PlainCKA.Matrix {
        let values = study.subjects[0].layers[layer].values
        let part = values[(first * width)..<((first + n) * width)]
        return PlainCKA.linear(PlainCKA.rows(Array(part), columns: width))
      }
      let (k, l) = (gram(0, 6), gram(1, 7))
      let w =
        switch weight {
        case .size: Double(n)
        case .equal: 1.0
        case .sum: Double(n * (n - 3))
        }
      ab += w * PlainCKA.unbiasedHSIC(k, l)
      aa += w * PlainCKA.unbiasedHSIC(k, k)
      bb += w * PlainCKA.unbiasedHSIC(l, l)
      first += n
    }
    let report = try study.report(analyzer { $0.batchWeight = weight })
    #expect(agrees(report.reals("cka", of: "cka")[1], ab / (aa * bb).squareRoot(), 1e-6))
  }

  /// Skipped images can leave a minibatch too small for the estimator: it counts for nothing.
  @Test func minibatchesTooSmallAreLeftOut() throws {
    let study = related(15, [6, 7], batches: [12, 3])
    let report = try study.report(analyzer())
    var whole = study
    whole.batchSizes = [12]
    #expect(
      report.reals("cka", of: "cka") == (try whole.report(analyzer())).reals("cka", of: "cka"))
    #expect(report.reals("n_images", of: "cka")[0] == 12)
    #expect(report.notes.contains { $0.contains("fewer than 4") })
    let none = try related(3, [6, 7], batches: [3]).report(analyzer())
    #expect(none.texts("status", of: "cka").allSatisfy { $0 == "degenerate" })
  }

  @Test func intervalsCoverAndRepeat() throws {
    let sizes = [Int](repeating: 12, count: 20)
    let study = related(240, [10, 10], batches: sizes)
    let resampling = analyzer { $0.bootstrap = 400 }
    let report = try study.report(resampling)
    let value = try #require(report.reals("cka", of: "cka")[1])
    let low = try #require(report.reals("ci_lo", of: "cka")[1])
    let high = try #require(report.reals("ci_hi", of: "cka")[1])
    #expect(low < value && value < high)
    #expect(high - low > 0.005 && high - low < 0.3)
    // The whole sample, seen at once, lies within.
    var whole = study
    whole.batchSizes = [240]
    let once = try #require(try whole.report(analyzer()).reals("cka", of: "cka")[1])
    #expect(low < once && once < high)
    // The same in any order of computation; another seed differs.
    #expect(
      try study.report(resampling, order: Array(sizes.indices.reversed())).files == report.files)
    let other = try study.report(
      analyzer {
        $0.bootstrap = 400
        $0.seed = 1
      })
    #expect(other.reals("cka", of: "cka") == report.reals("cka", of: "cka"))
    #expect(other.reals("ci_lo", of: "cka")[1] != low)
  }

  /// Of 41 resamples the second from either end: the quantiles 0.025 and 0.975 fall on them. Each
  /// resample is a ratio of sums of the definition's terms over minibatches drawn with replacement.
  @Test func intervalsAreTheQuantilesOfTheirResamples() throws {
    let (batches, images, resamples) = (9, 12, 41)
    let study = related(
      batches * images, [5, 6], batches: Array(repeating: images, count: batches))
    let terms = (0..<batches).map { batch -> (ab: Double, aa: Double, bb: Double) in
      let grams = zip(study.subjects[0].layers, [5, 6]).map { layer, width in
        PlainCKA.linear(
          Array(
            PlainCKA.rows(layer.values, columns: width)[(batch * images)..<((batch + 1) * images)]))
      }
      return (
        PlainCKA.unbiasedHSIC(grams[0], grams[1]), PlainCKA.unbiasedHSIC(grams[0], grams[0]),
        PlainCKA.unbiasedHSIC(grams[1], grams[1])
      )
    }
    let random = CounterRandom(seed: 0, purpose: "bootstrap over minibatches")
    let values = (0..<resamples).map { resample -> Double in
      let drawn = (0..<batches).map {
        terms[random.integer(below: batches, at: UInt64(resample * batches + $0))]
      }
      let aa = drawn.reduce(0) { $0 + $1.aa }
      let bb = drawn.reduce(0) { $0 + $1.bb }
      return drawn.reduce(0) { $0 + $1.ab } / (aa * bb).squareRoot()
    }.sorted()
    let report = try study.report(analyzer { $0.bootstrap = resamples })
    #expect(agrees(report.reals("ci_lo", of: "cka")[1], values[1], 1e-6))
    #expect(agrees(report.reals("ci_hi", of: "cka")[1], values[39], 1e-6))
    // No other pair of resamples is as near.
    #expect(values[39] - values[38] > 1e-4 && values[40] - values[39] > 1e-4)
    #expect(values[1] - values[0] > 1e-4 && values[2] - values[1] > 1e-4)
  }

  @Test func intervalsNeedSeveralMinibatches() throws {
    let report = try related(12, [5, 6], batches: [12]).report(analyzer { $0.bootstrap = 100 })
    #expect(report.reals("ci_lo", of: "cka")[1] == nil)
    #expect(report.notes.contains { $0.contains("one minibatch") })
  }

  @Test func threadsDoNotChangeABit() throws {
    let study = related(24, [40, 20000], batches: [12, 12])
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let files = try [1, 2, 3].map { count in
      Threads.configure(count: count)
      return try study.report(analyzer { $0.bootstrap = 50 }).files
    }
    #expect(files[0] == files[1] && files[0] == files[2])
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func layersThatAreNotFiniteAreNamed(_ bad: Float) throws {
    var study = related(8, [5, 6, 7], batches: [4, 4])
    let clean = try study.report(analyzer()).reals("cka", of: "cka")
    study.subjects[0].layers[1].values[3] = bad
    let report = try study.report(analyzer())
    let status = report.texts("status", of: "cka")
    for i in 0..<3 {
      for j in 0..<3 {
        let isBad = i == 1 || j == 1
        #expect(status[i * 3 + j] == (isBad ? "nan_input" : "ok"))
        #expect(report.reals("cka", of: "cka")[i * 3 + j] == (isBad ? nil : clean[i * 3 + j]))
      }
    }
    #expect(report.notes.contains { $0.contains("l1") })
    #expect(!report.files.joined().contains("nan,"))
  }

  @Test func constantLayersAreDegenerate() throws {
    var study = related(8, [5, 6], batches: [8])
    study.subjects[0].layers[0].values = [Float](repeating: 0.1, count: 8 * 5)
    for kernel in CKASettings.Kernel.allCases {
      let report = try study.report(analyzer { $0.kernel = kernel })
      #expect(
        report.texts("status", of: "cka") == ["degenerate", "degenerate", "degenerate", "ok"])
      // The curve to the last block has nothing to be normalised by.
      #expect(report.texts("status", of: "cka_curve") == ["degenerate", "degenerate"])
    }
  }

  @Test func negativeSelfProductsAreNotRooted() throws {
    let study = related(8, [5, 6], batches: [8])
    let products = [-1.0, 0.5, 2]
    let record = CKAAnalyzer.Record(images: 8, products: products, scales: [1, 1], nonfinite: [])
    let report = try analyzer().report([record], plan: study.plan)
    #expect(
      report.texts("status", of: "cka")
        == ["nonpositive_self", "nonpositive_self", "nonpositive_self", "ok"])
    #expect(agrees(report.reals("hsic_aa", of: "cka")[0], -1.0 / 40, 1e-12))
  }

  /// A first block that is less similar to the last than chance has no ratio to it.
  @Test func curvesNeedAPositiveFirstSimilarity() throws {
    let study = related(8, [5, 6], batches: [8])
    let record = CKAAnalyzer.Record(
      images: 8, products: [1, -0.25, 1], scales: [1, 1], nonfinite: [])
    let report = try analyzer().report([record], plan: study.plan)
    #expect(report.reals("s", of: "cka_curve") == [-0.25, 1])
    #expect(report.reals("s_ratio", of: "cka_curve") == [nil, nil])
    #expect(report.reals("s_minmax", of: "cka_curve") == [0, 1])
    #expect(report.texts("status", of: "cka_curve").allSatisfy { $0 == "nonpositive_self" })
  }

  @Test func curvesAreNormalisedByTheFirstBlock() throws {
    let report = try related(40, [6, 9, 7], batches: [20, 20]).report(analyzer())
    let similarity = report.reals("cka", of: "cka")
    let s = report.reals("s", of: "cka_curve")
    #expect(s == [similarity[2], similarity[5], 1])
    let first = try #require(s[0])
    let middle = try #require(s[1])
    #expect(agrees(report.reals("s_ratio", of: "cka_curve")[1], middle / first, 1e-14))
    #expect(
      agrees(report.reals("s_minmax", of: "cka_curve")[1], (middle - first) / (1 - first), 1e-14))
    #expect(report.reals("depth", of: "cka_curve") == [0, 0.5, 1])
  }

  @Test(arguments: [1e18, 1e-18])
  func scaleDoesNotMatter(_ scale: Double) throws {
    let plain = related(12, [9, 9000], batches: [12])
    var scaled = plain
    scaled.subjects[0].layers[1].values = plain.subjects[0].layers[1].values.map {
      Float(Double($0) * scale)
    }
    let (a, b) = (try plain.report(analyzer()), try scaled.report(analyzer()))
    #expect(agrees(a.reals("cka", of: "cka")[1], b.reals("cka", of: "cka")[1], 1e-6))
    #expect(b.texts("status", of: "cka").allSatisfy { $0 == "ok" })
  }

  /// Features near the largest float: their differences are not finite, and no trap follows.
  @Test func overflowIsNotFinite() throws {
    var study = related(6, [4, 5], batches: [6])
    study.subjects[0].layers[0].values = normals(24, "sign").map { $0 < 0 ? -3e38 : 3e38 }
    let status = try study.report(analyzer()).texts("status", of: "cka")
    #expect(status[0] == "nan_input" && status[3] == "ok")
  }

  /// Rows of tokens: each mode equals the same columns given by themselves.
  @Test func rowsAreTheColumnsTheySay() throws {
    let (images, places, channels, prefix) = (9, 4, 3, 2)
    let tokens = normals(images * (prefix + places) * channels, "tokens")
    let other = normals(images * 5, "other")
    func columns(_ pick: (ArraySlice<Float>) -> [Float]) -> [Float] {
      let width = (prefix + places) * channels
      return (0..<images).flatMap { pick(tokens[($0 * width)..<(($0 + 1) * width)]) }
    }
    let expected: [RowMode: [Float]] = [
      .flatten: tokens, .patches: columns { Array($0.dropFirst(prefix * channels)) },
      .cls: columns { Array($0.prefix(channels)) },
      .pool: columns { image in
        let patches = Array(image.dropFirst(prefix * channels))
        return (0..<channels).map { c in
          (0..<places).map { patches[$0 * channels + c] }.reduce(0, +) / Float(places)
        }
      },
    ]
    for mode in RowMode.allCases {
      var study = FeatureStudy([images])
      study.add(
        "a",
        [
          .tokens("t", tokens, 2, 2, channels, prefix: prefix), .rows("o", other, columns: 5),
        ])
      let values = try #require(expected[mode])
      let report = try study.report(analyzer { $0.rows = mode })
      if mode == .cls {
        #expect(report.texts("status", of: "cka")[1] == "undefined_rows")
        study.subjects[0].layers[1] = .tokens("o", other + other, 1, 1, 5, prefix: 1)
        let both = try study.report(analyzer { $0.rows = .cls }).reals("cka", of: "cka")[1]
        let first = (0..<images).flatMap { (other + other)[($0 * 10)..<($0 * 10 + 5)] }
        #expect(agrees(both, PlainCKA.similarity(values, channels, first, 5), 1e-5))
      } else {
        let plain = PlainCKA.similarity(values, values.count / images, other, 5)
        #expect(agrees(report.reals("cka", of: "cka")[1], plain, 1e-5))
      }
    }
  }

  @Test func classTokensOfMapsAreUndefined() throws {
    var study = FeatureStudy([6])
    study.add("a", [.maps("m", normals(6 * 12, "m"), 2, 2, 3)])
    study.add("a b", [.maps("m", normals(6 * 12, "m"), 2, 2, 3)])
    study.add("a-b", [.maps("m", normals(6 * 12, "m"), 2, 2, 3)])
    let report = try study.report(analyzer { $0.rows = .cls })
    #expect(report.texts("status", of: "cka").allSatisfy { $0 == "undefined_rows" })
    let pooled = try study.report(analyzer { $0.rows = .pool })
    #expect(pooled.texts("status", of: "cka").allSatisfy { $0 == "ok" })
    // Labels that read alike do not share a file.
    let names = pooled.figures.map(\.name)
    #expect(Set(names).count == names.count && names.contains("cka_a-b_a-b-2"))
  }
}
