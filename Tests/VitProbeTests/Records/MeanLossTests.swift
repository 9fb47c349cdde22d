import Diagnostics
import Images
import Models
import Reports
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// A job that the program does not have: what it gets of the recorded run without a line about it.
@Suite struct MeanLossTests {
  /// The small model, and the same with its head scaled: ten images in minibatches of 4, 4 and 2.
  private func run(_ scales: [Float] = [1, 0, 2], shard: Shard? = nil) throws -> MeanLossRun {
    let small = try SmallViT()
    let points = scales.map { scale in
      Dictionary(
        uniqueKeysWithValues: small.subject.network.parameters.map { parameter in
          let name = parameter.specification.name
          return (name, name.hasPrefix("head.") ? scale * parameter.tensor : parameter.tensor)
        })
    }
    return MeanLossRun(
      subject: small.subject, data: small.data,
      batches: BatchPlan(count: small.data.count, batchSize: 4, minimum: 1), points: points,
      shard: shard)
  }

  private func losses(_ records: RunRecords<MeanLosses>) throws -> [Double] {
    let table = try #require(records.outcome().reports.first?.report.tables.first)
    return try #require(table.cells("loss")).compactMap {
      if case .real(let value) = $0 { value } else { nil }
    }
  }

  /// At the model's own weights the loss is that of the float64 reference; with a head of zeros every
  /// class has the same probability.
  @Test func lossesAreKnown() throws {
    let found = try losses(run().collect())
    #expect(try abs(found[0] - SmallViT().loss("dataset")) < 1e-6)
    #expect(abs(found[1] - 1.0986122886681098) < 1e-6)
    #expect(found[2] != found[0])
  }

  @Test func threadsShardsAndInterruptionsChangeNothing() throws {
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let whole = RecordStudy.files(try run().collect().outcome())
    for count in 1...3 {
      Threads.configure(count: count)
      #expect(RecordStudy.files(try run().collect().outcome()) == whole)
    }
    let scratch = Scratch()
    func log(_ run: MeanLossRun, _ folder: String, resuming: Bool = false) throws -> RecordLog {
      try RecordLog(
        in: folder, header: run.recordHeader(RecordStudy.provenance),
        provenance: RecordStudy.provenance, found: resuming ? .resume : .replace)
    }
    for stop in 0..<9 {
      let folder = scratch.folder("stop-\(stop)")
      let countdown = Countdown(stop)
      let interruption = #expect(throws: Interruption.self) {
        _ = try run().collect(keeping: log(run(), folder), shouldStop: countdown.isOver)
      }
      #expect(interruption?.done == stop && interruption?.total == 9)
      let rest = try run().collect(keeping: log(run(), folder, resuming: true))
      #expect(RecordStudy.files(try rest.outcome()) == whole)
    }
    var merge = MergeJob(
      arguments: [],
      parts: try (0..<2).map { index in
        let part = try run(shard: Shard(index: index, count: 2))
        let log = try log(part, scratch.folder("part-\(index)"))
        _ = try part.collect(keeping: log)
        return scratch.write(try log.sealed(), as: log.shardFileName)
      }, analyses: [])
    #expect(failure { _ = try merge() }?.message.contains("\"mean-loss\"") == true)
    merge.kinds.append(MeanLosses.self)
    let merged = try merge().run
    #expect(RecordStudy.files(merged) == whole && merged.images == 10 && merged.total == 10)
    // Other weights are another run.
    let folder = scratch.folder("stop-1")
    let other = failure { _ = try log(run([1, 0, 3]), folder, resuming: true) }
    #expect(other?.kind == .usage && other?.message.contains("points") == true)
  }
}
