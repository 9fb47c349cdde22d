import Diagnostics
import Glibc
import Images
import Models
import Reports
import StrictJSON
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// Studies of variants, to be run and looked at.
enum EvaluationStudies {
  /// A model with other weights.
  static func changed(
    _ subject: ModelSubject, _ change: (String, Tensor) -> Tensor
  ) throws -> ModelSubject {
    let tensors = Dictionary(
      uniqueKeysWithValues: subject.network.parameters.map {
        ($0.specification.name, change($0.specification.name, $0.tensor))
      })
    return try wrapped(subject.network.rebuilt(with: tensors), as: subject)
  }

  /// A network in the place of a model's own.
  static func wrapped(_ network: any Network, as subject: ModelSubject) throws -> ModelSubject {
    try ModelSubject(
      network, report: subject.report,
      preprocessing: Preprocessing(
        size: Extents(height: network.inputShape.height, width: network.inputShape.width),
        resize: .none, interpolation: .bilinear, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
      label: subject.label)
  }

  static func run<Evaluation: VariantEvaluation>(
    _ subjects: [ModelSubject], on data: SampleSet, _ evaluation: Evaluation, batchSize: Int = 5,
    shard: Shard? = nil
  ) throws -> EvaluationRun<Evaluation> {
    var options = Samples.options(batchSize: batchSize)
    options.shard = shard
    return try EvaluationRun(subjects, on: data, evaluation, options: options)
  }

  /// The losses of every image by variant, in the order of images; `none` is the network as it is.
  static func losses<Evaluation: VariantEvaluation>(
    _ run: EvaluationRun<Evaluation>, model: Int = 0
  ) throws -> [String: [Double]] {
    var losses: [String: [Double]] = [:]
    for unit in run.units where unit.point == model {
      let name = unit.intervention.name.split(separator: ":").last.map(String.init) ?? ""
      let batch = try run.batch(unit.batch, for: unit.point)
      losses[name, default: []] += try run.look(at: unit, on: batch)?.scores.losses ?? []
    }
    return losses
  }

  /// Losses by name from a file beside the script that made it.
  static func golden(_ name: String) throws -> [String: [Double]] {
    let folder = #filePath.dropLast("Evaluation/EvaluationStudies.swift".count)
    let bytes = try #require(Scratch.read(folder + "Fixtures/evaluation/" + name))
    guard case .object(let members) = try JSONValue(parsing: bytes) else { return [:] }
    return Dictionary(
      uniqueKeysWithValues: members.map { member in
        let values = (member.value.arrayValue ?? []).compactMap { value -> Double? in
          switch value {
          case .real(let value): value
          case .integer(let value): Double(value)
          default: nil
          }
        }
        return (member.name, values)
      })
  }

  /// The same files whatever the threads, wherever it was stopped, however it was shared out.
  static func checkBytes<Evaluation: VariantEvaluation>(
    _ make: (Shard?) throws -> EvaluationRun<Evaluation>
  ) throws {
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let whole = RecordStudy.files(try make(nil).collect().outcome())
    #expect(whole.keys.contains(Evaluation.Study.name + ".csv"))
    for count in 1...3 {
      Threads.configure(count: count)
      #expect(RecordStudy.files(try make(nil).collect().outcome()) == whole)
    }
    let scratch = Scratch()
    let count = try make(nil).units.count
    for stop in [0, 1, count - 1] {
      let folder = scratch.folder("stop-\(stop)")
      let countdown = Countdown(stop)
      let interruption = #expect(throws: Interruption.self) {
        let run = try make(nil)
        _ = try run.collect(keeping: log(run, folder), shouldStop: countdown.isOver)
      }
      #expect(interruption?.done == stop && interruption?.total == count)
      let run = try make(nil)
      let rest = try run.collect(keeping: log(run, folder, resuming: true))
      #expect(RecordStudy.files(try rest.outcome()) == whole)
    }
    var moments = Moments(state: 20_221_129)
    let killed = try finish(in: scratch.folder("killed"), &moments) { try make(nil) }
    #expect(RecordStudy.files(try killed.records.outcome()) == whole)
    // Shards of minibatches, and as many that variants are shared out, too.
    for shards in [2, 2 * Set(try make(nil).units.map(\.batch)).count] {
      let parts = try (0..<shards).map { index in
        let shard = Shard(index: index, count: shards)
        let part = try finish(in: scratch.folder("\(shards)-\(index)"), &moments) {
          try make(shard)
        }
        #expect(try make(shard).units.count < count)
        return scratch.write(try part.log.sealed(), as: part.log.shardFileName)
      }
      let merged = try RecordStudy.merge(parts.reversed()).run
      #expect(RecordStudy.files(merged) == whole && merged.images == merged.total)
      guard shards == 2 else { continue }
      let one = try RecordStudy.merge([parts[0]], allowsPartial: true).run
      #expect(one.images < one.total)
    }
  }

  static func log<Evaluation: VariantEvaluation>(
    _ run: EvaluationRun<Evaluation>, _ folder: String, resuming: Bool = false
  ) throws -> RecordLog {
    try RecordLog(
      in: folder, header: run.recordHeader(RecordStudy.provenance),
      provenance: RecordStudy.provenance, found: resuming ? .resume : .replace)
  }

  /// Numbers of no choosing, the same in each run.
  private struct Moments {
    var state: UInt64

    mutating func next(below limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % max(1, limit)
    }
  }

  /// Runs it to its end, through two deaths: after some units, in the middle of the record that was being written.
  private static func finish<Evaluation: VariantEvaluation>(
    in folder: String, _ moments: inout Moments, _ make: () throws -> EvaluationRun<Evaluation>
  ) throws -> (records: RunRecords<EvaluationRecords<Evaluation.Study>>, log: RecordLog) {
    for death in 0..<2 {
      let run = try make()
      let log = try log(run, folder, resuming: death > 0)
      let countdown = Countdown(moments.next(below: max(2, run.units.count)))
      do {
        return (try run.collect(keeping: log, shouldStop: countdown.isOver), log)
      } catch is Interruption {
        let path = OutputFolder.recordsPath(in: folder, shard: run.shard?.description)
        guard let bytes = Scratch.read(path) else { continue }
        let header = try RecordFile.bytes(log.header)
        let kept = header.count + moments.next(below: bytes.count - header.count + 1)
        #expect(truncate(path, kept) == 0)
      }
    }
    let run = try make()
    let log = try log(run, folder, resuming: true)
    return (try run.collect(keeping: log), log)
  }
}
