import Diagnostics
import Glibc
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

  /// Class scores of which the first is the image's part in a given one, and the others are 0.
  private struct OneScore: Network {
    let inputShape = ImageShape(height: 32, width: 32, channels: 3)
    let classCount: Int? = 7
    let parameters: [NamedParameter]

    init(from source: any ParameterSource) throws(ParameterError) {
      let scope = Scope(source)
      let weights = try scope.weight("weights", [7, 3072], .normal(0.5))
      parameters = scope.requests.map { NamedParameter(specification: $0, tensor: weights) }
    }

    func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
      try OneScore(from: source)
    }

    func begin(_ images: Tensor, _ context: Context) -> PartialPass? { nil }

    func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
      context.tap(
        Tap("logits", .logits, layout: .vector),
        linear(
          images.reshaped([images.shape[0], 3072]), parameters[0].tensor, bias: nil))
    }
  }

  /// A network that looks at the wave (1, 2) of the first channel alone.
  private func waveSubject() throws -> ModelSubject {
    var weights = [Float](repeating: 0, count: 7 * 3072)
    for place in 0..<1024 {
      let turns = Double((place / 32 + 2 * (place % 32)) % 32) / 32
      weights[3 * place] = Float(cos(2 * Double.pi * turns) / 512.0.squareRoot())
    }
    let network = try OneScore(from: RandomParameters(seed: 1)).rebuilt(with: [
      "weights": Tensor(weights, shape: [7, 3072])
    ])
    return try ModelSubject(
      network, report: LoadReport(source: "toy", family: "toy", architecture: "toy"),
      preprocessing: Preprocessing(
        size: Extents(height: 32, width: 32), resize: .none, interpolation: .bilinear,
        mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), label: "toy")
  }

  /// A network that looks at one frequency bears all others, and its gradient has that one alone.
  @Test func aNetworkOfOneFrequencyIsTold() throws {
    let subject = try waveSubject()
    let all = FourierBasisNoise.frequencies(size: 5).map(Perturbation.fourierBasis)
    let run = try EvaluationStudies.run(
      [subject], on: Samples.images(20),
      RobustnessEvaluation([subject], noise: noise(), all, gradient: true))
    let found = try EvaluationStudies.losses(run)
    let clean = try #require(found["none"])
    for (name, losses) in found where name != "none" {
      let change = zip(losses, clean).map { abs($0 - $1) }.max() ?? 0
      #expect(name == "basis=1,2" ? change > 1 : change < 1e-4, "\(name)")
    }
    #expect(found["gradient"] == clean)
    let report = try run.collect().outcome().reports[0].report
    #expect(report.tables.map(\.name) == ["robustness", "robustness_gradient"])
    #expect(report.figures.map(\.name) == ["robustness_fourier", "robustness_gradient"])
    let table = report.tables[0]
    #expect(table.rows.count == 13 && table.cells("renorm")?[0] == "channel")
    #expect(table.cells("ky")?.last == 2 && table.cells("kx")?.last == 2)
    // The few that cost most.
    #expect(report.summary.rows.count == 5)
    let shares = try #require(report.tables[1].cells("share")).map { cell in
      if case .real(let value) = cell { value } else { Double.nan }
    }
    #expect(shares.count == 17 && abs(shares[2] - 1) < 1e-6)
  }

  /// The gradient is that of the loss: a small step against it lowers the loss by its squared length.
  @Test func gradientsAreThoseOfTheLoss() throws {
    let subject = try Samples.model(Samples.resnet)
    let run = try EvaluationStudies.run(
      [subject], on: Samples.images(10),
      RobustnessEvaluation([subject], noise: noise(), [], gradient: true))
    let unit = try #require(run.units.first { $0.intervention != .none })
    let measures = try #require(run.compute(unit, UnitInHand(threads: 1, log: nil) {}).measures)
    let (batch, _) = try Samples.images(10).batch(
      unit.batch, of: BatchPlan(count: 10, batchSize: 5), decoding: true, onBadImage: .fail
    ) { Threads.forEach($0, $1) }
    let images = try subject.images(of: batch).tracked()
    let labels = batch.labels.compactMap(\.self)
    let targets = Tensor(
      labels.flatMap { label in (0..<7).map { $0 == label ? Float(1) : 0 } }, shape: [5, 7])
    func loss(_ images: Tensor) -> Tensor {
      subject.network(images).crossEntropy(targets: targets).sum()
    }
    let slope = gradient(of: loss(images), withRespectTo: [images])[0]
    let square = slope.values.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(measures[0] == 5 && abs(measures[1] - square / 3072) < 1e-5 * square / 3072)
    let step = Float(0.01 / square)
    let fall = Double(
      loss(images.detached()).values[0] - loss(images.detached() - step * slope).values[0])
    #expect(abs(fall - 0.01) < 0.0005, "\(fall)")
  }

  @Test func mapsAndGradientsKeepTheirBytes() throws {
    let models = try models()
    let all = FourierBasisNoise.frequencies(size: 3).map(Perturbation.fourierBasis)
    try EvaluationStudies.checkBytes { shard in
      try EvaluationStudies.run(
        models, on: Samples.images(17),
        RobustnessEvaluation(
          models, noise: noise(),
          all + [.corruption(Corruption(.jpegCompression, severity: 3))], gradient: true),
        shard: shard)
    }
    let tooMany = failure {
      _ = try RobustnessEvaluation(
        models, noise: noise(),
        FourierBasisNoise.frequencies(size: 33).map(Perturbation.fourierBasis))
    }
    #expect(tooMany?.kind == .usage && tooMany?.message.contains("at most 31") == true)
  }
}
