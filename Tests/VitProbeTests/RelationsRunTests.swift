import Checkpoints
import Diagnostics
import Models
import Reports
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// `relations` on models, through the run that the command makes.
@Suite struct RelationsRunTests {
  private func report(_ models: [String], images: Int = 6) throws -> Report {
    let subjects = try models.enumerated().map { try Samples.model($1, label: "m\($0)") }
    let run = try FeatureRun(
      subjects, on: Samples.images(images), analyses: [RelationsAnalyzer()],
      options: Samples.options())
    return try #require(try run().reports.first { $0.analysis == "relations" }).report
  }

  private func rows(_ report: Report) throws -> [[String: String]] {
    let lines = try #require(report.tables.first).csv.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(lines[0], $0)) }
  }

  private static var mixing: [String] {
    Samples.families.map(\.architecture).filter { !$0.hasPrefix("mixer") }
  }

  @Test(arguments: mixing)
  func everyFamily(_ architecture: String) throws {
    let report = try report([architecture])
    let rows = try rows(report)
    #expect(!rows.isEmpty)
    #expect(report.figures.map(\.name) == ["relations_map", "relations_depth"])
    for row in rows {
      #expect(row["dynamic_status"] == "ok" && row["kind"] == "map", "\(row)")
      let isFixed = row["made_of"] == "parameters"
      let dynamic = try #require(Double(row["dynamic"] ?? ""))
      #expect(isFixed ? dynamic == 0 : dynamic > 0, "\(row)")
      if row["support"] == "pooling" {
        #expect(row["status"] == "no_place" && row["rank_status"] == "one_query", "\(row)")
        #expect(row["outside_3"] == "" && row["over_places"] == "" && row["rank_bound"] == "1")
        continue
      }
      #expect(row["status"] == "ok", "\(row)")
      #expect(["ok", "dense"].contains(row["rank_status"]), "\(row)")
      for share in ["outside_3", "outside_5", "outside_7", "over_places"] {
        let value = try #require(Double(row[share] ?? ""))
        #expect((0...1).contains(value), "\(share): \(row)")
      }
      let outside = try ["outside_3", "outside_5", "outside_7"].map {
        try #require(Double(row[$0] ?? ""))
      }
      #expect(outside[0] >= outside[1] && outside[1] >= outside[2])
      if row["shared_places"] == "yes" { #expect(row["over_places"] == "0.0") }
      if let rank = Double(row["effective_rank"] ?? "") {
        let bound = try #require(Double(row["rank_bound"] ?? ""))
        #expect(rank >= 1 - 1e-6 && rank <= bound + 1e-6, "\(row)")
      }
    }
  }

  @Test func layersDeclareThemselves() throws {
    let rows = try rows(
      report([
        "pvt(image=32,patch=4,dims=8-12,depths=1-1,heads=2-3,classes=7)",
        "dwnet(kernels=static,image=32,dim=8,depths=1-1,window=3,classes=7)", Samples.resnet,
        "volo(image=32,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=7)",
        "vit(image=32,patch=8,dim=24,depth=1,heads=3,class-token=false,pool=attention,classes=7)",
      ]))
    func row(_ model: String, _ layer: String) throws -> [String: String] {
      try #require(rows.first { $0["model"] == model && $0["layer_name"] == layer })
    }
    // Keys of 8 x 8 places are cells of 8 x 8, then as many as places.
    let reduced = try row("m0", "block1.0.attn_map")
    #expect(reduced["support"] == "cells" && reduced["rank_bound"] == reduced["keys"])
    #expect(reduced["made_of"] == "pair" && reduced["connectivity"] == "channelwise")
    let local = try row("m1", "layers.0.blocks.0.dw_map")
    #expect(local["support"] == "local" && local["keys"] == "9" && local["shared_places"] == "yes")
    // A kernel of 3 x 3 for each of 8 channels, over 8 x 8 places.
    #expect(local["parameters"] == "72" && local["multiply_adds"] == "\(64 * 8 * 9)")
    #expect(local["rank_bound"] == "64" && local["heads"] == "8" && local["outside_3"] == "0.0")
    let dense = try rows.filter { $0["model"] == "m2" }
    #expect(!dense.isEmpty && dense.allSatisfy { $0["connectivity"] == "dense" })
    let outlook = try row("m3", "network.0.0.attn_map")
    #expect(outlook["support"] == "overlapping_windows" && outlook["made_of"] == "place")
    #expect(outlook["outside_5"] == "0.0")
    // The class token of 16 channels reads itself and 2 x 2 places; queries and keys of five tokens.
    let classes = try row("m3", "post_network.0.attn_map")
    #expect(classes["support"] == "pooling" && classes["made_of"] == "pair")
    let (products, mixing) = (6 * 16 * 16, 2 * 5 * 16)
    #expect(classes["keys"] == "4" && classes["parameters"] == "512")
    #expect(classes["multiply_adds"] == "\(products + mixing)")
    // A learned query of 24 channels, its product and that of the keys of 16 places, with biases.
    let pooled = try row("m4", "pool.attn_map")
    #expect(pooled["support"] == "pooling" && pooled["made_of"] == "key")
    let (parameters, keys, reads) = (24 + 2 * 25 * 24, 16 * 24 * 24, 2 * 16 * 24)
    #expect(pooled["keys"] == "16" && pooled["parameters"] == "\(parameters)")
    #expect(pooled["multiply_adds"] == "\(keys + reads)")
    // Kernels are counted behind the layers that other tables tell of.
    let model = try Samples.model(Samples.resnet)
    let numbers = Set(dense.compactMap { Int($0["layer_index"] ?? "") })
    let others = model.taps.count { $0.tap.connections == nil }
    #expect(numbers == Set(others..<others + dense.count))
  }

  /// What layers declare tells each operation from every other: reach, what weights are made of, sharing and rank.
  @Test func declarationsTellOperationsApart() throws {
    let operations = [
      ("vit(image=32,patch=8,dim=24,depth=1,heads=3,classes=7)", "blocks.0.attn_map"),
      (
        "swin(image=32,patch=2,window=4,dim=12,depths=2-2,heads=2-3,classes=7)",
        "layers.0.blocks.0.attn_map"
      ),
      ("pvt(image=32,patch=4,dims=8-12,depths=1-1,heads=2-3,classes=7)", "block1.0.attn_map"),
      (
        "volo(image=32,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=7)",
        "network.0.0.attn_map"
      ),
      (
        "volo(image=32,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=7)",
        "post_network.0.attn_map"
      ),
      (
        "vit(image=32,patch=8,dim=24,depth=1,heads=3,class-token=false,pool=attention,classes=7)",
        "pool.attn_map"
      ),
      ("sasa(image=32,depths=1-1,width=8,heads=2,window=3,classes=7)", "layer1.0.attn_map"),
      (
        "dwnet(kernels=static,image=32,dim=8,depths=1-1,window=3,classes=7)",
        "layers.0.blocks.0.dw_map"
      ),
      (
        "dwnet(kernels=dynamic,image=32,dim=8,depths=1-1,window=3,classes=7)",
        "layers.0.blocks.0.dw_map"
      ),
      (
        "rednet(image=32,depths=1-1,width=16,stem-width=32,classes=7)", "layer1.0.involution_map"
      ),
      (Samples.resnet, "layer1.0.conv1_map"),
    ]
    let found = try rows(report(operations.map(\.0)))
    let declared = try operations.enumerated().map { index, operation in
      let row = try #require(
        found.first { $0["model"] == "m\(index)" && $0["layer_name"] == operation.1 })
      return ["support", "made_of", "connectivity", "shared_places"].map { row[$0] ?? "" }
    }
    #expect(Set(declared).count == operations.count, "\(declared)")
    #expect(declared[2] == ["cells", "pair", "channelwise", "no"])
    #expect(declared[3] == ["overlapping_windows", "place", "channelwise", "no"])
    #expect(declared[8] == ["local", "image", "channelwise", "yes"])
    #expect(declared[9] == ["local", "place", "channelwise", "no"])
    // Reduced keys alone bound the rank by less than the places, which are 64 here; outlook attention has 16.
    let reduced = try #require(found.first { $0["model"] == "m2" })
    let outlook = try #require(found.first { $0["model"] == "m3" })
    #expect(reduced["rank_bound"] == "16" && reduced["keys"] == "16")
    #expect(outlook["rank_bound"] == "16" && outlook["keys"] == "9")
  }

  @Test func aNetworkWithoutMixingWeightsIsRefused() throws {
    let error = failure { _ = try report(["mixer(image=32,patch=8,dim=24,depth=2,classes=7)"]) }
    #expect(error?.kind == .usage)
    // Another ordering would not help.
    #expect(error?.message == "no layer of m0 is left for relations")
  }

  @Test func threadsDoNotChangeAByte() throws {
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let models = [2, 9, 12].map { Samples.families[$0].architecture }
    let files = try [1, 2, 3].map { count in
      Threads.configure(count: count)
      let report = try report(models, images: 20)
      return report.tables.map(\.csv) + report.figures.map(\.svg)
    }
    #expect(files[0] == files[1] && files[0] == files[2])
  }

  @Test func shardsAndAResumedRunHaveTheBytesOfOneRun() throws {
    let analyses: [any Analyzer] = [RelationsAnalyzer()]
    let whole = RecordStudy.files(try RecordStudy.features(analyses: analyses)())
    #expect(whole.keys.contains("relations.csv"))
    let scratch = Scratch()
    let parts = try (0..<2).map {
      try RecordStudy.part(
        RecordStudy.features(Shard(index: $0, count: 2), analyses: analyses), in: scratch,
        as: "p\($0).vpart")
    }
    let merged = try RecordStudy.merge([parts[1], parts[0]])
    #expect(RecordStudy.files(merged.run.reports.map(\.report)) == whole)
    let folder = Scratch()
    let first = try RecordStudy.features(analyses: analyses)
    let countdown = Countdown(2)
    _ = #expect(throws: Interruption.self) {
      let log = try RecordStudy.log(first, in: folder.path)
      _ = try first.collect(keeping: log, shouldStop: countdown.isOver)
    }
    let last = try RecordStudy.features(analyses: analyses)
    let log = try RecordStudy.log(last, in: folder.path, resuming: true)
    #expect(log.earlier.count == 2)
    #expect(RecordStudy.files(try last.collect(keeping: log).outcome()) == whole)
  }

  /// A capture of the weights says what the model says, declarations and all.
  @Test func aCaptureIsASubject() throws {
    for place in [9, 11, 12] {
      let scratch = Scratch()
      let model = try Samples.model(Samples.families[place].architecture)
      let images = try Samples.images(6)
      let path = scratch.file("maps.npz")
      let capture = try FeatureCapture(
        model, on: images, taps: TapSelection(layers: ["*_map"]), options: Samples.options())
      _ = try capture(to: path, format: .npz)
      let features = try FeatureSubject(Checkpoint.open(path), label: nil, defaultLabel: "f")
      func table(_ subject: any Subject, _ data: SampleSet) throws -> String {
        let run = try FeatureRun(
          [subject], on: data, analyses: [RelationsAnalyzer()], options: Samples.options())
        return try #require(try run().reports.first?.report.tables.first).csv
      }
      #expect(try table(features, features.samples()) == table(model, images))
    }
  }
}
