import Glibc
import Reports
import Tensors
import Testing

@testable import Diagnostics

/// Attention against plain sums in Float64, over images and minibatches, whatever the threads.
@Suite struct AttentionAgreementTests {
  /// Rows of a softmax of random scores.
  private func softmax(_ rows: Int, _ columns: Int, _ purpose: String) -> [Float] {
    let scores = normals(rows * columns, purpose, scale: 2)
    return (0..<rows).flatMap { row -> [Float] in
      let weights = scores[row * columns..<(row + 1) * columns].map { exp(Double($0)) }
      let sum = weights.reduce(0, +)
      return weights.map { Float($0 / sum) }
    }
  }

  private func mean(_ x: [Double]) -> Double { x.reduce(0, +) / Double(x.count) }

  private func error(_ x: [Double]) -> Double {
    let m = mean(x)
    let squares = x.reduce(0) { $0 + ($1 - m) * ($1 - m) }
    return (squares / Double(x.count - 1) / Double(x.count)).squareRoot()
  }

  private struct Form: CustomTestStringConvertible {
    var windows: Int?
    var heads: Int
    var height: Int
    var width: Int
    var prefix: Int
    var testDescription: String {
      "\(windows ?? 1) x \(heads) x (\(prefix) + \(height) x \(width))"
    }
  }

  @Test(arguments: [
    Form(heads: 3, height: 4, width: 4, prefix: 1), Form(heads: 2, height: 3, width: 5, prefix: 0),
    Form(windows: 4, heads: 3, height: 3, width: 3, prefix: 0),
    Form(heads: 4, height: 5, width: 5, prefix: 2),
  ])
  private func agreesWithPlainSums(_ form: Form) throws {
    let (images, windows) = (5, form.windows ?? 1)
    let tokens = form.prefix + form.height * form.width
    let stride = windows * form.heads * tokens * tokens
    let layers = ["first", "second"].map {
      softmax(images * stride / tokens, tokens, "\($0) \(form.testDescription)")
    }
    var study = FeatureStudy([3, 2])
    study.imageSize = 60
    study.add(
      "a",
      layers.enumerated().map {
        .attention(
          "blocks.\($0).attn_map", $1, windows: form.windows, heads: form.heads, form.height,
          form.width, prefix: form.prefix)
      })
    let report = try study.report(AttentionAnalyzer())
    let rows = AttentionRows(report)
    let plain = layers.map { values in
      (0..<images).map {
        PlainAttention(
          values[$0 * stride..<($0 + 1) * stride], windows: windows, heads: form.heads,
          height: form.height, width: form.width, prefix: form.prefix)
      }
    }
    let side = form.windows == 4 ? 2 : 1
    let (down, across) = (
      60 / Double(form.height * side), 60 / Double(form.width * side)
    )
    for layer in 0..<2 {
      func check(
        _ name: String, _ tolerance: Double, _ value: (Int, PlainAttention) -> Double
      ) {
        var heads: [[Double]] = []
        for head in 0..<form.heads {
          let values = plain[layer].map { value(head, $0) }
          heads.append(values)
          #expect(agrees(rows[name, head, layer: layer], mean(values), tolerance), "\(name)")
          #expect(
            agrees(rows.error(name, head, layer: layer), error(values), 1e-6), "\(name)")
        }
        let means = (0..<images).map { image in mean(heads.map { $0[image] }) }
        #expect(agrees(rows[name, layer: layer], mean(means), tolerance), "\(name)")
        #expect(agrees(rows.error(name, layer: layer), error(means), 1e-6), "\(name)")
      }
      check("distance", 1e-6) { $1.distance($0, down: down, across: across) }
      check("entropy", 1e-6) { $1.entropy($0) }
      check("nmi", 1e-6) { $1.information($0) }
      let cosines = plain[layer].map { $0.cosines() }
      #expect(
        agrees(rows["head_similarity", layer: layer], mean(cosines.map(mean)), 1e-12))
      #expect(
        agrees(rows.error("head_similarity", layer: layer), error(cosines.map(mean)), 1e-12))
      let shares = cosines.map { mean($0.map { $0 > 0.5 ? 1 : 0 }) }
      #expect(agrees(rows["similar_heads", layer: layer], mean(shares), 1e-12))
    }
    for head in 0..<form.heads {
      let cosines = zip(plain[1], plain[0]).map { $0.cosine(head, with: $1) }
      #expect(agrees(rows["layer_similarity", head, layer: 1], mean(cosines), 1e-12))
      #expect(agrees(rows.error("layer_similarity", head, layer: 1), error(cosines), 1e-12))
    }
    // Two images of each minibatch.
    #expect(rows.images("effective_rank", 0) == 4)
    #expect(rows.images("distance", 0) == 5)
  }

  /// A diagonal map has its diagonal as singular values, and so has one with its columns permuted.
  @Test func effectiveRankOfKnownSingularValues() throws {
    let values = [0.5, 0.25, 0.15, 0.1]
    let expected = exp(-values.reduce(0) { $0 + $1 * log($1) })
    for shift in 0..<4 {
      let map = (0..<16).map { Float(($0 / 4 + shift) % 4 == $0 % 4 ? values[$0 / 4] : 0) }
      let found = try map.withUnsafeBufferPointer { buffer in
        try effectiveRank(try #require(buffer.baseAddress), rows: 4, columns: 4)
      }
      #expect(agrees(found, expected, 1e-6))
    }
    // Two orthogonal rows of lengths 1 and 3, and their transpose.
    for (rows, columns, map) in [
      (2, 3, [Float(1), 0, 0, 0, 0, 3]), (3, 2, [Float(1), 0, 0, 0, 0, 3]),
    ] {
      let found = try map.withUnsafeBufferPointer { buffer in
        try effectiveRank(try #require(buffer.baseAddress), rows: rows, columns: columns)
      }
      #expect(agrees(found, exp(-0.25 * log(0.25) - 0.75 * log(0.75)), 1e-9))
    }
  }

  @Test func tokensAgreeWithAllPairs() throws {
    let (images, count, width) = (4, 12, 33)
    let values = normals(images * (count + 1) * width, "tokens", offset: 0.3)
    var study = FeatureStudy([4])
    study.add("a", [.tokens("b", values, 3, 4, width, prefix: 1)])
    let expected = (0..<images).map { image -> Double in
      let tokens = (0..<count).map { token in
        let start = (image * (count + 1) + 1 + token) * width
        return values[start..<start + width].map(Double.init)
      }
      var sum = 0.0
      for a in 0..<count {
        for b in 0..<count where a != b { sum += PlainAttention.cosine(tokens[a], tokens[b]) }
      }
      return sum / Double(count * (count - 1))
    }
    let rows = AttentionRows(try study.report(AttentionAnalyzer()))
    #expect(agrees(rows["token_similarity"], mean(expected), 1e-13))
    #expect(agrees(rows.error("token_similarity"), error(expected), 1e-13))
  }

  private var several: FeatureStudy {
    var study = FeatureStudy([3, 2])
    study.imageSize = 32
    study.add(
      "a",
      (0..<3).flatMap { block in
        [
          FeatureStudy.Layer.attention(
            "blocks.\(block).attn_map", softmax(5 * 3 * 17, 17, "m\(block)"), heads: 3, 4, 4,
            prefix: 1),
          .tokens("blocks.\(block)", normals(5 * 17 * 12, "t\(block)"), 4, 4, 12, prefix: 1),
        ]
      })
    study.add(
      "refined",
      [
        .attention("0.attn_map_raw", softmax(5 * 2 * 9, 9, "raw"), heads: 2, 3, 3),
        .attention("0.attn_map", normals(5 * 2 * 81, "refined"), heads: 2, 3, 3),
      ])
    study.add("resnet", family: "resnet", [.maps("r0", normals(5 * 81 * 7, "r0"), 9, 9, 7)])
    return study
  }

  @Test func orderAndThreadsDoNotChangeABit() throws {
    let study = several
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let files = try [1, 2, 3].map { count in
      Threads.configure(count: count)
      return try study.report(AttentionAnalyzer()).files
    }
    #expect(files[0] == files[1] && files[0] == files[2])
    #expect(try study.report(AttentionAnalyzer(), order: [1, 0]).files == files[0])
    #expect(files[0].count == 12)
  }

  /// Refined maps have weights below zero: their magnitudes are taken, which is said.
  @Test func weightsBelowZero() throws {
    let report = try several.report(AttentionAnalyzer())
    let table = try #require(report.table("attention"))
    let text = table.csv.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    for line in text where line[0] == "refined" && line[9] == "entropy" {
      #expect(line[13] == (line[3] == "0.attn_map" ? "magnitudes" : "ok"))
    }
    let values = several.subjects[1].layers[1].values
    let entropies = (0..<5).map { image in
      PlainAttention(
        values[image * 162..<(image + 1) * 162], windows: 1, heads: 2, height: 3, width: 3,
        prefix: 0
      ).entropy(1)
    }
    #expect(
      agrees(
        AttentionRows(report)["entropy", 1, layer: 1, model: "refined"], mean(entropies), 1e-6))
    #expect(report.notes.contains { $0.contains("refined: weights below zero") })
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func layersThatAreNotFiniteAreNamed(_ bad: Float) throws {
    var study = several
    study.subjects[0].layers[2].values[300] = bad
    study.subjects[0].layers[3].values[300] = bad
    let report = try study.report(AttentionAnalyzer())
    let rows = AttentionRows(report)
    #expect(rows.status("entropy", 0, layer: 2) == "nan_input")
    #expect(rows.status("token_similarity", layer: 3) == "nan_input")
    #expect(rows["entropy", 0, layer: 2] == nil)
    // The comparison of that head with the layer before lacks that image; the others stay.
    #expect(rows["entropy", 0, layer: 4] != nil)
    #expect(rows.images("layer_similarity", 1, layer: 4) == 4)
    #expect(rows.images("layer_similarity", 0, layer: 4) == 5)
    #expect(report.notes.contains { $0.contains("blocks.1.attn_map") })
  }

  /// A file of foreign maps may promise one grid and hold another.
  @Test func mapsOfAnotherGrid() throws {
    var study = FeatureStudy([2])
    study.imageSize = 8
    let tap = Tap("m", .attentionMap, layout: .attention(height: 4, width: 4, prefix: 0))
    study.add(
      "a", [.init(tap: tap, shape: [2, 9, 9], values: softmax(2 * 2 * 9, 9, "other"))])
    let rows = AttentionRows(try study.report(AttentionAnalyzer()))
    for statistic in ["distance", "entropy", "nmi"] {
      #expect(rows.status(statistic, 0) == "undefined_grid")
      #expect(rows[statistic, 0] == nil)
    }
    #expect(rows["head_similarity"] != nil)
    #expect(rows["effective_rank", 1] != nil)
  }

  @Test func hugeAndTinyWeights() throws {
    let maps = softmax(2 * 2 * 16, 16, "scale")
    func study(_ factor: Float) throws -> AttentionRows {
      var study = FeatureStudy([2])
      study.imageSize = 16
      study.add("a", [.attention("m", maps.map { $0 * factor }, heads: 2, 4, 4)])
      return AttentionRows(try study.report(AttentionAnalyzer()))
    }
    let plain = try study(1)
    for factor in [Float(0x1p-90), 0x1p100] {
      let scaled = try study(factor)
      for name in ["distance", "entropy", "nmi", "effective_rank", "head_similarity"] {
        let head = name == "head_similarity" ? nil : 1
        #expect(agrees(scaled[name, head], plain[name, head], 1e-5), "\(name) \(factor)")
      }
    }
  }
}
