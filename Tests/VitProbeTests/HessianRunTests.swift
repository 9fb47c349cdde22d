import Checkpoints
import Diagnostics
import Images
import Models
import Reports
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// What a run says of input that does not fit, and of settings at their limits.
@Suite struct HessianRunTests {
  private func run(
    _ subjects: [ModelSubject]? = nil, on data: ImageDataSet? = nil, batchSize: Int = 4,
    batchLimit: Int? = nil, _ change: (inout HessianSettings) -> Void = { _ in }
  ) throws -> HessianRun {
    let small = try SmallViT()
    var settings = HessianSettings()
    change(&settings)
    return try HessianRun(
      subjects ?? [small.subject], on: data ?? small.data, settings: settings,
      loss: TrainingLoss(), batchSize: batchSize, batchLimit: batchLimit)
  }

  /// Noise of the small model's size.
  private func images(
    labels: [Int]?, classNames: [String] = []
  ) throws -> ImageDataSet {
    let values = CounterRandom(seed: 2, purpose: "images").normals(4 * 192).map(Float.init)
    let bytes = values.withUnsafeBytes { Array($0) }
    return try ImageDataSet(
      ArrayImages(
        name: "noise", shape: [4, 3, 8, 8], element: .float32, labels: labels,
        classNames: classNames
      ) { Array(bytes[$0]) }, name: "noise")
  }

  private func reals(_ table: Table, _ column: String) throws -> [Double?] {
    try #require(table.cells(column)).map { if case .real(let value) = $0 { value } else { nil } }
  }

  private func texts(_ table: Table, _ column: String) throws -> [String] {
    try #require(table.cells(column)).map { if case .text(let text) = $0 { text } else { "" } }
  }

  // MARK: Input that does not fit

  @Test func missingLabelsAreAnError() throws {
    let error = failure { _ = try run(on: images(labels: nil)) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("noise#0 has no label") == true)
    #expect(error?.message.contains("`labels`") == true)
  }

  @Test func labelsBeyondTheHeadAreAnError() throws {
    let error = failure { _ = try run(on: images(labels: [0, 1, 3, 2])) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("go up to 3") == true)
    #expect(error?.message.contains("3 classes") == true)
    // Fewer classes than outputs are possible, but worth a word.
    let fewer = try run(on: images(labels: [0, 1, 1, 0], classNames: ["a", "b"]))
    #expect(fewer.plan.contains { $0.contains("names 2 classes") && $0.contains("has 3") })
    #expect(try !run().plan.contains { $0.hasPrefix("note") })
  }

  @Test func modelsWithoutAHeadAreAnError() throws {
    let headless = try ModelSubject(
      ModelLoader.random(
        Architecture("vit(image=8,patch=4,dim=8,depth=1,heads=2,classes=0)"), seed: 1),
      label: "backbone", inputFiles: [])
    let error = failure { _ = try run([headless]) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("backbone has no classification head") == true)
  }

  @Test func aMinibatchLargerThanTheDataIsAnError() throws {
    let error = failure { _ = try run(batchSize: 11) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("10 images") == true)
    #expect(error?.message.contains("`batchSize`") == true)
    #expect(try run(batchSize: 10).minibatches == 1)
  }

  @Test func globsThatMatchNothingAreAnError() throws {
    for glob in ["blocks.7.*", "!blocks.7.*"] {
      let error = failure { _ = try run { $0.parameters = [glob] } }
      #expect(error?.kind == .usage)
      #expect(error?.message.contains(glob) == true)
      #expect(error?.message.contains("cls_token") == true)
    }
    let none = failure { _ = try run { $0.parameters = ["head.*", "!head.*"] } }
    #expect(none?.kind == .usage)
  }

  // MARK: NaN

  /// The small model with a value of two tensors replaced.
  private func spoiled(_ value: Float, in names: Set<String>) throws -> ModelSubject {
    let scratch = Scratch()
    let whole = try Checkpoint.open(SmallViT.folder + "small-vit.safetensors")
    let path = scratch.file("bad.safetensors")
    var writer = try SafetensorsWriter(
      creating: path, tensors: whole.tensors.map { .init(name: $0.name, shape: $0.shape) })
    for (index, tensor) in whole.tensors.enumerated() {
      var values = try tensor.floats()
      if names.contains(tensor.name) { values[values.count / 2] = value }
      try values.withUnsafeBufferPointer { try writer.append($0, to: index) }
    }
    try writer.finish()
    return try ModelSubject(
      ModelLoader.load(Checkpoint.open(path), as: Architecture(SmallViT.architecture)),
      label: "bad", inputFiles: [])
  }

  @Test(arguments: [Float.nan, .infinity])
  func spoiledWeightsGiveRowsWithAStatusAndNoFigure(_ value: Float) throws {
    let bad = try spoiled(value, in: ["blocks.0.mlp.fc1.weight", "head.bias"])
    let report = try run([bad]) { ($0.traceProbes, $0.densityProbes) = (3, 1) }()
    let rows = report.tables[0]
    #expect(rows.rows.count == 3)
    #expect(try texts(rows, "status") == ["nan_input", "nan_input", "nan_input"])
    #expect(try reals(rows, "eigenvalue") == [nil, nil, nil])
    #expect(try texts(report.tables[1], "status") == ["nan_input"])
    #expect(report.figures.isEmpty)
    #expect(
      report.notes.contains {
        $0.contains("bad") && $0.contains("minibatch 1")
          && $0.contains("blocks.0.mlp.fc1.weight and 1 more")
      }, "\(report.notes)")
    for table in report.tables {
      #expect(!table.csv.lowercased().contains("nan,") && !table.csv.contains("inf"))
    }
    // Beside a sound model, it takes nothing from its figure.
    let both = try run([bad, SmallViT().subject])()
    #expect(both.figures.count == 1)
    #expect(try texts(both.tables[1], "status") == ["nan_input", "ok"])
  }

  @Test func weightsThatOverflowAreToldFromThoseThatAreNotFinite() throws {
    let report = try run([spoiled(3e38, in: ["head.weight"])])()
    #expect(try texts(report.tables[1], "status") == ["nan_input"])
    #expect(report.notes.contains { $0.contains("the network overflows") }, "\(report.notes)")
  }

  // MARK: Settings at their limits

  @Test(arguments: HessianSettings.Solver.allCases)
  func moreStepsThanDimensions(_ solver: HessianSettings.Solver) throws {
    let report = try run(batchLimit: 1) {
      $0.solver = solver
      $0.parameters = ["head.bias"]
      ($0.steps, $0.top, $0.traceProbes, $0.densityProbes) = (50, 9, 2, 2)
    }()
    let table = report.tables[0]
    // Three by magnitude; Lanczos has both ends besides.
    #expect(table.rows.count == (solver == .lanczos ? 5 : 3))
    #expect(try texts(table, "status").allSatisfy { $0 == "ok" })
    let values = try reals(table, "eigenvalue").compactMap(\.self)
    // mean (diag(p) - pp'): two positive values, and 0 for the constant shift.
    #expect(values[0] > 0.1 && values[1] > 0.01 && abs(values[2]) < 1e-6)
    let notes = report.notes.joined(separator: "\n")
    #expect(notes.contains("exceed the dimension"))
  }

  @Test func singleTensorsAndBlocksAreSeenAlone() throws {
    let whole = try run(batchLimit: 1)()
    let block = try run(batchLimit: 1) { $0.parameters = ["blocks.0.*", "!*.bias"] }
    #expect(block.plan.contains { $0.contains("6 tensors") }, "\(block.plan)")
    let table = try block().tables[0]
    #expect(try texts(table, "params").allSatisfy { $0 == "blocks.0.* !*.bias" })
    // A principal submatrix: its ends lie within those of the whole (Cauchy).
    func ends(_ table: Table) throws -> (Double, Double) {
      let values = try reals(table, "eigenvalue").compactMap(\.self)
      return (values[values.count - 1], values[values.count - 2])
    }
    let (outer, inner) = (try ends(whole.tables[0]), try ends(table))
    #expect(outer.0 <= inner.0 && inner.1 <= outer.1)
  }

  /// Every value moves by the weight decay (too little here to change their order); the column
  /// without it says what it was.
  @Test(arguments: HessianSettings.Solver.allCases)
  func weightDecayMovesEveryValue(_ solver: HessianSettings.Solver) throws {
    func tables(_ decay: Double) throws -> [Table] {
      try run(batchLimit: 1) {
        $0.solver = solver
        $0.weightDecay = decay
        ($0.steps, $0.tolerance, $0.maximumIterations) = (60, 1e-7, 400)
        $0.top = solver == .power ? 2 : 5
        $0.traceProbes = 5
      }().tables
    }
    let (plain, shifted) = (try tables(0), try tables(0.005))
    let before = try reals(plain[0], "eigenvalue").compactMap(\.self)
    let after = try reals(shifted[0], "eigenvalue").compactMap(\.self)
    let without = try reals(shifted[0], "eigenvalue_without_l2").compactMap(\.self)
    #expect(before.count == after.count)
    for index in before.indices {
      #expect(abs(after[index] - before[index] - 0.005) < 1e-4)
      #expect(abs(without[index] - (after[index] - 0.005)) < 1e-12)
    }
    #expect(try texts(plain[0], "l2_kind").allSatisfy { $0 == "none" })
    #expect(try texts(shifted[0], "l2_kind").allSatisfy { $0 == "half-squared" })
    let traces = try [plain, shifted].map { try reals($0[1], "trace")[0] ?? 0 }
    #expect(abs(traces[1] - traces[0] - 0.005 * 1083) < 1e-3)
  }

  @Test func bothSolversAgree() throws {
    func values(_ solver: HessianSettings.Solver) throws -> [Double] {
      let table = try run(batchLimit: 1) {
        $0.solver = solver
        ($0.top, $0.steps, $0.tolerance, $0.maximumIterations) = (3, 60, 1e-6, 1000)
      }().tables[0]
      return try Array(reals(table, "eigenvalue").compactMap(\.self).prefix(3))
    }
    let (lanczos, power) = (try values(.lanczos), try values(.power))
    let golden = try SmallViT().eigenvalues("batch0").sorted { abs($0) > abs($1) }
    for index in 0..<3 {
      #expect(abs(lanczos[index] - golden[index]) < 1e-4)
      #expect(abs(power[index] - golden[index]) < 2e-2)
    }
  }

  // MARK: Estimates

  @Test func planSaysWhatIsToBeDone() throws {
    let prepared = try run { ($0.steps, $0.traceProbes) = (20, 3) }
    // And one for each of the five values and both ends.
    #expect(prepared.plannedProducts == 3 * 30)
    #expect(prepared.imageCount == 10)
    let text = prepared.plan.joined(separator: "\n")
    for part in ["1083 parameters", "3 minibatches of 4", "90 products", "multiply-adds", "MB"] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
  }

  /// What is told at the end is what was made; no count is ever above its total.
  @Test(arguments: HessianSettings.Scope.allCases)
  func progressReachesItsEnd(_ scope: HessianSettings.Scope) throws {
    var calls: [(Int, Int)] = []
    let prepared = try run {
      $0.scope = scope
      // Too few, so that the solver extends itself.
      $0.steps = 4
      $0.tolerance = 1e-9
    }
    let report = try prepared { calls.append(($0, $1)) }
    #expect(calls.allSatisfy { $0.0 <= $0.1 })
    #expect(calls.last.map { $0.0 == $0.1 } == true)
    let products = try #require(report.tables[0].cells("matvecs"))
    #expect(products.allSatisfy { $0 == .integer(8) })
    let measured = try Set(reals(report.tables[0], "eigenvalue").compactMap(\.self)).count
    #expect(calls.last?.0 == (scope == .batch ? 3 * 8 + measured : 3 * (8 + measured)))
    #expect(try texts(report.tables[1], "status") == ["not_converged"])
    #expect(report.notes.contains { $0.contains("more `steps` help") })
    let power = try self.run(batchLimit: 1) { ($0.solver, $0.maximumIterations) = (.power, 2) }()
    #expect(try texts(power.tables[1], "status") == ["not_converged"])
    #expect(power.notes.contains { $0.contains("a smaller `tolerance` helps") })
  }

  @Test func productsAreForeseen() {
    var count = StepCount(units: 4, planned: 30)
    #expect(count.expected == 120)
    for _ in 0..<30 { count.add() }
    #expect(count.expected == 120)
    // An extension of the first is taken to be that of all.
    count.add()
    #expect(count.expected == 240)
    for _ in 0..<29 { count.add() }
    count.finishUnit(60)
    #expect(count.expected == 240)
    // The second found everything early.
    for _ in 0..<10 { count.add() }
    count.finishUnit(10)
    #expect(count.expected == 70 + 2 * 35)
    for _ in 0..<2 {
      for _ in 0..<35 { count.add() }
      count.finishUnit(35)
    }
    #expect(count.made == 140 && count.expected == 140)
  }
  @Test func productsOfSeveralLossesAtOnceAreForeseen() {
    var count = StepCount(units: 5, planned: 10, atOnce: 2)
    #expect(count.expected == 50)
    for _ in 0..<18 { count.add() }
    #expect(count.expected == 50)
    count.finishUnit(10)
    #expect(count.expected == 50)
    // The one that goes on and the next; three others are open, one of which is in hand.
    for _ in 0..<14 { count.add() }
    #expect(count.expected == 10 + 2 * 20 + 2 * 10)
  }
}
