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
      RobustnessEvaluation(models, noise: noise, [.frequencyNoise(0.3), .frequencyNoise(0.9)]))
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
      RobustnessEvaluation(models, noise: noise { $0.amplitude = 0 }, [.frequencyNoise(0.5)]))
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
        models, noise: noise { $0.halfWidth = 0.01 },
        [.frequencyNoise(0.25), .frequencyNoise(0.28125)]))
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
          models, noise: noise { $0.renormalization = .rms },
          [.frequencyNoise(0.2), .frequencyNoise(0.6)]),
        shard: shard)
    }
  }

  /// A corruption is of the samples, before they are normalised.
  @Test func corruptionsAreOfTheSamples() throws {
    let subject = try Samples.model(Samples.vit)
    let data = try Samples.images(6)
    let all = [1, 5].map { Perturbation.corruption(Corruption(.contrast, severity: $0)) }
    let run = try EvaluationStudies.run(
      [subject], on: data, RobustnessEvaluation([subject], noise: noise(), all))
    let (batch, _) = try data.batch(
      0, of: BatchPlan(count: 6, batchSize: 6), decoding: true, onBadImage: .fail
    ) { Threads.forEach($0, $1) }
    var values = try subject.images(of: batch).values
    let (mean, std) = (
      subject.transform.mean.map(Double.init), subject.transform.std.map(Double.init)
    )
    var square = 0.0
    for image in 0..<6 {
      for channel in 0..<3 {
        let places = stride(from: image * 3072 + channel, to: (image + 1) * 3072, by: 3)
        let samples = places.map { mean[channel] + std[channel] * Double(values[$0]) }
        let middle = samples.reduce(0, +) / 1024
        for (place, sample) in zip(places, samples) {
          let new = Float((middle + 0.05 * (sample - middle) - mean[channel]) / std[channel])
          square += (Double(new) - Double(values[place])) * (Double(new) - Double(values[place]))
          values[place] = new
        }
      }
    }
    let logits = subject.network(Tensor(values, shape: [6, 32, 32, 3]))
    let expected = ImageScores(logits, labels: batch.labels).losses
    let found = try #require(EvaluationStudies.losses(run)["contrast=5"])
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    let report = try run.collect().outcome().reports[0].report
    let table = report.tables[0]
    #expect(table.cells("test") == ["contrast", "contrast"])
    #expect(table.cells("severity") == [1, 5] && table.cells("f_over_pi") == [.empty, .empty])
    guard case .real(let rms)? = table.cells("noise_rms")?[1] else {
      Issue.record("there is no size of the change")
      return
    }
    #expect(abs(rms - (square / 6 / 3072).squareRoot()) < 1e-9)
    #expect(report.figures.map(\.name) == ["robustness_corruptions"])
  }
}
