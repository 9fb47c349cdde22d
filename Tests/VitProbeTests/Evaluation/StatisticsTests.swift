import Checkpoints
import Diagnostics
import Images
import Reports
import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Models
@testable import VitProbe

@Suite struct StatisticsTests {
  /// Batch normalisation of the images, then class scores of the mean place.
  private struct Normalized: Network {
    let inputShape = ImageShape(height: 32, width: 32, channels: 3)
    let classCount: Int? = 7
    let parameters: [NamedParameter]
    private let norm: BatchNorm
    private let head: Tensor

    init(from source: any ParameterSource) throws(ParameterError) {
      let collected = CollectedParameters(source)
      let scope = Scope(collected)
      norm = try BatchNorm(scope["bn"], 3)
      head = try scope.weight("head", [7, 3], .normal(0.5))
      parameters = collected.collected
    }

    func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
      try Normalized(from: source)
    }

    func begin(_ images: Tensor, _ context: Context) -> PartialPass? { nil }

    func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
      context.tap(
        Tap("logits", .logits, layout: .vector),
        linear(norm(images, context).globalAverage(), head, bias: nil))
    }
  }

  /// Means over four minibatches of the mean and of the unbiased variance of each channel, in Float64.
  @Test func statisticsAreThoseOfTheImages() throws {
    let network = try Normalized(from: RandomParameters(seed: 1))
    let subject = try ModelSubject(
      network, report: LoadReport(source: "toy", family: "toy", architecture: "toy"),
      preprocessing: Preprocessing(
        size: Extents(height: 32, width: 32), resize: .none, interpolation: .bilinear,
        mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), label: "toy")
    let data = try Samples.images(25)
    let images = StatisticsImages(data, batchSize: 5)
    #expect(images.count == 20)
    var tensors: [String: Tensor] = [:]
    for parameter in network.parameters {
      tensors[parameter.specification.name] = parameter.tensor
    }
    let found = try images.estimate(tensors, model: 0, subject)
    var (means, variances) = ([Double](repeating: 0, count: 3), [Double](repeating: 0, count: 3))
    for number in 0..<4 {
      let (batch, _) = try data.batch(
        number, of: BatchPlan(count: 25, batchSize: 5), decoding: true, onBadImage: .fail
      ) { Threads.forEach($0, $1) }
      let values = try subject.images(of: batch).values.map(Double.init)
      for channel in 0..<3 {
        let own = stride(from: channel, to: values.count, by: 3).map { values[$0] }
        let mean = own.reduce(0, +) / Double(own.count)
        means[channel] += mean / 4
        variances[channel] +=
          own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(own.count - 1) / 4
      }
    }
    let mean = try #require(found["bn.running_mean"]).values
    let variance = try #require(found["bn.running_var"]).values
    #expect(zip(mean, means).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    #expect(zip(variance, variances).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    #expect(found["head"]?.values == tensors["head"]?.values)
    // Half the images' contrast is undone by the statistics: the loss at the origin does not know of it.
    let plan = LandscapeEvaluation.Plan(axes: [[0]])
    var anew = plan
    anew.statistics = images
    let recomputed = try EvaluationStudies.losses(
      EvaluationStudies.run([subject], on: data, LandscapeEvaluation([subject], anew)))
    #expect(recomputed["x=0.0,y=0.0"] != recomputed["none"])
    tensors["bn.running_mean"] = found["bn.running_mean"]
    tensors["bn.running_var"] = found["bn.running_var"]
    let settled = try EvaluationStudies.wrapped(network.rebuilt(with: tensors), as: subject)
    let own = try EvaluationStudies.losses(
      EvaluationStudies.run([settled], on: data, LandscapeEvaluation([settled], plan)))
    #expect(recomputed["x=0.0,y=0.0"] == own["none"])
  }

  /// A value is made once, whoever asks; a failure is not kept.
  @Test func valuesInHandAreMadeOnce() throws {
    let inHand = InHand<Int, Int>(limit: 2)
    let made = Mutex(0)
    Threads.perform(64, width: 4) { place in
      _ = try? inHand(place % 2) {
        made.withLock { $0 += 1 }
        return place
      }
    }
    #expect(made.withLock { $0 } == 2)
    #expect(throws: InvalidRecord.self) { try inHand(7) { throw InvalidRecord() } }
    #expect(try inHand(7) { 3 } == 3 && inHand(7) { 4 } == 3)
  }

  /// Grids as other programs read them.
  @Test func gridsAreWritten() throws {
    let grid = ScalarGrid(
      name: "g", x: [-1, 0, 1], y: [0, 0.5],
      fields: [.init("nll", [1, 2, 3, 4, .nan, 6])])
    let scratch = Scratch()
    try grid.writeArchive(to: scratch.file("g.npz"))
    let archive = try Checkpoint.open(scratch.file("g.npz"))
    #expect(try archive["x"]?.floats() == [-1, 0, 1])
    #expect(archive["nll"]?.shape == [2, 3])
    let values = try #require(archive["nll"]).floats()
    #expect(values[0] == 1 && values[3] == 4 && values[4].isNaN && values[5] == 6)
    let lines = grid.vts.split(separator: "\n")
    #expect(lines[2] == "<StructuredGrid WholeExtent=\"0 2 0 1 0 0\">")
    #expect(lines.contains("4.0 nan 6.0") && lines.contains("-1.0 0.5 0"))
    #expect(lines.firstIndex(of: "0.0 0.0 0") == lines.firstIndex(of: "-1.0 0.0 0").map { $0 + 1 })
  }
}
