import Diagnostics
import Models
import Reports
import Tensors
import Testing

@testable import VitProbe

@Suite struct TrajectoryTests {
  /// A subject whose weights are scaled and shifted a little; names and shapes stay.
  private func snapshot(_ subject: ModelSubject, _ share: Float) throws -> ModelSubject {
    try EvaluationStudies.changed(subject) { name, tensor in
      name.contains("running") || name.contains("num_batches") ? tensor : (1 + share) * tensor
    }
  }

  private func trajectory(
    _ snapshots: [ModelSubject], grid: Int = 5, parameters: [String] = [], memory: Int = 1
  ) throws -> TrajectoryEvaluation {
    var plan = TrajectoryEvaluation.Plan()
    (plan.grid, plan.parameters, plan.memory) = (grid, parameters, memory)
    return try TrajectoryEvaluation(to: snapshots[snapshots.count - 1], of: snapshots.count, plan) {
      snapshots[$0]
    }
  }

  private func reals(_ table: Table, _ column: String) throws -> [Double?] {
    try #require(table.cells(column)).map { if case .real(let value) = $0 { value } else { nil } }
  }

  /// Two snapshots: the line through them, on which the first lies at its distance, with its own loss.
  @Test func theLineLeadsThroughTheSnapshots() throws {
    let last = try snapshot(Samples.model(Samples.vit), 0)
    let first = try snapshot(last, 0.5)
    let evaluation = try trajectory([first, last])
    #expect(evaluation.notes.contains { $0.contains("one line") })
    let weights = last.network.parameters.filter { !$0.specification.isBuffer }
    let norm = weights.reduce(0.0) { sum, parameter in
      parameter.tensor.values.reduce(sum) { $0 + Double($1) * Double($1) }
    }.squareRoot()
    let axis = evaluation.study.surface.axes[0]
    #expect(axis.count == 5 && axis[1] == 0 && abs(axis[3] - norm / 2) < 1e-5 * norm)
    let data = try Samples.images(10)
    let run = try EvaluationStudies.run([last], on: data, evaluation)
    let found = try EvaluationStudies.losses(run)
    let names = evaluation.study.variants(of: 0)
    #expect(found[names[1]] == found["none"])
    let own = try EvaluationStudies.losses(
      EvaluationStudies.run([first], on: data, LandscapeEvaluation([first], .init(axes: [[0]]))))
    let there = try #require(found[names[3]])
    #expect(zip(there, own["none"] ?? []).allSatisfy { abs($0 - $1) < 1e-4 * max(1, $1) })
    #expect(there != found["none"])
    let report = try run.collect().outcome().reports[0].report
    let table = report.tables[0]
    let x = try reals(table, "x")
    #expect(abs((x[0] ?? 0) - norm / 2) < 1e-5 * norm && x[1] == 0)
    #expect(try reals(table, "y") == [nil, nil] && table.cells("status")?[0] == "on_a_line")
    #expect(report.figures.map(\.name) == ["trajectory"])
    #expect(report.tables.map(\.name) == ["trajectory", "trajectory_axes", "trajectory_surface"])
  }

  /// Of three collinear snapshots the variance is all along one axis; one that leaves the line makes a plane, on
  /// which all four keep their distances.
  @Test func snapshotsKeepTheirDistances() throws {
    let last = try snapshot(Samples.model(Samples.resnet), 0)
    let line = try [snapshot(last, 0.3), snapshot(last, 0.1), last]
    let collinear = try trajectory(line)
    #expect(collinear.study.surface.axes.count == 1)
    let aside = try EvaluationStudies.changed(last) { name, tensor in
      name == "fc.weight" ? -1 * tensor : tensor
    }
    let evaluation = try trajectory([line[0], aside, line[1], last], grid: 3)
    #expect(evaluation.study.surface.axes.count == 2)
    let run = try EvaluationStudies.run([last], on: Samples.images(10), evaluation)
    let report = try run.collect().outcome().reports[0].report
    let (x, y) = (try reals(report.tables[0], "x"), try reals(report.tables[0], "y"))
    let (xCos, yCos) = (try reals(report.tables[0], "x_cos"), try reals(report.tables[0], "y_cos"))
    let distances = try reals(report.tables[0], "distance")
    for place in 0..<4 {
      let (a, b) = (x[place] ?? .nan, y[place] ?? .nan)
      #expect(abs((a * a + b * b).squareRoot() - (distances[place] ?? 0)) < 1e-5)
      #expect(abs(a - (xCos[place] ?? .nan)) < 1e-9 && abs(b - (yCos[place] ?? .nan)) < 1e-9)
    }
    #expect(report.figures.map(\.name) == ["trajectory"])
    let shares = try reals(report.tables[1], "explained_variance").map { $0 ?? 0 }
    #expect(abs(shares.reduce(0, +) - 1) < 1e-9 && shares[0] > shares[1])
    // Of tensors that are all the same there is no way.
    let same = failure { _ = try trajectory([aside, last], parameters: ["conv1.*"]) }
    #expect(same?.message == "all 2 snapshots have the same weights")
  }

  @Test func whatIsNoTrajectoryIsRefused() throws {
    let vit = try Samples.model(Samples.vit, label: "v")
    let one = failure { _ = try trajectory([vit]) }
    #expect(one?.kind == .usage)
    #expect(one?.message.contains("at least two snapshots of one training") == true)
    let other = failure {
      _ = try trajectory([Samples.model(Samples.resnet, label: "r"), vit])
    }
    #expect(other?.kind == .badData)
    #expect(other?.message.hasPrefix("there is no trajectory from v to r: ") == true)
    let nothing = failure { _ = try trajectory([vit, vit], parameters: ["nothing"]) }
    #expect(nothing?.kind == .usage)
  }

  @Test func threadsShardsAndInterruptionsChangeNothing() throws {
    let last = try snapshot(Samples.model(Samples.resnet), 0)
    let aside = try EvaluationStudies.changed(last) { name, tensor in
      name == "fc.weight" ? -1 * tensor : tensor
    }
    let snapshots = try [snapshot(last, 0.3), aside, last]
    try EvaluationStudies.checkBytes { shard in
      try EvaluationStudies.run(
        [last], on: Samples.images(17), trajectory(snapshots, grid: 3), shard: shard)
    }
  }
}
