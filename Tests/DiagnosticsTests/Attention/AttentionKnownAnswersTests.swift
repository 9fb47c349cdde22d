import Glibc
import Reports
import Tensors
import Testing

@testable import Diagnostics

/// Attention maps and tokens of which every statistic is known.
@Suite struct AttentionKnownAnswersTests {
  private func analyzer(rankImages: Int = 8) -> AttentionAnalyzer {
    var settings = AttentionSettings()
    settings.rankImages = rankImages
    return AttentionAnalyzer(settings)
  }

  /// The report on one layer of attention maps, one image.
  private func report(
    _ maps: [[Float]], _ height: Int, _ width: Int, prefix: Int = 0, windows: Int? = nil,
    pixels: Int?
  ) throws -> AttentionRows {
    var study = FeatureStudy([1])
    study.imageSize = pixels
    study.add(
      "a",
      [
        .attention(
          "b.attn_map", maps.flatMap { $0 }, windows: windows,
          heads: maps.count / (windows ?? 1), height, width, prefix: prefix)
      ])
    return AttentionRows(try study.report(analyzer()))
  }

  private func uniform(_ tokens: Int) -> [Float] {
    Array(repeating: 1 / Float(tokens), count: tokens * tokens)
  }

  /// Each query attends to one key.
  private func permutation(_ tokens: Int, _ key: (Int) -> Int) -> [Float] {
    (0..<tokens * tokens).map { key($0 / tokens) == $0 % tokens ? 1 : 0 }
  }

  /// The mean distance of two places on the grid, by its definition.
  @Test(arguments: [(14, 224, 116.492227), (8, 8, 4.136483), (2, 2, 0.853553)])
  func evenAttention(_ side: Int, _ pixels: Int, _ distance: Double) throws {
    let rows = try report([uniform(side * side)], side, side, pixels: pixels)
    #expect(agrees(rows["distance", 0], distance, 1e-6))
    #expect(agrees(rows["distance"], distance, 1e-6))
    let even = log(Double(side * side))
    #expect(agrees(rows["entropy", 0], even, 1e-6))
    #expect(agrees(rows["uniform_entropy"], even, 1e-14))
    #expect(agrees(rows["nmi", 0], 0, 1e-6))
    #expect(agrees(rows["effective_rank", 0], 1, 1e-4))
  }

  @Test func patchesThatAreNoSquaresHaveTheirOwnPixels() throws {
    // Two patches of 4 x 8 pixels beside each other, then below each other.
    let across = try report([uniform(2)], 1, 2, pixels: 8)
    #expect(agrees(across["distance"], 2, 1e-12))
    let swapped = permutation(6) { ($0 + 3) % 6 }
    let down = try report([swapped], 2, 3, pixels: 12)
    #expect(agrees(down["distance"], 6, 1e-12))
  }

  @Test func attentionToOneself() throws {
    let rows = try report([permutation(49) { $0 }], 7, 7, pixels: 224)
    #expect(rows["distance", 0] == 0)
    #expect(rows["entropy", 0] == 0)
    #expect(agrees(rows["nmi", 0], 1, 1e-12))
    #expect(agrees(rows["effective_rank", 0], 49, 1e-9))
  }

  @Test func aPermutationIsFullyInformed() throws {
    let rows = try report([permutation(16) { ($0 * 5 + 3) % 16 }], 4, 4, pixels: 16)
    #expect(agrees(rows["nmi", 0], 1, 1e-12))
    #expect(rows["entropy", 0] == 0)
    #expect(agrees(rows["effective_rank", 0], 16, 1e-9))
  }

  /// All queries attend to the same key: there is no entropy to share.
  @Test func oneKeyForAllIsDegenerate() throws {
    let rows = try report([permutation(16) { _ in 5 }], 4, 4, pixels: 16)
    #expect(rows["nmi", 0] == nil)
    #expect(rows.status("nmi", 0) == "degenerate")
    #expect(rows["entropy", 0] == 0)
    #expect(agrees(rows["effective_rank", 0], 1, 1e-6))
  }

  /// The class token is dropped and rows are made to sum to 1 again; similarities are of whole maps.
  @Test func classTokensAreNoPatches() throws {
    // Half of every patch's attention goes to the class token, the other half to itself.
    let tokens = 5
    let map = (0..<tokens * tokens).map { index -> Float in
      let (query, key) = (index / tokens, index % tokens)
      if query == 0 { return 0.2 }
      return key == 0 || key == query ? 0.5 : 0
    }
    let rows = try report([map, map], 2, 2, prefix: 1, pixels: 32)
    #expect(rows["distance", 1] == 0)
    // Logarithms are those of Float32.
    #expect(agrees(rows["entropy", 1], 0, 1e-8))
    #expect(agrees(rows["nmi", 1], 1, 1e-8))
    #expect(agrees(rows["uniform_entropy"], log(4), 1e-12))
    #expect(agrees(rows["head_similarity"], 1, 1e-12))
    #expect(rows["similar_heads"] == 1)
  }

  /// A query without attention to any patch is no query: of three rows the entropies are log 2, 0 and
  /// 0, and of their mean (1, 1, 2, 2) / 6 it is log 3 + log 2 / 3.
  @Test func emptyRowsAreNotCounted() throws {
    let map: [Float] = [
      0, 0, 0, 0,
      0.5, 0.5, 0, 0,
      0, 0, 1, 0,
      0, 0, 0, 1,
    ]
    let rows = try report([map], 2, 2, pixels: 8)
    let marginal = log(3.0) + log(2.0) / 3
    #expect(agrees(rows["nmi", 0], log(3.0) / (log(3.0) * marginal).squareRoot(), 1e-6))
    #expect(agrees(rows["entropy", 0], log(2.0) / 3, 1e-6))
    // The second query attends to itself and to the patch on its left, 4 pixels away.
    #expect(agrees(rows["distance", 0], 2.0 / 3, 1e-6))
  }

  @Test func headsThatShareNothingAndHeadsThatShareAll() throws {
    let (own, next) = (permutation(9) { $0 }, permutation(9) { ($0 + 1) % 9 })
    let rows = try report([own, next, own], 3, 3, pixels: 9)
    // Of three pairs one is equal and two have nothing in common.
    #expect(agrees(rows["head_similarity"], 1.0 / 3, 1e-12))
    #expect(agrees(rows["similar_heads"], 1.0 / 3, 1e-12))
    let alone = try report([own], 3, 3, pixels: 9)
    #expect(alone["head_similarity"] == nil)
    #expect(alone.status("head_similarity") == "single_head")
  }

  /// Four windows of 2 x 2 on a map of 4 x 4: distances are inside a window, in pixels of the map.
  @Test func windows() throws {
    let (even, own) = (uniform(4), permutation(4) { $0 })
    // [window][head]: the first head is even in all of them, the second in one of four.
    let maps = [even, even, even, own, even, own, even, own]
    let rows = try report(maps, 2, 2, windows: 4, pixels: 32)
    let mean = (2 + 2.0.squareRoot()) / 4
    #expect(agrees(rows["distance", 0], 8 * mean, 1e-6))
    #expect(agrees(rows["distance", 1], 8 * mean / 4, 1e-6))
    #expect(agrees(rows["entropy", 1], log(4) / 4, 1e-6))
    #expect(agrees(rows["nmi", 1], 0.75, 1e-6))
    #expect(agrees(rows["effective_rank", 1], (1 + 3 * 4) / 4.0, 1e-6))
    // One cosine of all windows: 1 + 3 · 1 products, lengths 2 and √(1 + 3 · 4).
    #expect(agrees(rows["head_similarity"], 4 / (2 * 13.0.squareRoot()), 1e-6))
  }

  /// The map that windows lie on says how large their tokens are, padded or not.
  @Test func windowsOnTheMapOfTheirBlock() throws {
    var study = FeatureStudy([1])
    study.imageSize = 30
    let windows = 6
    study.add(
      "a",
      [
        .attention(
          "b.attn_map", Array(repeating: uniform(4), count: windows).flatMap { $0 },
          windows: windows, heads: 1, 2, 2),
        .tokens("b", normals(15 * 4, "block"), 3, 5, 4, prefix: 0),
      ])
    let rows = AttentionRows(try study.report(analyzer()))
    // Tokens are 10 pixels high and 6 wide.
    let mean = (10 + 6 + 136.0.squareRoot()) / 4
    #expect(agrees(rows["distance", 0], mean, 1e-6))
  }

  @Test func withoutTheSizeOfImagesThereAreNoPixels() throws {
    let rows = try report([uniform(16)], 4, 4, pixels: nil)
    #expect(rows["distance", 0] == nil)
    #expect(rows.status("distance", 0) == "no_image_size")
    #expect(agrees(rows["entropy", 0], log(16), 1e-6))
  }

  @Test func successiveLayersOfOneSeries() throws {
    let (own, even) = (permutation(4) { $0 }, uniform(4))
    var study = FeatureStudy([1])
    study.imageSize = 4
    study.add(
      "a",
      [
        .attention("0.attn_map_raw", even + own, heads: 2, 2, 2),
        .attention("0.attn_map", own + own, heads: 2, 2, 2),
        .attention("1.attn_map_raw", even + even, heads: 2, 2, 2),
        .attention("1.attn_map", own + own, heads: 2, 2, 2),
        .attention("2.attn_map", Array(repeating: even, count: 3).flatMap { $0 }, heads: 3, 2, 2),
      ])
    let report = try study.report(analyzer())
    let rows = AttentionRows(report)
    #expect(rows.status("layer_similarity", layer: 0) == "first_layer")
    #expect(rows.status("layer_similarity", layer: 1) == "first_layer")
    // The identity and even attention: 4 · 1/4 products, lengths 2 and 1.
    #expect(agrees(rows["layer_similarity", 0, layer: 2], 1, 1e-12))
    #expect(agrees(rows["layer_similarity", 1, layer: 2], 0.5, 1e-12))
    #expect(agrees(rows["layer_similarity", layer: 2], 0.75, 1e-12))
    #expect(agrees(rows["layer_similarity", layer: 3], 1, 1e-12))
    #expect(rows.status("layer_similarity", layer: 4) == "shape_change")
    #expect(report.figures.contains { $0.name == "attention_layer_similarity" })
    // All maps of a model have its colour and marker; those before the last are outlines.
    let drawn = report.figures.filter { !$0.name.hasPrefix("attention_offsets") }
    let styles = drawn.flatMap(\.panels).flatMap(\.marks).compactMap { mark -> Style? in
      if case .series(let series) = mark, series.style.marker != nil { series.style } else { nil }
    }
    #expect(Set(styles.map(\.color)).count == 1 && Set(styles.map(\.marker)).count == 1)
    #expect(Set(styles.map(\.isHollow)).count == 2)
  }

  // MARK: Tokens

  private func tokens(_ values: [Float], count: Int) throws -> AttentionRows {
    var study = FeatureStudy([1])
    study.add("a", [.tokens("b", values, 1, count, values.count / count, prefix: 0)])
    return AttentionRows(try study.report(analyzer()))
  }

  @Test func tokensOfKnownAngles() throws {
    let same = (0..<6).flatMap { _ -> [Float] in [1, 2, -3, 0.5] }
    #expect(agrees(try tokens(same, count: 6)["token_similarity"], 1, 1e-12))
    // Lengths do not matter.
    let longer = (1...6).flatMap { n -> [Float] in [1, 2, -3, 0.5].map { $0 * Float(n) } }
    #expect(agrees(try tokens(longer, count: 6)["token_similarity"], 1, 1e-12))
    let axes = (0..<5).flatMap { t -> [Float] in (0..<5).map { $0 == t ? 3 : 0 } }
    #expect(agrees(try tokens(axes, count: 5)["token_similarity"], 0, 1e-12))
    let opposite = (0..<8).flatMap { t -> [Float] in [1, 2].map { t % 2 == 0 ? $0 : -$0 } }
    #expect(agrees(try tokens(opposite, count: 8)["token_similarity"], -1.0 / 7, 1e-12))
  }

  @Test func tokensOfLengthZeroAreLeftOutAndCounted() throws {
    var values = (0..<6).flatMap { _ -> [Float] in [1, 2] }
    values.replaceSubrange(4..<6, with: [0, 0])
    var study = FeatureStudy([1])
    study.add("a", [.tokens("b", values, 1, 6, 2, prefix: 0)])
    let report = try study.report(analyzer())
    #expect(agrees(AttentionRows(report)["token_similarity"], 1, 1e-12))
    #expect(report.notes.contains { $0.contains("1 token(s) of length zero") })
    let lone = try tokens([0, 0, 1, 2], count: 2)
    #expect(lone["token_similarity"] == nil)
    #expect(lone.status("token_similarity") == "degenerate")
  }

  @Test func placesOfAMapAreTokensAndPrefixTokensAreNot() throws {
    var study = FeatureStudy([1])
    study.add(
      "a",
      [
        .maps("m", [1, 0, 0, 1, 1, 0, 0, 1], 2, 2, 2),
        .tokens("t", [5, -3, 1, 1, 2, 2], 1, 2, 2, prefix: 1),
      ])
    let report = try study.report(analyzer())
    let rows = AttentionRows(report)
    #expect(agrees(rows["token_similarity", layer: 0], 2.0 / 6, 1e-12))
    #expect(agrees(rows["token_similarity", layer: 1], 1, 1e-12))
    #expect(report.notes.contains { $0.contains("a has no attention maps") })
  }
}
