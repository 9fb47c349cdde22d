import Diagnostics
import Images
import Models
import Reports
import Tensors
import Testing

@testable import VitProbe

@Suite struct RobustnessTests {
  private func noise(_ change: (inout FrequencyNoise) -> Void = { _ in }) -> FrequencyNoise {
    var noise = FrequencyNoise()
    change(&noise)
    return noise
  }

  private func models() throws -> [ModelSubject] {
    try [Samples.model(Samples.vit, label: "v"), Samples.model(Samples.resnet, label: "r")]
  }

  /// A variant is the network on images to which the noise was added, whatever else is in the minibatch.
  @Test func lossesAreThoseOfNoisyImages() throws {
    let models = try models()
    let noise = noise()
    let run = try EvaluationStudies.run(
      models, on: Samples.images(10),
      RobustnessEvaluation(models, noise: noise, frequencies: [0.3, 0.9]))
    let found = try EvaluationStudies.losses(run, model: 1)
    let (batch, _) = try Samples.images(10).batch(
      0, of: BatchPlan(count: 10, batchSize: 10), decoding: true, onBadImage: .fail
    ) { Threads.forEach($0, $1) }
    var values = try models[1].images(of: batch).values
    values.withUnsafeMutableBufferPointer { values in
      for (index, id) in batch.ids.enumerated() {
        _ = noise.add(
          noise.ring(0.9, side: 32),
          to: UnsafeMutableBufferPointer(rebasing: values[(index * 3072)..<((index + 1) * 3072)]),
          id: id, side: 32, channels: 3)
      }
    }
    let logits = models[1].network(Tensor(values, shape: [10, 32, 32, 3]))
    #expect(found["frequency=0.9"] == ImageScores(logits, labels: batch.labels).losses)
    #expect(found["frequency=0.9"] != found["frequency=0.3"] && found["none"]?.count == 10)
  }

  @Test func noNoiseIsNoChange() throws {
    let models = try models()
    let run = try EvaluationStudies.run(
      models, on: Samples.images(10),
      RobustnessEvaluation(models, noise: noise { $0.amplitude = 0 }, frequencies: [0.5]))
    let found = try EvaluationStudies.losses(run)
    #expect(found["frequency=0.5"] == found["none"])
    let table = try run.collect().outcome().reports[0].report.tables[0]
    #expect(table.cells("delta_acc_pp") == [.real(0), .real(0)])
    #expect(table.cells("mcnemar_p") == [.real(1), .real(1)])
    #expect(table.cells("status") == ["ok", "ok"])
  }

  /// Both models see the same noise; a ring that lies between two frequencies of the image is said to.
  @Test func rowsAreThoseOfTheRings() throws {
    let models = try models()
    let run = try EvaluationStudies.run(
      models, on: Samples.images(10),
      RobustnessEvaluation(
        models, noise: noise { $0.halfWidth = 0.01 }, frequencies: [0.25, 0.28125]))
    let report = try run.collect().outcome().reports[0].report
    let table = report.tables[0]
    let sizes = try #require(table.cells("noise_rms"))
    #expect(sizes[0] == sizes[2] && sizes[1] == sizes[3])
    // 0.25 of π is the fourth of 16 frequencies, 0.28125 lies half-way to the fifth.
    #expect(table.cells("status") == ["ok", "empty_ring", "ok", "empty_ring"])
    #expect(sizes[1] == .real(0) && sizes[0] != .real(0))
    #expect(table.cells("delta_nll")?[1] == .real(0))
    #expect(report.figures.map(\.name) == ["robustness_frequency"])
  }

  @Test func threadsShardsAndInterruptionsChangeNothing() throws {
    let models = try models()
    try EvaluationStudies.checkBytes { shard in
      try EvaluationStudies.run(
        models, on: Samples.images(17),
        RobustnessEvaluation(
          models, noise: noise { $0.renormalization = .rms }, frequencies: [0.2, 0.6]),
        shard: shard)
    }
  }
}
