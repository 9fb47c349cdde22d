import Diagnostics
import Reports
import StrictJSON
import TestSupport
import Testing

@testable import VitProbe

@Suite struct MergeTests {
  private static func orders(_ count: Int) -> [[Int]] {
    count == 2 ? [[0, 1], [1, 0]] : [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]]
  }

  @Test(arguments: [2, 3])
  func mergedShardsHaveTheBytesOfOneRun(count: Int) throws {
    let scratch = Scratch()
    let whole = RecordStudy.files(try RecordStudy.features()())
    let parts = try (0..<count).map {
      try RecordStudy.part(
        RecordStudy.features(Shard(index: $0, count: count)), in: scratch, as: "p\($0).vpart")
    }
    for order in Self.orders(count) {
      let merged = try RecordStudy.merge(order.map { parts[$0] })
      #expect(RecordStudy.files(merged.run.reports.map(\.report)) == whole)
      #expect(merged.run.images == 42 && merged.run.total == 42 && merged.run.notes.isEmpty)
    }
    // A folder stands for the files in it.
    #expect(
      RecordStudy.files(try RecordStudy.merge([scratch.path]).run.reports.map(\.report)) == whole)
  }

  @Test(arguments: [2, 3])
  func mergedHessiansHaveTheBytesOfOneRun(count: Int) throws {
    let scratch = Scratch()
    let whole = RecordStudy.files([try RecordStudy.hessian()()])
    let parts = try (0..<count).map {
      try RecordStudy.part(
        RecordStudy.hessian(Shard(index: $0, count: count)), in: scratch, as: "p\($0).vpart")
    }
    for order in Self.orders(count) {
      let merged = try RecordStudy.merge(order.map { parts[$0] })
      #expect(RecordStudy.files(merged.run.reports.map(\.report)) == whole)
      #expect(merged.run.images == 16)
    }
    let some = try RecordStudy.merge([parts[0]], allowsPartial: true)
    #expect(some.run.images == 8 && some.run.total == 16)
  }

  @Test func aDataSetsHessianIsNotSharedOut() {
    let error = failure {
      _ = try RecordStudy.hessian(Shard(index: 0, count: 2), scope: .dataset)
    }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("`scope` dataset") == true)
  }

  /// More shards than minibatches: some leave a file without records.
  @Test func emptyShardsMerge() throws {
    let scratch = Scratch()
    let analyses: [any Analyzer] = [VarianceAnalyzer()]
    let whole = RecordStudy.files(try RecordStudy.features(analyses: analyses)())
    let parts = try (0..<7).map {
      try RecordStudy.part(
        RecordStudy.features(Shard(index: $0, count: 7), analyses: analyses), in: scratch,
        as: "p\($0).vpart")
    }
    #expect(RecordStudy.files(try RecordStudy.merge(parts).run.reports.map(\.report)) == whole)
    let empty = failure { _ = try RecordStudy.merge([parts[6]], allowsPartial: true) }
    #expect(empty?.kind == .badData)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let scratch = Scratch()
    let analyses: [any Analyzer] = [VarianceAnalyzer()]
    func part(
      _ index: Int, of count: Int, _ name: String, analyses other: [any Analyzer]? = nil,
      batchSize: Int = 8
    ) throws -> String {
      try RecordStudy.part(
        RecordStudy.features(
          Shard(index: index, count: count), analyses: other ?? analyses, batchSize: batchSize),
        in: scratch, as: name)
    }
    let (one, two) = (try part(0, of: 2, "1"), try part(1, of: 2, "2"))
    func refused(_ parts: [String], _ text: String) {
      let error = failure { _ = try RecordStudy.merge(parts) }
      #expect(error?.message.contains(text) == true, "\(error?.message ?? "nothing thrown")")
    }
    refused([one], "2 of 5 minibatches are missing (1, 3)")
    refused([two], "3 of 5 minibatches are missing (0, 2, 4)")
    refused([one, one], "given twice")
    refused([one, two, try part(0, of: 2, "again")], "is in both")
    refused([one, two, try part(0, of: 3, "third")], "is in both")
    refused([one, try part(1, of: 2, "size", batchSize: 7)], "batchSize is 8")
    var settings = VarianceSettings()
    settings.variant = .sample
    let other: [any Analyzer] = [VarianceAnalyzer(settings)]
    refused(
      [one, try part(1, of: 2, "variant", analyses: other)], "analyses[variance].configuration")
    let curvature = try RecordStudy.part(
      RecordStudy.hessian(Shard(index: 1, count: 2)), in: scratch, as: "hessian")
    refused([one, curvature], "the kind of run is features")
    refused([one, scratch.file("none.vpart")], "no such file")
    refused([one, scratch.folder("empty")], "no .vpart file")
    refused([], "needs the files")

    let some = try RecordStudy.merge([two], allowsPartial: true)
    #expect(some.run.images == 16 && some.run.total == 42)
    #expect(
      some.run.notes == ["the results stand on 16 of 42 images: 3 of 5 minibatches are missing"])
    #expect(some.manifest.configuration["missing_minibatches"] == [0, 2, 4])
    // An overlap stays an error, since images would count twice.
    let twice = failure {
      _ = try RecordStudy.merge([two, scratch.file("2")], allowsPartial: true)
    }
    #expect(twice != nil)
  }

  /// Records with a sound checksum and nonsense in them.
  @Test func recordsThatDoNotFitThePlanAreRefused() throws {
    let scratch = Scratch()
    let path = try RecordStudy.part(
      RecordStudy.features(Shard(index: 0, count: 1)), in: scratch, as: "whole.vpart")
    let file = try RecordFile(reading: path)
    let hostile: [(String, String)] = [
      ("cka", #"{"images":8,"products":[1],"scales":[1],"nonfinite":[]}"#),
      ("cka", #"{"images":-8,"products":[],"scales":[],"nonfinite":[]}"#),
      ("cka", "[]"), ("cka", ""), ("fourier", #"{"images":8,"taps":[]}"#),
      ("fourier", #"{"images":9223372036854775807,"taps":[]}"#),
      ("variance", #"{"images":8,"taps":[]}"#), ("variance", #"{"images":1e99,"taps":[]}"#),
      ("minibatch", #"{"images":-1,"isLeftOut":false,"skipped":[],"metrics":[]}"#),
      (
        "minibatch",
        #"{"images":8,"isLeftOut":false,"skipped":[],"metrics":[{"subject":9,"largest":1,"#
          + #""classes":7,"metrics":{"count":1,"hits":1,"topFive":1,"negativeLogLikelihood":1,"#
          + #""bins":[],"nonfinite":0}}]}"#
      ),
    ]
    for (name, text) in hostile {
      var entries = file.entries
      entries[2] = RecordEntry(
        batch: entries[2].batch,
        documents: entries[2].documents.map {
          $0.name == name ? .init(name: name, json: Array(text.utf8)) : $0
        })
      let bad = scratch.write(try RecordFile.bytes(file.header, entries), as: "bad.vpart")
      let error = failure { _ = try RecordStudy.merge([bad]) }
      #expect(error?.kind == .badData, "\(name) \(text): \(error?.message ?? "nothing thrown")")
      #expect(error?.message.contains("minibatch \(entries[2].batch): \(name)") == true)
    }
  }
}
