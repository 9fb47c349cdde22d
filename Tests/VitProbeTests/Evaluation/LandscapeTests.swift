import Diagnostics
import Images
import Models
import Reports
import Tensors
import TestSupport
import Testing

@testable import VitProbe

@Suite struct LandscapeTests {
  private func norm(_ values: some Sequence<Float>) -> Double {
    values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
  }

  private func plan(
    _ axes: [[Double]], _ change: (inout LandscapeEvaluation.Plan) -> Void = { _ in }
  ) -> LandscapeEvaluation.Plan {
    var plan = LandscapeEvaluation.Plan(axes: axes)
    change(&plan)
    return plan
  }

  /// Every tensor's values back to front.
  private func reversed(_ subject: ModelSubject) throws -> ModelSubject {
    let tensors = Dictionary(
      uniqueKeysWithValues: subject.network.parameters.map { parameter in
        let stored = parameter.specification.layout.toStored(parameter.tensor)
        let back = Tensor(stored.values.reversed(), shape: stored.shape)
        return (
          parameter.specification.name, parameter.specification.layout.fromStored(back)
        )
      })
    return try ModelSubject(
      subject.network.rebuilt(with: tensors), report: subject.report,
      preprocessing: Preprocessing(
        size: Extents(height: 8, width: 8), resize: .none, interpolation: .bilinear,
        mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), label: "reversed")
  }

  /// A line between checkpoints against float64; both ends are the checkpoints, bit for bit.
  @Test func aLineLeadsToTheOtherCheckpoint() throws {
    let small = try SmallViT()
    let other = try reversed(small.subject)
    let data = SampleSet(small.data)
    let run = try EvaluationStudies.run(
      [small.subject], on: data,
      LandscapeEvaluation([small.subject], to: [other], plan([[-0.25, 0, 0.5, 1]])))
    let found = try EvaluationStudies.losses(run)
    let golden = try EvaluationStudies.golden("small-vit-line.json")
    #expect(golden.count == 4)
    for (place, expected) in golden {
      let losses = try #require(found["x=\(place),y=0.0"])
      #expect(losses.count == 10)
      #expect(zip(losses, expected).allSatisfy { abs($0 - $1) < 5e-6 }, "\(place)")
    }
    #expect(found["x=0.0,y=0.0"] == found["none"])
    let end = try EvaluationStudies.run(
      [other], on: data, LandscapeEvaluation([other], plan([[0]])))
    #expect(try found["x=1.0,y=0.0"] == EvaluationStudies.losses(end)["none"])
    let summary = try run.collect().outcome().reports[0].report.summary
    guard case .real(let barrier)? = summary.cells("barrier")?.first else {
      Issue.record("there is no barrier")
      return
    }
    func mean(_ place: String) throws -> Double {
      try #require(golden[place]).reduce(0, +) / 10
    }
    let expected = try max(0, mean("0.5") - (mean("0.0") + mean("1.0")) / 2)
    #expect(abs(barrier - expected) < 1e-5)
  }

  @Test(arguments: [Samples.vit, Samples.resnet])
  func theOriginIsTheNetworkItself(architecture: String) throws {
    let subject = try Samples.model(architecture)
    let axis = LandscapeStudy.axis(-1...1, count: 3)
    let run = try EvaluationStudies.run(
      [subject], on: Samples.images(8), LandscapeEvaluation([subject], plan([axis, axis])))
    let found = try EvaluationStudies.losses(run)
    #expect(found.count == 10)
    #expect(found["x=0.0,y=0.0"] == found["none"])
    #expect(Set(found.values).count == 9)
    // The plane through three equal networks is flat.
    let flat = try EvaluationStudies.run(
      [subject], on: Samples.images(8),
      LandscapeEvaluation([subject], to: [subject, subject], plan([[0, 0.5, 1], [0, 0.25]])))
    let same = try EvaluationStudies.losses(flat)
    #expect(same.count == 7)
    #expect(
      same.values.allSatisfy { losses in
        zip(losses, same["none"] ?? []).allSatisfy { abs($0 - $1) < 1e-5 }
      })
  }

  /// What each rule says of norms, in every tensor of a network of convolutions and of a transformer.
  @Test(arguments: [Samples.vit, Samples.resnet])
  func directionsHaveTheNormsOfTheirRule(architecture: String) throws {
    let network = try Samples.model(architecture).network
    for parameter in network.parameters where parameter.specification.storedShape.count > 1 {
      let layout = parameter.specification.layout
      let weights = layout.toStored(parameter.tensor)
      let (filters, values) = (weights.shape[0], weights.values)
      let length = values.count / filters
      func direction(_ kind: LandscapeStudy.Direction, axis: Int = 0) -> [Float] {
        layout.toStored(WeightDirection.random(parameter, kind, seed: 3, axis: axis)).values
      }
      let name = parameter.specification.name
      let li = direction(.li)
      for filter in 0..<filters {
        let range = (filter * length)..<((filter + 1) * length)
        #expect(abs(norm(li[range]) - norm(values[range])) < 1e-5 * norm(values[range]), "\(name)")
      }
      let hdvw = direction(.hdvw)
      if name.contains("pos_embed") {
        #expect(hdvw.allSatisfy { $0 == 0 })
      } else {
        for place in 0..<length {
          let places = stride(from: place, to: values.count, by: length)
          let own = norm(places.map { values[$0] })
          #expect(abs(norm(places.map { hdvw[$0] }) - own) < 1e-4 * own + 1e-9, "\(name)")
        }
      }
      let layer = direction(.layer)
      #expect(abs(norm(layer) - norm(values)) < 1e-5 * norm(values))
      // All are the same numbers, scaled; another axis has others.
      let plain = direction(.none)
      #expect(zip(plain, li).allSatisfy { ($0 < 0) == ($1 < 0) || $1 == 0 })
      #expect(direction(.none, axis: 1) != plain)
    }
  }

  @Test func whatMovesIsChosen() throws {
    let subject = try Samples.model(Samples.resnet)
    let all = subject.network.parameters
    let trainable = all.filter { !$0.specification.isBuffer }
    func moving(
      _ globs: [String] = [], to targets: [ModelSubject] = []
    ) throws -> Int {
      try LandscapeEvaluation(
        [subject], to: targets, plan([[0, 1]]) { $0.parameters = globs }
      ).study.moving[0]
    }
    #expect(try moving() == trainable.count { $0.specification.storedShape.count > 1 })
    #expect(try moving(["*"]) == trainable.count)
    #expect(try moving(["fc.*"]) == 2)
    // Running statistics go along on the way to a checkpoint.
    #expect(try moving(to: [subject]) == all.count && all.count > trainable.count)
    let wrong = failure { _ = try moving(["nothing"]) }
    #expect(wrong?.kind == .usage && wrong?.message.contains("\"nothing\"") == true)
    let other = try Samples.model(Samples.vit, label: "v")
    let refused = failure { _ = try moving(to: [other]) }
    #expect(refused?.kind == .badData)
    #expect(
      refused?.message.hasPrefix("there is no line from m to v: conv1.weight is") == true,
      "\(refused?.message ?? "")")
  }

  /// The second difference along a direction is dᵀHd of the exact Hessian.
  @Test func curvatureIsThatOfTheHessian() throws {
    let small = try SmallViT()
    let step = 0.02
    let evaluation = try LandscapeEvaluation([small.subject], plan([[-step, 0, step]]))
    let run = try EvaluationStudies.run([small.subject], on: SampleSet(small.data), evaluation)
    let summary = try run.collect().outcome().reports[0].report.summary
    guard case .real(let curvature)? = summary.cells("curvature_x")?.first else {
      Issue.record("there is no curvature")
      return
    }
    let direction = small.subject.network.parameters.filter { !$0.specification.isBuffer }
      .flatMap { parameter -> [Double] in
        guard parameter.specification.storedShape.count > 1 else {
          return [Double](repeating: 0, count: parameter.tensor.shape.count)
        }
        return WeightDirection.random(parameter, .li, seed: 0, axis: 0).values.map(Double.init)
      }
    let hessian = try small.hessian(small.batches(size: 10))
    let expected = dot(direction, try hessian.apply([direction])[0])
    #expect(abs(curvature - expected) < 0.02 * abs(expected), "\(curvature) \(expected)")
  }

  /// Along the leading eigenvectors the second differences are the eigenvalues, known from float64.
  @Test func curvaturesAlongEigenvectorsAreTheEigenvalues() throws {
    let small = try SmallViT()
    let axis = [-0.02, 0, 0.02]
    let evaluation = try LandscapeEvaluation(
      [small.subject], hessianOn: small.data, plan([axis, axis]), batchSize: 5)
    let run = try EvaluationStudies.run([small.subject], on: SampleSet(small.data), evaluation)
    let summary = try run.collect().outcome().reports[0].report.summary
    let all = try small.eigenvalues("dataset").sorted { abs($0) > abs($1) }
    for (column, eigenvalue) in zip(["curvature_x", "curvature_y"], all) {
      guard case .real(let curvature)? = summary.cells(column)?.first else {
        Issue.record("there is no \(column)")
        continue
      }
      #expect(abs(curvature - eigenvalue) < 0.02 * abs(eigenvalue), "\(curvature) \(eigenvalue)")
      let own = summary.cells(column.hasSuffix("x") ? "eigenvalue_x" : "eigenvalue_y")?.first
      guard case .real(let found)? = own else {
        Issue.record("there is no eigenvalue beside \(column)")
        continue
      }
      #expect(abs(found - eigenvalue) < 1e-4 * abs(eigenvalue), "\(found) \(eigenvalue)")
    }
    try EvaluationStudies.checkBytes { shard in
      try EvaluationStudies.run(
        [small.subject], on: SampleSet(small.data),
        LandscapeEvaluation(
          [small.subject], hessianOn: small.data, plan([axis, axis]), batchSize: 5),
        shard: shard)
    }
  }

  /// A network without biases whose first layer is four times as large and whose second a fourth has the
  /// same surface, bit for bit.
  @Test func rescalingChangesNothing() throws {
    let source = RandomParameters(seed: 5)
    let plain = try TwoLayers(from: source)
    let scaled = try plain.rebuilt(with: [
      "first": 4 * plain.parameters[0].tensor, "second": 0.25 * plain.parameters[1].tensor,
    ])
    let axis = LandscapeStudy.axis(-1...1, count: 3)
    func surface(_ network: any Network) throws -> [String: [Double]] {
      let subject = try ModelSubject(
        network, report: LoadReport(source: "toy", family: "toy", architecture: "toy"),
        preprocessing: Preprocessing(
          size: Extents(height: 32, width: 32), resize: .none, interpolation: .bilinear,
          mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), label: "toy")
      return try EvaluationStudies.losses(
        EvaluationStudies.run(
          [subject], on: Samples.images(8), LandscapeEvaluation([subject], plan([axis, axis]))))
    }
    let own = try surface(plain)
    #expect(try surface(scaled) == own && Set(own.values).count == 9)
  }

  private struct TwoLayers: Network {
    let inputShape = ImageShape(height: 32, width: 32, channels: 3)
    let classCount: Int? = 7
    let parameters: [NamedParameter]

    init(from source: any ParameterSource) throws(ParameterError) {
      let scope = Scope(source)
      let tensors = [
        try scope.weight("first", [6, 3], .normal(0.5)),
        try scope.weight("second", [7, 6], .normal(0.5)),
      ]
      parameters = zip(scope.requests, tensors).map {
        NamedParameter(specification: $0, tensor: $1)
      }
    }

    func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
      try TwoLayers(from: source)
    }

    func begin(_ images: Tensor, _ context: Context) -> PartialPass? { nil }

    func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
      let hidden = linear(images, parameters[0].tensor, bias: nil, activation: .relu)
      return context.tap(
        Tap("logits", .logits, layout: .vector),
        linear(hidden.globalAverage(), parameters[1].tensor, bias: nil))
    }
  }

  @Test func weightsThatOverflowLeaveGaps() throws {
    let subject = try Samples.model(Samples.vit)
    let run = try EvaluationStudies.run(
      [subject], on: Samples.images(8), LandscapeEvaluation([subject], plan([[0, 1e38]])))
    let report = try run.collect().outcome().reports[0].report
    #expect(report.tables[0].cells("status") == ["ok", "nan_input"])
    #expect(report.tables[0].cells("nll")?[1] == Cell.empty)
    #expect(report.summary.cells("status") == ["gaps"])
    #expect(report.figures.map(\.name) == ["landscape"])
    // Over a plane: a status at each place of the rim, gaps in contours and mesh, numbers from what there is.
    let plane = try EvaluationStudies.run(
      [subject], on: Samples.images(8),
      LandscapeEvaluation([subject], plan([[-0.5, 0, 0.5, 1e38], [-0.5, 0, 0.5]])))
    let whole = try plane.collect().outcome().reports[0].report
    let row = [Cell](repeating: "ok", count: 3) + ["nan_input"]
    #expect(whole.tables[0].cells("status") == row + row + row)
    #expect(whole.summary.cells("status") == ["gaps"] && whole.summary.cells("n_places") == [9])
    #expect(whole.summary.cells("curvature_x") != [.empty])
    #expect(whole.figures.map(\.name) == ["landscape", "landscape_surface", "landscape_axes"])
    for figure in whole.figures {
      let svg = figure.svg
      #expect(!svg.contains("nan"), "\(figure.name)")
    }
    let mesh = whole.figures[1].panels[0].marks.compactMap { mark in
      if case .series(let series) = mark { series.points } else { nil }
    }
    #expect(mesh.joined().count { $0.y == nil } == 6 && mesh.joined().count == 24)
    #expect(whole.grids[0].fields[0].values.count(where: \.isNaN) == 3)
  }

  /// Saved records are not held: the report reads them from their file, and says so where it was changed meanwhile.
  @Test func recordsAreReadFromTheirFile() throws {
    let subject = try Samples.model(Samples.vit)
    let scratch = Scratch()
    let run = try EvaluationStudies.run(
      [subject], on: Samples.images(9), LandscapeEvaluation([subject], plan([[0, 0.5, 1]])),
      batchSize: 4)
    let held = try run.collect()
    let log = try EvaluationStudies.log(run, scratch.path)
    let records = try run.collect(keeping: log)
    #expect(held.heldCount == 8 && records.heldCount == 0)
    let units = try run.kind([]).units
    #expect(Array(records.known) == Array(units))
    let (one, other) = try (records.outcome(), held.outcome())
    #expect(RecordStudy.files(one) == RecordStudy.files(other))
    var bytes = try #require(Scratch.read(log.path))
    bytes[bytes.count - 9] ^= 1
    scratch.write(bytes, as: ".vitprobe-records")
    let refused = failure { _ = try records.outcome() }
    #expect(refused?.kind == .badData)
    #expect(
      refused?.message.contains("is not the one that was written there") == true,
      "\(refused?.message ?? "nothing thrown")")
  }

  @Test func threadsShardsAndInterruptionsChangeNothing() throws {
    let models = try [
      Samples.model(Samples.vit, label: "v"), Samples.model(Samples.resnet, label: "r"),
    ]
    let axis = LandscapeStudy.axis(-1...1, count: 3)
    try EvaluationStudies.checkBytes { shard in
      try EvaluationStudies.run(
        models, on: Samples.images(9), LandscapeEvaluation(models, plan([axis, axis])),
        batchSize: 4, shard: shard)
    }
  }
}
