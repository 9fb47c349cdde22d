import Checkpoints
import Diagnostics
import Glibc
import Images
import Reports
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// `attention` on models, through the run that the command makes.
@Suite struct AttentionRunTests {
  private func report(
    _ subjects: [any Subject], on data: SampleSet, taps: TapSelection = TapSelection()
  ) throws -> Report {
    let run = try FeatureRun(
      subjects, on: data, analyses: [AttentionAnalyzer()], taps: taps, options: Samples.options())
    return try #require(try run().reports.first { $0.analysis == "attention" }).report
  }

  /// The cells of `attention.csv` by column.
  private func rows(_ report: Report) throws -> [[String: String]] {
    let lines = try #require(report.tables.first).csv.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(lines[0], $0)) }
  }

  @Test func columnsAreTheContract() throws {
    let report = try report([Samples.model(Samples.vit)], on: Samples.images(9))
    #expect(report.tables.map(\.name) == ["attention", "attention_offsets"])
    #expect(
      report.tables[0].columns.map(\.name) == [
        "model", "data", "layer_index", "layer_name", "kind", "block", "sequence", "depth",
        "head_index", "statistic", "n_images", "value", "se", "status",
      ])
    #expect(
      report.tables[1].columns.map(\.name) == [
        "model", "data", "layer_index", "layer_name", "kind", "block", "sequence", "depth",
        "head_index", "n_images", "dx", "dx_se", "dy", "dy_se", "cov_xx", "cov_xx_se", "cov_xy",
        "cov_xy_se", "cov_yy", "cov_yy_se", "status",
      ])
    #expect(
      Set(report.figures.map(\.name)) == [
        "attention_token_similarity", "attention_head_similarity", "attention_similar_heads",
        "attention_layer_similarity", "attention_distance", "attention_entropy", "attention_nmi",
        "attention_effective_rank", "attention_offsets_m",
      ])
  }

  /// Each family: how many maps it has, and whether its rows sum to 1.
  @Test(arguments: Samples.families)
  func everyFamily(_ family: Samples.Family) throws {
    let model = try Samples.model(family.architecture)
    let rows = try rows(report([model], on: Samples.images(6)))
    let maps = Set(rows.filter { $0["statistic"] == "entropy" }.map { $0["layer_name"] })
    #expect(maps.count == family.maps)
    let tokens = rows.filter { $0["statistic"] == "token_similarity" }
    #expect(tokens.count == model.taps.count { $0.tap.roles.contains(.block) })
    let undefined = ["first_layer", "shape_change", "single_head", "no_place", "one_query"]
    for row in rows {
      guard let value = Double(row["value"] ?? "") else {
        #expect(undefined.contains(row["status"] ?? ""), "\(row)")
        continue
      }
      #expect(row["status"] == "ok" || row["status"] == "magnitudes", "\(row)")
      switch row["statistic"] {
      case "distance": #expect(value >= 0 && value < 32 * 1.5, "\(row)")
      case "entropy": #expect(value >= 0 && value <= log(1024), "\(row)")
      case "nmi": #expect(value >= 0 && value <= 1, "\(row)")
      case "effective_rank": #expect(value >= 1 - 1e-6, "\(row)")
      default: #expect(value >= -1 - 1e-9 && value <= log(1024), "\(row)")
      }
      #expect((0...1).contains(Double(row["depth"] ?? "") ?? -1))
    }
    // Entropy is at most that of even attention.
    for row in rows where row["statistic"] == "entropy" {
      let even = rows.first {
        $0["layer_name"] == row["layer_name"] && $0["statistic"] == "uniform_entropy"
      }.flatMap {
        Double($0["value"] ?? "")
      }
      #expect(try #require(Double(row["value"] ?? "")) <= #require(even) + 1e-6)
    }
  }

  /// Keeps the values of attention maps.
  private final class Keeper: Probe {
    var values: [String: Tensor] = [:]
    func wants(_ tap: Tap) -> Bool { tap.kind == .attentionMap || tap.name.hasSuffix("mlp_res") }
    func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
      values[tap.name] = value
      return value
    }
  }

  /// The maps of a network, evaluated by the definitions in Float64.
  @Test func mapsOfANetworkByTheirDefinitions() throws {
    let model = try Samples.model(Samples.vit)
    let images = try Samples.images(5)
    let rows = try rows(report([model], on: images))
    let (batch, _) = try images.batch(
      0, of: BatchPlan(count: 5, batchSize: 5), decoding: true, onBadImage: .fail,
      forEach: serialLoop)
    let keeper = Keeper()
    _ = try model.forward(batch, probe: keeper)
    func found(_ layer: String, _ statistic: String, _ head: String) -> Double? {
      rows.first {
        $0["layer_name"] == layer && $0["statistic"] == statistic && $0["head_index"] == head
      }.flatMap { Double($0["value"] ?? "") }
    }
    for layer in ["blocks.0.attn_map", "blocks.1.attn_map"] {
      // [5, 3, 17, 17], a class token before 4 x 4 patches of 8 pixels.
      let values = try #require(keeper.values[layer]).values.map(Double.init)
      #expect(values.count == 5 * 3 * 17 * 17)
      for head in 0..<3 {
        var (distance, entropy, information) = (0.0, 0.0, 0.0)
        for image in 0..<5 {
          let map = (0..<16).map { query -> [Double] in
            let start = ((image * 3 + head) * 17 + query + 1) * 17 + 1
            let row = values[start..<start + 16]
            return row.map { $0 / row.reduce(0, +) }
          }
          let marginal = (0..<16).map { key in map.reduce(0) { $0 + $1[key] } / 16 }
          var mutual = 0.0
          for query in 0..<16 {
            for key in 0..<16 {
              let p = map[query][key]
              distance +=
                p * 8 * hypot(Double(query / 4 - key / 4), Double(query % 4 - key % 4)) / 80
              entropy -= p * log(p) / 80
              mutual += p / 16 * log(p / marginal[key])
            }
          }
          let keys = marginal.reduce(0) { $0 - $1 * log($1) }
          information += mutual / (log(16) * keys).squareRoot() / 5
        }
        #expect(abs(try #require(found(layer, "distance", "\(head)")) - distance) < 1e-5)
        #expect(abs(try #require(found(layer, "entropy", "\(head)")) - entropy) < 1e-6)
        #expect(abs(try #require(found(layer, "nmi", "\(head)")) - information) < 1e-6)
      }
    }
    let tokens = try #require(keeper.values["blocks.1.mlp_res"]).values.map(Double.init)
    var similarity = 0.0
    for image in 0..<5 {
      let rows = (1..<17).map { token in
        Array(tokens[(image * 17 + token) * 24..<(image * 17 + token + 1) * 24])
      }
      func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
      for a in 0..<16 {
        for b in 0..<16 where a != b {
          similarity +=
            dot(rows[a], rows[b]) / (dot(rows[a], rows[a]) * dot(rows[b], rows[b])).squareRoot()
            / (16 * 15 * 5)
        }
      }
    }
    #expect(
      abs(try #require(found("blocks.1.mlp_res", "token_similarity", "")) - similarity) < 1e-9)
  }

  /// Whole minibatches on threads, and the tiles of one minibatch: the same bytes.
  @Test func threadsDoNotChangeAByte() throws {
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let models = try [Samples.families[2], Samples.families[5]].enumerated().map {
      try Samples.model($1.architecture, label: "m\($0)")
    }
    let images = try Samples.images(40)
    let files = try [1, 2, 3].map { count in
      Threads.configure(count: count)
      let report = try report(models, on: images)
      return report.tables.map(\.csv) + report.figures.map(\.svg)
    }
    #expect(files[0] == files[1] && files[0] == files[2])
  }

  /// A capture with its maps says what the model says, distances in pixels among it.
  @Test(
    arguments: [Samples.vit] + [5, 9, 10, 11, 12].map { Samples.families[$0].architecture },
    FeatureFileFormat.allCases)
  func aCaptureOfMapsIsASubject(_ architecture: String, _ format: FeatureFileFormat) throws {
    let scratch = Scratch()
    let model = try Samples.model(architecture)
    let images = try Samples.images(9)
    let path = scratch.file("maps.\(format.rawValue)")
    let capture = try FeatureCapture(
      model, on: images, taps: TapSelection(ordering: .all), options: Samples.options())
    _ = try capture(to: path, format: format)
    let features = try FeatureSubject(Checkpoint.open(path), label: nil, defaultLabel: "f")
    let direct = try report([model], on: images)
    let stored = try report([features], on: features.samples())
    #expect(stored.tables.map(\.csv) == direct.tables.map(\.csv))
    #expect(stored.figures.map(\.svg) == direct.figures.map(\.svg))
  }

  /// Files from elsewhere: the metadata say what is attention, and may say how large images are.
  @Test func foreignMaps() throws {
    let scratch = Scratch()
    func file(_ metadata: [String: String]) throws -> any Subject {
      try open(
        featureFile(
          [("maps", .float32, [4, 2, 5, 5])], metadata: metadata, in: scratch, fill: 0x3f))
    }
    let taps =
      #"[{"name":"maps","kind":"map","layout":"attention","height":2,"width":2,"prefix_tokens":1}]"#
    let plain = try file(["format": "vitprobe-features", "taps": taps])
    let features = try #require(plain as? FeatureSubject)
    var rows = try rows(report([features], on: features.samples()))
    #expect(rows.first { $0["statistic"] == "distance" }?["status"] == "no_image_size")
    #expect(rows.first { $0["statistic"] == "head_similarity" }?["value"] == "1.0")
    let sized = try file(["format": "vitprobe-features", "taps": taps, "image_size": "8"])
    let other = try #require(sized as? FeatureSubject)
    rows = try self.rows(report([other], on: other.samples()))
    let distance = try #require(
      rows.first { $0["statistic"] == "distance" }.flatMap { Double($0["value"] ?? "") })
    #expect(abs(distance - 4 * 0.853553) < 1e-5)
    for bad in ["-8", "0", "eight", "99999999999999999999"] {
      let failure = failure {
        _ = try file(["format": "vitprobe-features", "taps": taps, "image_size": bad])
      }
      #expect(failure?.kind == .badData)
      #expect(failure?.message.contains("image_size") == true)
    }
  }

  /// Maps go with every ordering, and globs choose among all layers.
  @Test func orderingsAndGlobs() throws {
    let model = try Samples.model(Samples.vit)
    let images = try Samples.images(5)
    func layers(_ taps: TapSelection) throws -> [String] {
      var seen: [String] = []
      for row in try rows(report([model], on: images, taps: taps)) {
        let name = try #require(row["layer_name"])
        if seen.last != name { seen.append(name) }
      }
      return seen
    }
    #expect(
      try layers(TapSelection()) == [
        "blocks.0.attn_map", "blocks.0.mlp_res", "blocks.1.attn_map", "blocks.1.mlp_res",
      ])
    #expect(try layers(TapSelection(ordering: .sequence)).count == 7)
    #expect(try layers(TapSelection(layers: ["*attn_map"])).count == 2)
    #expect(
      try layers(TapSelection(layers: ["!*attn_map"])) == ["blocks.0.mlp_res", "blocks.1.mlp_res"])
  }

  @Test func memoryCountsTheMapsThatAreKept() throws {
    let model = try Samples.model(Samples.vit)
    let images = try Samples.images(16)
    func bytes(_ analyzer: any Analyzer) throws -> Int {
      try FeatureRun(
        [model], on: images, analyses: [analyzer],
        taps: TapSelection(layers: ["blocks.0.mlp_res", "*attn_map", "blocks.1.mlp_res"]),
        options: Samples.options(batchSize: 16)
      ).estimate().analysisBytes
    }
    #expect(try bytes(AttentionAnalyzer()) >= 16 * 3 * 17 * 17 * 4)
  }
}
