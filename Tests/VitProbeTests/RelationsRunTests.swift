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
      #expect(row["status"] == "ok" && row["dynamic_status"] == "ok", "\(row)")
      #expect(["ok", "dense"].contains(row["rank_status"]), "\(row)")
      for share in ["outside_3", "outside_5", "outside_7", "over_places"] {
        let value = try #require(Double(row[share] ?? ""))
        #expect((0...1).contains(value), "\(share): \(row)")
      }
      let outside = try ["outside_3", "outside_5", "outside_7"].map {
        try #require(Double(row[$0] ?? ""))
      }
      #expect(outside[0] >= outside[1] && outside[1] >= outside[2])
      let isFixed = row["made_of"] == "parameters"
      let dynamic = try #require(Double(row["dynamic"] ?? ""))
      #expect(isFixed ? dynamic == 0 : dynamic > 0, "\(row)")
      if row["shared_places"] == "yes" { #expect(row["over_places"] == "0.0") }
      if let rank = Double(row["effective_rank"] ?? "") {
        let bound = try #require(Double(row["rank_bound"] ?? ""))
        #expect(rank >= 1 - 1e-6 && rank <= bound + 1e-6, "\(row)")
      }
      #expect(row["kind"] == "map")
    }
  }

  @Test func layersDeclareThemselves() throws {
    let rows = try rows(
      report([
        "pvt(image=32,patch=4,dims=8-12,depths=1-1,heads=2-3,classes=7)",
        "dwnet(kernels=static,image=32,dim=8,depths=1-1,window=3,classes=7)", Samples.resnet,
        "volo(image=32,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=7)",
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
    // Kernels are counted behind the layers that other tables tell of.
    let model = try Samples.model(Samples.resnet)
    let numbers = Set(dense.compactMap { Int($0["layer_index"] ?? "") })
    let others = model.taps.count { $0.tap.connections == nil }
    #expect(numbers == Set(others..<others + dense.count))
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
