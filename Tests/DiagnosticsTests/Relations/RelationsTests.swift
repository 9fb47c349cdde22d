import Glibc
import Reports
import Tensors
import Testing

@testable import Diagnostics

/// Connection weights of which every measure is known.
@Suite struct RelationsTests {
  private let names = [
    "outside_3", "outside_5", "outside_7", "dynamic", "over_places", "over_channels",
  ]

  /// The row of one layer.
  private func row(
    _ layer: FeatureStudy.Layer, _ batches: [Int] = [2], rankImages: Int = 1
  ) throws -> [String: Double] {
    let report = try self.report(layer, batches, rankImages: rankImages)
    var found: [String: Double] = [:]
    let columns = names + ["effective_rank", "rank_bound", "keys", "dynamic_se"]
    for column in columns {
      found[column] = report.reals(column, of: "relations")[0]
    }
    return found
  }

  private func report(
    _ layer: FeatureStudy.Layer, _ batches: [Int] = [2], rankImages: Int = 1
  ) throws -> Report {
    var study = FeatureStudy(batches)
    study.add("a", [layer])
    var settings = RelationsSettings()
    settings.rankImages = rankImages
    return try study.report(RelationsAnalyzer(settings))
  }

  private func taps(
    _ values: [Float], groups: Int, places: Int = 1, side: Int, height: Int = 6, width: Int = 6,
    stride: Int = 1
  ) -> FeatureStudy.Layer {
    .connections(
      "b.dw_map", values, [groups, places, side * side],
      Connections(
        height: height, width: width,
        support: .taps(SlidingWindow(kernel: side, stride: stride, padding: side / 2))))
  }

  /// Repeats values for so many images.
  private func twice(_ values: [Float]) -> [Float] { values + values }

  @Test func aStaticDepthwiseKernelIsNeitherDynamicNorOfThePlace() throws {
    let row = try row(taps(twice(normals(5 * 49, "kernel")), groups: 5, side: 7))
    #expect(row["dynamic"] == 0)
    #expect(row["over_places"] == 0)
    #expect((row["over_channels"] ?? 0) > 0.5)
    #expect(row["outside_7"] == 0)
    #expect(row["keys"] == 49)
    #expect(row["rank_bound"] == 36)
  }

  @Test func aSmallKernelHasNothingOutside() throws {
    let small = try row(taps(twice(normals(4 * 9, "small")), groups: 4, side: 3))
    #expect(small["outside_3"] == 0)
    // Of even weights on 7 x 7 taps, 9 lie inside 3 x 3 and 25 inside 5 x 5.
    let even = try row(taps([Float](repeating: -0.5, count: 2 * 49), groups: 1, side: 7))
    #expect(agrees(even["outside_3"], 40.0 / 49, 1e-12))
    #expect(agrees(even["outside_5"], 24.0 / 49, 1e-12))
    #expect(even["outside_7"] == 0)
  }

  @Test func evenAttentionIsSharedByPlacesAndHeads() throws {
    let maps = [Float](repeating: 1 / 16, count: 2 * 3 * 256)
    let row = try row(.attention("b.attn_map", maps, heads: 3, 4, 4))
    #expect(agrees(row["over_channels"], 0, 1e-12))
    #expect(agrees(row["over_places"], 0, 1e-12))
    #expect(row["dynamic"] == 0)
    #expect(agrees(row["effective_rank"], 1, 1e-4))
  }

  @Test func gatesAreOfTheImageAlone() throws {
    // Squeeze and excitation: one tap, one weight an image and a channel.
    let gates: [Float] = [1, 0.5, 0.25, 0.5, 1, 0.25]
    let row = try row(taps(gates, groups: 3, side: 1))
    #expect(row["over_places"] == 0)
    // Variances over two images: 1/8, 1/8, 0; the mean square is 0.4375.
    #expect(agrees(row["dynamic"], (0.125 + 0.125) / 3 / 0.4375, 1e-12))
    // Over channels: the mean is 7/12, the mean square 0.4375.
    #expect(agrees(row["over_channels"], 1 - (7.0 / 12) * (7.0 / 12) / 0.4375, 1e-12))
    #expect(row["outside_3"] == 0)
    #expect(agrees(row["effective_rank"], 36, 1e-9))
  }

  @Test func theIdentityHasAllRanks() throws {
    let identity = (0..<2 * 2 * 81).map { Float($0 % 81 / 9 == $0 % 9 ? 1 : 0) }
    let row = try row(.attention("b.attn_map", identity, heads: 2, 3, 3))
    #expect(agrees(row["effective_rank"], 9, 1e-9))
    #expect(row["rank_bound"] == 9)
    #expect(row["outside_3"] == 0)
    #expect(agrees(row["over_places"], 0, 1e-12))
    // As a kernel: one tap in the middle of nine, on a grid of any size.
    let tap = (0..<2 * 9).map { Float($0 % 9 == 4 ? 3 : 0) }
    let kernel = try self.row(taps(tap, groups: 1, side: 3, height: 20, width: 20))
    #expect(agrees(kernel["effective_rank"], 400, 1e-9))
  }

  /// A kernel for each place is neither shared by places nor by groups, whatever the image.
  @Test func kernelsOfPlaces() throws {
    let one = normals(2 * 36 * 9, "places")
    let row = try row(taps(twice(one), groups: 2, places: 36, side: 3))
    #expect(row["dynamic"] == 0)
    // Of 36 independent places, one part in 36 is common by chance.
    #expect(agrees(row["over_places"], 35.0 / 36, 0.03))
    #expect(agrees(row["over_channels"], 0.5, 0.1))
    // Independent images: as much varies as there is.
    let two = try self.row(
      taps(normals(8 * 2 * 36 * 9, "images"), groups: 2, places: 36, side: 3), [8])
    #expect(agrees(two["dynamic"], 1, 0.05))
  }

  /// What varies over two images is an eighth of the mean square, in minibatches of any size.
  @Test func theDynamicShareIsOfASample() throws {
    let low = (0..<9).map { Float($0 == 4 ? 1 : 0) }
    let high = (0..<9).map { Float($0 == 4 ? 3 : 0) }
    // Mean square 5, sample variance 2 of two images, 4/3 of four.
    let two = try row(taps(low + high, groups: 1, side: 3))
    #expect(agrees(two["dynamic"], 2.0 / 5, 1e-12))
    let four = try row(taps(low + high + low + high, groups: 1, side: 3), [4])
    #expect(agrees(four["dynamic"], 4.0 / 3 / 5, 1e-12))
    #expect(agrees(four["dynamic_se"], 0, 1e-12))
  }

  @Test func fewerKeysBoundTheRank() throws {
    // Each of 16 places reads 4 cells of 2 x 2.
    let maps = normals(2 * 2 * 16 * 4, "cells").map { abs($0) }
    let layer = FeatureStudy.Layer.connections(
      "b.attn_map", maps, [2, 16, 4],
      Connections(height: 4, width: 4, support: .cells(height: 2, width: 2)))
    let row = try row(layer)
    #expect(row["rank_bound"] == 4)
    #expect((row["effective_rank"] ?? 9) <= 4)
    // The middle of a cell is at most 2.5 places away, its own half a place.
    #expect(row["outside_7"] == 0)
    let near = try self.row(
      .connections(
        "b.attn_map",
        twice(
          (0..<16 * 4).map {
            let (query, key) = ($0 / 4, $0 % 4)
            return key == query / 8 * 2 + query % 4 / 2 ? 1 : 0
          }), [1, 16, 4],
        Connections(height: 4, width: 4, support: .cells(height: 2, width: 2))))
    #expect(near["outside_3"] == 0)
    #expect(agrees(near["effective_rank"], 4, 1e-9))
  }

  private func pooling(
    _ values: [Float], heads: Int, queries: Int = 1, prefix: Int = 0
  ) -> FeatureStudy.Layer {
    .connections(
      "pool.attn_map", values, [heads, queries, prefix + 4],
      Connections(height: 2, width: 2, prefix: prefix, support: .pooling))
  }

  @Test func poolingHasNeitherReachNorPlaces() throws {
    // A class token and four patches: what the token gives to itself is left out.
    let even: [Float] = [0.2, 0.2, 0.2, 0.2, 0.2]
    let layer = pooling(twice(even + [0.6, 0.1, 0.1, 0.1, 0.1]), heads: 2, prefix: 1)
    let row = try row(layer)
    for column in ["outside_3", "outside_5", "outside_7", "over_places", "effective_rank"] {
      #expect(row[column] == nil, "\(column)")
    }
    #expect(row["dynamic"] == 0)
    // Of 0.2 and 0.1 the variance is a tenth of the mean square.
    #expect(agrees(row["over_channels"], 0.1, 1e-6))
    #expect(row["keys"] == 4 && row["rank_bound"] == 1)
    let report = try self.report(layer)
    #expect(report.texts("support", of: "relations") == ["pooling"])
    #expect(report.texts("status", of: "relations") == ["no_place"])
    #expect(report.texts("channels_status", of: "relations") == ["ok"])
    #expect(report.texts("dynamic_status", of: "relations") == ["ok"])
    #expect(report.texts("rank_status", of: "relations") == ["one_query"])
    #expect(report.reals("n_images", of: "relations") == [2])
    // Even for every head and image: nothing varies.
    let uniform = try self.row(pooling([Float](repeating: 0.25, count: 3 * 8), heads: 3))
    #expect(uniform["over_channels"] == 0 && uniform["dynamic"] == 0)
    // Two images that look at different patches have nothing in common.
    let apart = try self.row(pooling([1, 0, 0, 0, 0, 0, 0, 1], heads: 1))
    #expect(agrees(apart["dynamic"], 1, 1e-12))
    // Two queries that look at different patches are two independent rows.
    let two = try self.row(pooling(twice([1, 0, 0, 0, 0, 1, 0, 0]), heads: 1, queries: 2))
    #expect(agrees(two["effective_rank"], 2, 1e-9) && two["rank_bound"] == 2)
  }

  @Test func windowsThatOverlapAreAddedUp() throws {
    // Windows of 3 x 3 at every second place of 4 x 4, each the identity: places get 1, 2 or 4 times themselves.
    let identity = (0..<81).map { Float($0 / 9 == $0 % 9 ? 1 : 0) }
    let layer = FeatureStudy.Layer.connections(
      "b.attn_map", (0..<2 * 4).flatMap { _ in identity }, [4, 1, 9, 9],
      Connections(
        height: 3, width: 3, support: .windows(mapHeight: 4, mapWidth: 4, stride: 2, padding: 1)))
    let row = try row(layer)
    #expect(row["rank_bound"] == 16)
    // Windows begin at -1 and 1: along an axis, places 0 to 3 are in 1, 2, 1, 1 of them.
    let times = [1.0, 2, 1, 1]
    let values = times.flatMap { a in times.map { a * $0 } }
    let sum = values.reduce(0, +)
    let entropy = values.reduce(0) { $0 - $1 / sum * log($1 / sum) }
    #expect(agrees(row["effective_rank"], exp(entropy), 1e-6))
    // Apart from each other they are blocks along the diagonal.
    let apart = try self.row(
      .attention("b.attn_map", (0..<2 * 4).flatMap { _ in identity }, windows: 4, heads: 1, 3, 3))
    #expect(agrees(apart["effective_rank"], 36, 1e-9))
  }

  @Test func classTokensAreNoPlaces() throws {
    // All weight on the class token's column and row but for the middle of each patch.
    var maps = [Float](repeating: 0, count: 2 * 25)
    for image in 0..<2 {
      for token in 0..<5 {
        maps[image * 25 + token * 5] = 5
        maps[image * 25 + token] = 5
        if token > 0 { maps[image * 25 + token * 6] = 1 }
      }
    }
    let row = try row(.attention("b.attn_map", maps, heads: 1, 2, 2, prefix: 1))
    #expect(row["outside_3"] == 0)
    #expect(agrees(row["over_places"], 0, 1e-12))
  }

  @Test func whatIsNotDefinedSaysWhy() throws {
    func status(_ report: Report, _ column: String) -> String {
      report.texts(column, of: "relations")[0]
    }
    let kernel = normals(9, "alone")
    let alone = try report(taps(kernel, groups: 1, side: 3), [1])
    #expect(status(alone, "dynamic_status") == "one_image")
    #expect(status(alone, "status") == "ok")
    #expect(alone.reals("dynamic", of: "relations")[0] == nil)
    #expect(alone.reals("outside_3_se", of: "relations")[0] == nil)

    let zeros = try report(taps([Float](repeating: 0, count: 18), groups: 1, side: 3))
    #expect(status(zeros, "status") == "degenerate")
    let broken = try report(taps(kernel + [.nan] + kernel.dropFirst(), groups: 1, side: 3))
    #expect(status(broken, "status") == "nan_input")
    let none = try report(taps(twice(kernel), groups: 1, side: 3), rankImages: 0)
    #expect(status(none, "rank_status") == "not_taken")
    let large = try report(
      taps(
        [Float](repeating: 1, count: 2 * 400 * 9), groups: 1, places: 400, side: 3, height: 20,
        width: 20))
    #expect(status(large, "rank_status") == "too_large")
    // Five taps are no 3 x 3 window.
    let wrong = try report(
      .connections(
        "b.dw_map", [Float](repeating: 1, count: 10), [1, 1, 5],
        Connections(
          height: 6, width: 6, support: .taps(SlidingWindow(kernel: 3, padding: 1)))))
    #expect(status(wrong, "status") == "undefined_grid")
  }

  @Test func denseConvolutionsDeclareTheirChannels() throws {
    let layer = FeatureStudy.Layer.connections(
      "b.conv1_map", twice(normals(4 * 9, "dense").map { abs($0) }), [4, 1, 9],
      Connections(
        height: 6, width: 6, support: .taps(SlidingWindow(kernel: 3, padding: 1)),
        declared: .init(
          .parameters, channels: 4, isDense: true, parameters: 288, multiplyAdds: 10368)))
    let report = try report(layer)
    #expect(report.texts("connectivity", of: "relations") == ["dense"])
    #expect(report.texts("made_of", of: "relations") == ["parameters"])
    #expect(report.texts("channels_status", of: "relations") == ["dense"])
    #expect(report.texts("rank_status", of: "relations") == ["dense"])
    #expect(report.reals("parameters", of: "relations") == [288])
    #expect(report.reals("multiply_adds", of: "relations") == [10368])
    #expect(report.reals("outside_3", of: "relations") == [0])
    #expect(report.reals("over_channels", of: "relations") == [nil])
  }

  /// The order of minibatches and the number of threads change nothing.
  @Test func recordsAreReducedInOrder() throws {
    var study = FeatureStudy([3, 2, 3])
    study.add(
      "a",
      [
        taps(normals(8 * 2 * 36 * 9, "a"), groups: 2, places: 36, side: 3),
        .attention("c.attn_map", normals(8 * 2 * 256, "b").map { abs($0) }, heads: 2, 4, 4),
      ])
    let analyzer = RelationsAnalyzer()
    let forward = try study.report(analyzer).files
    #expect(try study.report(analyzer, order: [2, 0, 1]).files == forward)
    let records = study.records(analyzer)
    for record in records { #expect(analyzer.isValid(record, plan: study.plan)) }
    #expect(!forward.isEmpty)
  }
}
