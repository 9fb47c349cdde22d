import Glibc
import Reports
import Tensors
import Testing

@testable import Diagnostics

/// Kernels of local layers and reduced keys among attention maps: a kernel is a row of a map of all places.
@Suite struct LocalWeightsTests {
  private static let (height, width) = (5, 4)

  private func report(_ layers: [FeatureStudy.Layer], pixels: Int? = 20) throws -> Report {
    var study = FeatureStudy([2])
    study.imageSize = pixels
    study.add("a", layers)
    return try study.report(AttentionAnalyzer())
  }

  private func taps(
    _ values: [Float], groups: Int, places: Int, side: Int = 3, height: Int = height,
    width: Int = width
  ) -> FeatureStudy.Layer {
    .connections(
      "b.dw_map", values, [groups, places, side * side],
      Connections(
        height: height, width: width,
        support: .taps(SlidingWindow(kernel: side, padding: side / 2))))
  }

  /// The map `[places, places]` of the kernels of two images, 3 x 3 taps: zeros outside of the windows.
  private func maps(_ kernels: [Float], groups: Int, places: Int) -> [Float] {
    let (height, width) = (Self.height, Self.width)
    let count = height * width
    return (0..<2 * groups).flatMap { map -> [Float] in
      (0..<count * count).map { pair in
        let (query, key) = (pair / count, pair % count)
        let (y, x) = (key / width - query / width, key % width - query % width)
        guard abs(y) <= 1, abs(x) <= 1 else { return 0 }
        let row = map * places + (places == 1 ? 0 : query)
        return kernels[row * 9 + (y + 1) * 3 + x + 1]
      }
    }
  }

  /// What is told of kernels is what is told of the maps that they stand for.
  @Test(arguments: [1, 20])
  func kernelsAreRowsOfMaps(_ places: Int) throws {
    let kernels = normals(2 * 3 * places * 9, "kernels \(places)").map { abs($0) + 0.01 }
    let local = try report([taps(kernels, groups: 3, places: places)])
    let whole = try report([
      .attention(
        "b.attn_map", maps(kernels, groups: 3, places: places), heads: 3, Self.height, Self.width)
    ])
    let (own, expected) = (AttentionRows(local), AttentionRows(whole))
    for statistic in ["distance", "entropy", "nmi"] {
      for head in 0..<3 {
        let value = try #require(expected[statistic, head])
        #expect(agrees(own[statistic, head], value, 1e-6), "\(statistic) \(head)")
        #expect(own.status(statistic, head) == "ok")
      }
    }
    #expect(agrees(own["uniform_entropy"], log(9), 1e-12))
    for column in ["dx", "dy", "cov_xx", "cov_xy", "cov_yy", "dx_se", "cov_xy_se"] {
      let (a, b) = (
        local.reals(column, of: "attention_offsets"), whole.reals(column, of: "attention_offsets")
      )
      #expect(a.count == 3)
      for (a, b) in zip(a, b) { #expect(agrees(a, b, 1e-6), "\(column)") }
    }
    // Kernels of places have the rank of the map; a shared one that of a map whose edges meet.
    if places > 1 {
      for head in 0..<3 {
        #expect(agrees(own["effective_rank", head], expected["effective_rank", head], 1e-6))
      }
    }
  }

  /// One tap of weight: everything is known.
  @Test func aShift() throws {
    // Group 0 reads its right neighbour, group 1 its own place.
    let shift = (0..<18).map { Float($0 == 5 || $0 == 13 ? 2 : 0) }
    let layer = taps(shift + shift, groups: 2, places: 1, height: 6, width: 6)
    var study = FeatureStudy([2])
    study.imageSize = 24
    study.add("a", [layer])
    let report = try study.report(AttentionAnalyzer())
    let rows = AttentionRows(report)
    // At the right edge the tap is outside: those places have no row.
    #expect(agrees(rows["distance", 0], 4, 1e-9))
    #expect(agrees(rows["distance", 1], 0, 1e-12))
    #expect(agrees(rows["entropy", 0], 0, 1e-12))
    #expect(agrees(rows["nmi", 1], 1, 1e-9))
    #expect(agrees(rows["effective_rank", 0], 36, 1e-9))
    #expect(agrees(rows["head_similarity"], 0, 1e-12))
    #expect(report.reals("dx", of: "attention_offsets") == [4, 0])
    #expect(report.reals("dy", of: "attention_offsets") == [0, 0])
    for column in ["cov_xx", "cov_xy", "cov_yy"] {
      #expect(report.reals(column, of: "attention_offsets") == [0, 0])
    }
    #expect(report.figures.map(\.name).contains("attention_offsets_a"))
  }

  /// Heads that look evenly at all of an image: the spread is that of differences of places.
  @Test func theCentreAndSpreadOfEvenAttention() throws {
    let maps = [Float](repeating: 1 / 16, count: 2 * 256)
    let report = try report([.attention("b.attn_map", maps, heads: 1, 4, 4)], pixels: 16)
    #expect(agrees(report.reals("dx", of: "attention_offsets")[0], 0, 1e-9))
    // Twice the variance of 0, 1, 2, 3, in pixels of 4.
    #expect(agrees(report.reals("cov_xx", of: "attention_offsets")[0], 2 * 1.25 * 16, 1e-6))
    #expect(agrees(report.reals("cov_xy", of: "attention_offsets")[0], 0, 1e-9))
    #expect(report.reals("dx_se", of: "attention_offsets")[0] == 0)
  }

  /// Queries without a place look from the middle of the image; a class token's weight on itself is left out.
  @Test func poolingLooksFromTheMiddle() throws {
    func pooling(_ values: [Float], queries: Int = 1, prefix: Int = 0) -> FeatureStudy.Layer {
      let heads = values.count / (2 * queries * (prefix + 16))
      return .connections(
        "pool.attn_map", values, [heads, queries, prefix + 16],
        Connections(height: 4, width: 4, prefix: prefix, support: .pooling))
    }
    let even = [Float](repeating: 0.05, count: 16)
    // The second head looks at the last patch, below and to the right.
    let corner = (0..<16).map { Float($0 == 15 ? 0.7 : 0) }
    let image: [Float] = [0.2] + even + [0.3] + corner
    let report = try report([pooling(image + image, prefix: 1)], pixels: 16)
    let rows = AttentionRows(report)
    #expect(agrees(rows["entropy", 0], log(16), 1e-6))
    #expect(agrees(rows["uniform_entropy"], log(16), 1e-12))
    #expect(agrees(rows["entropy", 1], 0, 1e-7))
    let offsets = Dictionary(
      uniqueKeysWithValues: ["dx", "dy", "cov_xx", "cov_xy", "cov_yy"].map {
        ($0, report.reals($0, of: "attention_offsets"))
      })
    // Patches of 4 px: the variance of 0, 1, 2, 3 is 1.25, and the last is 1.5 from the middle.
    for (column, known) in [
      ("dx", [0.0, 6]), ("dy", [0, 6]), ("cov_xx", [20, 0]), ("cov_xy", [0, 0]),
      ("cov_yy", [20, 0]),
    ] {
      for head in 0..<2 { #expect(agrees(offsets[column]?[head], known[head], 1e-5), "\(column)") }
    }
    #expect(report.texts("status", of: "attention_offsets") == ["from_middle", "from_middle"])
    #expect(rows["distance", 0] == nil && rows.status("distance", 0) == "no_place")
    #expect(rows["nmi", 0] == nil && rows.status("nmi", 0) == "one_query")
    #expect(rows.status("effective_rank", 0) == "one_query")
    #expect(rows.status("entropy", 0) == "ok" && rows.status("head_similarity") == "ok")
    #expect(report.figures.map(\.name).contains("attention_offsets_a"))
    // Two queries, each with a patch of its own, tell of themselves by what they look at.
    let first = (0..<16).map { Float($0 == 0 ? 1 : 0) }
    let two = first + corner
    let several = try self.report([pooling(two + two, queries: 2)], pixels: 16)
    let own = AttentionRows(several)
    #expect(agrees(own["nmi", 0], 1, 1e-7))
    #expect(own.status("effective_rank", 0) == "ok" && own.status("distance", 0) == "no_place")
    #expect(agrees(several.reals("dx", of: "attention_offsets")[0], 0, 1e-9))
    #expect(agrees(several.reals("cov_xy", of: "attention_offsets")[0], 36, 1e-6))
    let unknown = try self.report([pooling(image + image, prefix: 1)], pixels: nil)
    #expect(unknown.texts("status", of: "attention_offsets")[0] == "no_image_size")
    #expect(AttentionRows(unknown).status("distance", 0) == "no_place")
    // More keys than the grid and its tokens.
    let wrong = FeatureStudy.Layer.connections(
      "pool.attn_map", [Float](repeating: 1, count: 20), [1, 1, 10],
      Connections(height: 4, width: 4, support: .pooling))
    #expect(AttentionRows(try self.report([wrong])).status("entropy") == "undefined_grid")
  }

  @Test func cellsLieInTheMiddleOfTheirPlaces() throws {
    // 4 x 4 places read 2 x 2 cells evenly: cells lie at 0.5 and 2.5.
    let layer = FeatureStudy.Layer.connections(
      "b.attn_map", [Float](repeating: 0.25, count: 2 * 64), [1, 16, 4],
      Connections(height: 4, width: 4, support: .cells(height: 2, width: 2)))
    let report = try report([layer], pixels: 4)
    let rows = AttentionRows(report)
    var distance = 0.0
    for query in 0..<16 {
      for key in 0..<4 {
        let y = Double(key / 2) * 2 + 0.5 - Double(query / 4)
        let x = Double(key % 2) * 2 + 0.5 - Double(query % 4)
        distance += (y * y + x * x).squareRoot() / 64
      }
    }
    #expect(agrees(rows["distance", 0], distance, 1e-6))
    #expect(agrees(rows["entropy", 0], log(4), 1e-6))
    #expect(agrees(rows["nmi", 0], 0, 1e-6))
    #expect(agrees(rows["effective_rank", 0], 1, 1e-4))
    #expect(agrees(report.reals("dx", of: "attention_offsets")[0], 0, 1e-12))
    #expect(agrees(report.reals("cov_xx", of: "attention_offsets")[0], 1.25 + 1, 1e-9))
  }

  @Test func whatIsNotDefinedSaysWhy() throws {
    let kernels = normals(2 * 9, "signed")
    #expect(kernels.contains { $0 < 0 })
    let signed = AttentionRows(try report([taps(kernels, groups: 1, places: 1)]))
    #expect(signed.status("distance", 0) == "magnitudes")
    #expect(signed.status("head_similarity") == "single_head")
    let unknown = try report([taps(kernels, groups: 1, places: 1)], pixels: nil)
    #expect(AttentionRows(unknown).status("distance", 0) == "no_image_size")
    #expect(unknown.texts("status", of: "attention_offsets") == ["no_image_size"])
    #expect(!unknown.figures.map(\.name).contains("attention_offsets_a"))
    let large = try report([
      taps(
        [Float](repeating: 1, count: 2 * 289 * 9), groups: 1, places: 289, height: 17, width: 17)
    ])
    #expect(AttentionRows(large).status("effective_rank", 0) == "too_large")
    // Taps that are no window of the grid.
    let wrong = try report([
      .connections(
        "b.dw_map", [Float](repeating: 1, count: 8), [1, 1, 4],
        Connections(height: 4, width: 4, support: .taps(SlidingWindow(kernel: 3, padding: 1))))
    ])
    #expect(AttentionRows(wrong).status("entropy") == "undefined_grid")
  }

  /// Weights of every pair of channels are not looked at as heads.
  @Test func denseConvolutionsAreLeftOut() {
    let declared = Connections.Declaration(
      .parameters, channels: 4, isDense: true, parameters: 9, multiplyAdds: 9)
    let connections = Connections(
      height: 4, width: 4, support: .taps(SlidingWindow(kernel: 3, padding: 1)),
      declared: declared)
    let tap = Tap("b.conv1_map", .attentionMap, layout: .connections(connections))
    #expect(!AttentionAnalyzer().accepts(tap))
    #expect(RelationsAnalyzer().accepts(tap))
  }
}
