import Diagnostics
import Images
import Reports
import TestSupport
import Testing

@testable import VitProbe

@Suite struct ResumeTests {
  /// Stopped after each number of minibatches, and stopped again after one more.
  @Test func aResumedRunHasTheSameBytes() throws {
    let whole = RecordStudy.files(try RecordStudy.features()())
    #expect(whole.keys.contains("metrics.csv") && whole.count > 9)
    for stop in 0...5 {
      let folder = Scratch()
      let first = try RecordStudy.features()
      let countdown = Countdown(stop)
      let interruption = #expect(throws: Interruption.self) {
        let log = try RecordStudy.log(first, in: folder.path)
        _ = try first.collect(keeping: log, shouldStop: countdown.isOver)
        if stop == 5 { throw Interruption(done: 5, total: 5, unit: "", isKept: true) }
      }
      #expect(interruption?.done == stop && interruption?.isKept == (stop > 0))
      if stop < 4 {
        let second = try RecordStudy.features()
        let log = try RecordStudy.log(second, in: folder.path, resuming: true)
        let countdown = Countdown(1)
        let again = #expect(throws: Interruption.self) {
          _ = try second.collect(keeping: log, shouldStop: countdown.isOver)
        }
        #expect(again?.done == stop + 1)
      }
      let last = try RecordStudy.features()
      let log = try RecordStudy.log(last, in: folder.path, resuming: true)
      let found = try Set(log.earlier.map { try log.entry(at: $0).batch })
      #expect(found.count == (stop < 4 ? stop + 1 : stop))
      #expect(RecordStudy.files(try last.collect(keeping: log).outcome()) == whole)
      log.remove()
      #expect(folder.names().isEmpty)
    }
  }

  @Test func aResumedHessianHasTheSameBytes() throws {
    let whole = RecordStudy.files([try RecordStudy.hessian()()])
    var seen: Set<Int> = []
    // Asked before each minibatch and each product: it stops within minibatches, too.
    for stop in [0, 1, 8, 21, 34, 55, 10_000] {
      let folder = Scratch()
      let run = try RecordStudy.hessian()
      let countdown = Countdown(stop)
      var done = 8
      do {
        let log = try RecordStudy.log(run, in: folder.path)
        _ = try run.collect(keeping: log, shouldStop: countdown.isOver)
        #expect(stop == 10_000)
      } catch let interruption as Interruption {
        #expect(interruption.done < 8 && interruption.total == 8)
        done = interruption.done
      }
      seen.insert(done)
      let log = try RecordStudy.log(run, in: folder.path, resuming: true)
      #expect(log.earlier.count == done)
      #expect(RecordStudy.files([try run.collect(keeping: log).report()]) == whole)
    }
    #expect(seen.count > 3, "\(seen)")
  }

  /// Without its products, the Hessian of a whole data set is kept model by model.
  @Test func finishedModelsAreKept() throws {
    let whole = RecordStudy.files([try RecordStudy.hessian(scope: .dataset)()])
    let folder = Scratch()
    let run = try RecordStudy.hessian(scope: .dataset)
    var products = 0
    let interruption = #expect(throws: Interruption.self) {
      let log = try RecordStudy.log(run, in: folder.path)
      _ = try run.collect(keeping: log, shouldStop: { products >= 4 * 12 + 12 }) { made, _ in
        products = made
      }
    }
    #expect(interruption?.done == 1 && interruption?.total == 2)
    let log = try RecordStudy.log(run, in: folder.path, resuming: true)
    #expect(RecordStudy.files([try run.collect(keeping: log).report()]) == whole)
  }

  /// A process that dies in the middle of a write loses that minibatch and no other.
  @Test func tornRecordsAreComputedAgain() throws {
    let analyses: [any Analyzer] = [VarianceAnalyzer()]
    func run() throws -> FeatureRun { try RecordStudy.features(analyses: analyses) }
    let whole = RecordStudy.files(try run()())
    let folder = Scratch()
    let first = try run()
    _ = try first.collect(keeping: RecordStudy.log(first, in: folder.path))
    let bytes = try #require(Scratch.read(folder.file(".vitprobe-records")))
    let last = try #require(bytes.dropLast().lastIndex(of: UInt8(ascii: "\n"))) + 1
    for length in [last, last + 1, last + 17, (last + bytes.count) / 2, bytes.count - 1] {
      folder.write(Array(bytes.prefix(length)), as: ".vitprobe-records")
      let second = try run()
      let log = try RecordStudy.log(second, in: folder.path, resuming: true)
      #expect(log.earlier.count == 4)
      #expect(log.notes.contains { $0.contains("being written") } == (length > last))
      #expect(RecordStudy.files(try second.collect(keeping: log).outcome()) == whole)
      let after = try RecordFile(reading: folder.file(".vitprobe-records"))
      #expect(after.entries.count == 5 && after.tornLength == 0)
    }
  }

  @Test func otherSettingsAreRefusedByName() throws {
    let folder = Scratch()
    let run = try RecordStudy.features()
    let countdown = Countdown(2)
    _ = #expect(throws: Interruption.self) {
      _ = try run.collect(
        keeping: RecordStudy.log(run, in: folder.path), shouldStop: countdown.isOver)
    }
    let before = Scratch.read(folder.file(".vitprobe-records"))
    var biased = CKASettings()
    biased.bootstrap = 20
    biased.estimator = .biased
    let cases: [(String, FeatureRun)] = [
      (
        "analyses[cka].configuration.estimator",
        try RecordStudy.features(
          analyses: [CKAAnalyzer(biased), FourierAnalyzer(), VarianceAnalyzer()])
      ),
      ("batchSize is 7 in this run and 8", try RecordStudy.features(batchSize: 7)),
      ("length of analyses", try RecordStudy.features(analyses: [VarianceAnalyzer()])),
    ]
    for (text, other) in cases {
      for policy in [RecordsFound.resume, .goOn] {
        let error = failure { _ = try RecordStudy.log(other, in: folder.path, found: policy) }
        #expect(error?.kind == .usage)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "nothing thrown")")
        #expect(error?.message.contains("`replace`") == true)
      }
    }
    // Other contents of the same files.
    for inputs in [
      [Manifest.Input(path: "x.npy", sha256: "aa", size: 1)],
      [Manifest.Input(path: "x.npy", sha256: "bb", size: 1)],
    ] {
      let settings = DataSettings(count: 1, files: inputs) { _ in ("x", nil) }
      #expect(settings != DataSettings(count: 1, files: []) { _ in ("x", nil) })
      #expect(
        (settings
          == DataSettings(count: 1, files: [.init(path: "y", sha256: "aa", size: 1)]) { _ in
            ("x", nil)
          }) == (inputs[0].sha256 == "aa"))
    }
    #expect(Scratch.read(folder.file(".vitprobe-records")) == before)
    // A shard has records of its own.
    let shard = try RecordStudy.features(Shard(index: 0, count: 2))
    #expect(try RecordStudy.log(shard, in: folder.path, found: .goOn).earlier.isEmpty)
    // The same run goes on unasked, and says so.
    let same = try RecordStudy.log(run, in: folder.path, found: .goOn)
    #expect(same.earlier.count > 0 && same.notes.count == 1)
    // What is to be replaced stays until there is something new.
    let log = try RecordStudy.log(run, in: folder.path)
    #expect(log.earlier.isEmpty && log.notes.count == 1)
    #expect(Scratch.read(folder.file(".vitprobe-records")) == before)
  }

  @Test func resumingWithNothingToResumeStarts() throws {
    let folder = Scratch()
    let run = try RecordStudy.features(analyses: [VarianceAnalyzer()])
    let log = try RecordStudy.log(run, in: folder.path, resuming: true)
    #expect(log.earlier.isEmpty && !log.isKept)
    #expect(folder.names().isEmpty)
    folder.write("something else\n", as: ".vitprobe-records")
    let error = failure { _ = try RecordStudy.log(run, in: folder.path, resuming: true) }
    #expect(error?.kind == .badData)
  }
}
