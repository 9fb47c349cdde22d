import Diagnostics
import Images
import Models
import Reports
import Synchronization
import Tensors
import TestSupport
import Testing

@testable import VitProbe

@Suite struct LesionTests {
  /// A network that says nothing of its blocks.
  private struct Blockless: Network {
    let base: any Network
    var inputShape: ImageShape { base.inputShape }
    var classCount: Int? { base.classCount }
    var parameters: [NamedParameter] { base.parameters }
    func begin(_ images: Tensor, _ context: Context) -> PartialPass? { nil }

    func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor { base(images, context) }
    func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
      Blockless(base: try base.rebuilt(from: source))
    }
  }

  /// A network that counts the blocks that it runs.
  private struct Counting: ModelNetwork {
    let base: any ModelNetwork
    let model: any VisionModel
    var inputShape: ImageShape { base.inputShape }
    var parameters: [NamedParameter] { base.parameters }

    init(_ base: any ModelNetwork, _ count: @escaping @Sendable () -> Void) {
      func counted(_ model: some VisionModel) -> any VisionModel {
        CountingModel(base: model, count: count)
      }
      (self.base, model) = (base, counted(base.model))
    }

    func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
      try base.rebuilt(from: source)
    }
  }

  private struct CountingModel<Base: VisionModel>: VisionModel {
    let base: Base
    let count: @Sendable () -> Void
    var blockCount: Int { base.blockCount }
    var classCount: Int? { base.classCount }
    func embed(_ images: Tensor, _ context: Context) -> Base.State { base.embed(images, context) }
    func block(_ index: Int, _ state: Base.State, _ context: Context) -> Base.State {
      count()
      return base.block(index, state, context)
    }
    func finish(_ state: Base.State, _ context: Context) -> Tensor {
      count()
      return base.finish(state, context)
    }
    func head(_ state: Base.State, _ context: Context) -> Tensor { base.head(state, context) }
  }

  private func losses(
    _ subject: ModelSubject, on data: SampleSet, by replacement: LesionStudy.Replacement = .zero,
    heads: Bool = false, batchSize: Int = 5
  ) throws -> [String: [Double]] {
    try EvaluationStudies.losses(
      EvaluationStudies.run(
        [subject], on: data, LesionEvaluation([subject], by: replacement, heads: heads),
        batchSize: batchSize))
  }

  /// Branches and heads, by zero and by the mean, against float64.
  @Test(arguments: LesionStudy.Replacement.allCases)
  func lossesAreThoseOfTheReference(replacement: LesionStudy.Replacement) throws {
    let small = try SmallViT()
    let golden = try EvaluationStudies.golden("small-vit-lesions.json")
    let found = try losses(
      small.subject, on: SampleSet(small.data), by: replacement, heads: true)
    #expect(found.count == 5)
    for (name, losses) in found {
      let expected = try #require(golden["\(name) \(replacement.rawValue)"])
      #expect(losses.count == 10)
      #expect(zip(losses, expected).allSatisfy { abs($0 - $1) < 2e-6 }, "\(name)")
    }
    #expect(found["none"] != found["blocks.0.attn_branch"])
  }

  /// Without a branch a network is, bit for bit, one whose branch ends in a layer of zeros; and there the
  /// branch can be left out without any change.
  @Test(arguments: [
    (Samples.vit, "blocks.1.attn_branch", "blocks.1.attn.proj."),
    (Samples.vit, "blocks.0.mlp_branch", "blocks.0.mlp.fc2."),
    (Samples.resnet, "layer2.0.branch", "layer2.0.bn2."),
  ])
  func aBranchThatEndsInZerosIsWorthNothing(
    architecture: String, branch: String, layer: String
  ) throws {
    let subject = try Samples.model(architecture)
    let data = try Samples.images(10)
    let whole = try EvaluationStudies.changed(subject) { _, tensor in tensor }
    let zeroed = try EvaluationStudies.changed(subject) { name, tensor in
      name == layer + "weight" || name == layer + "bias"
        ? Tensor(repeating: 0, shape: tensor.shape) : tensor
    }
    let (own, other) = (try losses(whole, on: data), try losses(zeroed, on: data))
    #expect(other[branch] == other["none"])
    #expect(own[branch] == other["none"])
    #expect(own[branch] != own["none"])
  }

  private func reals(_ table: Table, _ column: String) throws -> [Double] {
    try #require(table.cells(column)).map { if case .real(let value) = $0 { value } else { .nan } }
  }

  /// Without a branch the last layer is that of a network whose branch ends in zeros: their similarity to the whole
  /// one is the one that `cka` finds. A branch of zeros leaves the layer what it is.
  @Test func similaritiesAreThoseOfCKA() throws {
    let subject = try Samples.model(Samples.resnet)
    let data = try Samples.images(17)
    func relabelled(_ label: String, zeroing layer: String?) throws -> ModelSubject {
      let tensors = Dictionary(
        uniqueKeysWithValues: subject.network.parameters.map { parameter in
          let name = parameter.specification.name
          let isZero = layer.map { name == $0 + "weight" || name == $0 + "bias" } ?? false
          return (
            name, isZero ? Tensor(repeating: 0, shape: parameter.tensor.shape) : parameter.tensor
          )
        })
      return try ModelSubject(
        subject.network.rebuilt(with: tensors), report: subject.report,
        preprocessing: Preprocessing(
          size: Extents(height: 32, width: 32), resize: .none, interpolation: .bilinear,
          mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), label: label)
    }
    let whole = try relabelled("whole", zeroing: nil)
    let zeroed = try relabelled("zeroed", zeroing: "layer1.0.bn2.")
    let table = try EvaluationStudies.run(
      [whole, zeroed], on: data, LesionEvaluation([whole, zeroed], by: .zero)
    ).collect().outcome().reports[0].report.tables[0]
    let found = try reals(table, "cka_last")
    #expect(found[0].isNaN && found[1] < 1 && abs(found[4] - 1) < 1e-12)
    let outcome = try FeatureRun(
      [whole, zeroed], on: data, analyses: [CKAAnalyzer()], options: Samples.options(batchSize: 5))()
    let rows = try cka(outcome).filter { row in
      [row["layer_a_name"], row["layer_b_name"]].allSatisfy { $0 == "layer2.0" }
        && Set([row["model_a"], row["model_b"]]) == ["whole", "zeroed"]
    }
    let known = try #require(rows.first?["cka"].flatMap { Double($0) })
    #expect(abs(found[1] - known) < 1e-9, "\(found[1]) \(known)")
    let low = try #require(rows.first?["ci_lo"].flatMap { Double($0) })
    #expect(try abs(reals(table, "cka_lo")[1] - low) < 1e-9)
  }

  /// Variances and amplitudes are those of `variance` and `fourier`; ranks are of these numbers.
  @Test func branchesAreRankedByTheRuleOfAlterNet() throws {
    let architecture = "resnet(stem=cifar,image=32,depths=2-2,block=basic,width=6,classes=7)"
    let models = try [
      Samples.model(architecture, label: "r"), Samples.model(Samples.vit, label: "v"),
    ]
    let data = try Samples.images(10)
    let report = try EvaluationStudies.run(
      models, on: data, LesionEvaluation(models, by: .zero, buildUp: true)
    ).collect().outcome().reports[0].report
    #expect(report.tables.map(\.name) == ["lesion", "lesion_build_up"])
    let table = report.tables[1]
    #expect(table.rows.count == 8 && table.cells("rank")?.prefix(4) == [1, 2, 3, 4])
    #expect(table.cells("rank")?.suffix(4).allSatisfy { $0 == .empty } == true)
    let outcome = try FeatureRun(
      [models[0]], on: data, analyses: [VarianceAnalyzer(), FourierAnalyzer()],
      options: Samples.options(batchSize: 5))()
    let tables = outcome.reports.flatMap(\.report.tables)
    let variance = try #require(tables.first { $0.name == "variance" })
    let fourier = try #require(tables.first { $0.name == "fourier" })
    let names = try #require(table.cells("layer_name")).prefix(4)
    for (row, name) in names.enumerated() {
      guard case .text(let branch) = name else { continue }
      let layer = Cell.text(String(branch.dropLast(".branch".count)))
      let place = try #require(variance.cells("layer_name")?.firstIndex(of: layer))
      #expect(
        try abs(reals(table, "variance")[row] - reals(variance, "value")[place]) < 1e-9)
      let last = try #require(fourier.cells("layer_name")?.lastIndex(of: layer))
      #expect(
        try abs(reals(table, "high_frequency")[row] - reals(fourier, "delta_log_amp")[last])
          < 1e-9)
    }
    // Ranks of each measure are a permutation in its order, and the rows in the order of their means.
    for (column, rank, sign) in [
      ("variance", "rank_variance", -1.0), ("lesion_cost_pp", "rank_cost", 1),
      ("high_frequency", "rank_frequency", -1),
    ] {
      let values = try reals(table, column).prefix(4).map { sign * $0 }
      let ranks = try #require(table.cells(rank)).prefix(4).map {
        if case .integer(let value) = $0 { value } else { 0 }
      }
      #expect(Set(ranks) == [1, 2, 3, 4])
      for a in 0..<4 {
        for b in 0..<4 where values[a] < values[b] { #expect(ranks[a] < ranks[b]) }
      }
    }
    let means = try reals(table, "mean_rank").prefix(4)
    #expect(means.sorted() == Array(means))
    let isEnd = try #require(table.cells("stage_end"))
    for (row, name) in names.enumerated() {
      let expected = name == "layer1.1.branch" || name == "layer2.1.branch"
      #expect(isEnd[row] == .text("\(expected)"))
    }
    let refused = failure {
      _ = try LesionEvaluation([models[1]], by: .zero, buildUp: true)
    }
    #expect(refused?.message.contains("no convolution") == true)
    try EvaluationStudies.checkBytes { shard in
      try EvaluationStudies.run(
        models, on: Samples.images(17), LesionEvaluation(models, by: .zero, buildUp: true),
        shard: shard)
    }
  }

  /// A pass that goes on from the block of the lesion has the bits of a whole one, in every family.
  @Test(arguments: Samples.families)
  func passesGoOnFromTheBlock(family: Samples.Family) throws {
    let subject = try Samples.model(family.architecture)
    let other = try EvaluationStudies.wrapped(Blockless(base: subject.network), as: subject)
    let same = try EvaluationStudies.wrapped(subject.network, as: subject)
    let data = try Samples.images(4)
    let heads = subject.taps.contains { $0.tap.name.hasSuffix("attn_branch") }
    let found = try losses(same, on: data, by: .mean, heads: heads)
    #expect(try found == losses(other, on: data, by: .mean, heads: heads))
    #expect(
      found.count > 2
        && (!heads || found.keys.contains { $0.hasSuffix("#1") || $0.hasSuffix("#0") }))
    #expect(found.values.allSatisfy { $0.count == 4 && $0.allSatisfy(\.isFinite) })
    let evaluation = try LesionEvaluation([other], by: .zero)
    #expect(evaluation.notes == ["m has no blocks to go on from: each lesion costs a whole pass"])
    #expect(try LesionEvaluation([same], by: .zero).notes.isEmpty)
  }

  /// A lesion costs the blocks from its own on: those before come of the pass of the network as it is.
  @Test func lesionsCostWhatComesBehindThem() throws {
    let architecture = "vit(image=32,patch=8,dim=24,depth=4,heads=3,classes=7)"
    let subject = try Samples.model(architecture)
    let network = try #require(subject.network as? any ModelNetwork)
    let (blocks, minibatches) = (4, 2)
    let counter = Mutex(0)
    let counted = try EvaluationStudies.wrapped(
      Counting(network) { counter.withLock { $0 += 1 } }, as: subject)
    let found = try losses(counted, on: Samples.images(10))
    #expect(found.count == 1 + 2 * blocks)
    // Two branches a block: 1 + L (blocks + 1) / (2 blocks) passes in place of 1 + L.
    #expect(counter.withLock { $0 } == minibatches * (blocks + blocks * (blocks + 1)))
  }

  /// Models begin a pass as their users get them: of a checkpoint or of random numbers, not rebuilt alone.
  @Test(arguments: Samples.families)
  func loadedModelsHaveBlocks(family: Samples.Family) throws {
    let subject = try Samples.model(family.architecture)
    let images = try subject.images(
      of: Samples.images(2).batch(
        0, of: BatchPlan(count: 2, batchSize: 2, minimum: 1), decoding: true, onBadImage: .fail
      ) { Threads.forEach($0, $1) }.batch)
    let pass = try #require(subject.network.begin(images, Context()))
    #expect(pass.blockCount > 1)
    #expect(pass.next().finish().values == subject.network(images).values)
  }

  /// Where all images are the same, their mean changes nothing.
  @Test func theMeanOfEqualImagesChangesNothing() throws {
    let small = try SmallViT()
    let image = try SampleSet(small.data).batch(
      0, of: BatchPlan(count: 10, batchSize: 1, minimum: 1), decoding: true, onBadImage: .fail
    ) { Threads.forEach($0, $1) }.batch
    let pixels = try small.subject.images(of: image)
    let one = pixels.values
    // Channels first, as arrays of images have them.
    let planar = (0..<3).flatMap { channel in (0..<64).map { one[$0 * 3 + channel] } }
    let source = try ArrayImages(
      name: "same", shape: [4, 3, 8, 8], element: .float32,
      bytes: (0..<4).flatMap { _ in planar }.withUnsafeBytes { Array($0) }, labels: [0, 1, 2, 0])
    let data = SampleSet(try ImageDataSet(source, name: "same"))
    let found = try losses(small.subject, on: data, by: .mean, heads: true)
    for (name, losses) in found { #expect(losses == found["none"], "\(name)") }
  }

  @Test func threadsShardsAndInterruptionsChangeNothing() throws {
    try EvaluationStudies.checkBytes { shard in
      let models = try [
        Samples.model(Samples.vit, label: "v"), Samples.model(Samples.resnet, label: "r"),
      ]
      return try EvaluationStudies.run(
        models, on: Samples.images(17), LesionEvaluation(models, by: .zero, heads: true),
        shard: shard)
    }
  }

  @Test func rowsAreThoseOfTheBranches() throws {
    let models = try [
      Samples.model(Samples.vit, label: "v"), Samples.model(Samples.resnet, label: "r"),
    ]
    let run = try EvaluationStudies.run(
      models, on: Samples.images(10), LesionEvaluation(models, by: .zero))
    let report = try #require(try run.collect().outcome().reports.first?.report)
    let table = report.tables[0]
    func texts(_ column: String) throws -> [String] {
      try #require(table.cells(column)).map { if case .text(let text) = $0 { text } else { "" } }
    }
    #expect(
      try texts("layer_name") == [
        "none", "blocks.0.attn_branch", "blocks.0.mlp_branch", "blocks.1.attn_branch",
        "blocks.1.mlp_branch", "none", "layer1.0.branch", "layer2.0.branch",
      ])
    #expect(try texts("kind") == ["", "msa", "mlp", "msa", "mlp", "", "conv", "conv"])
    #expect(
      table.cells("depth") == [
        .empty, .real(0.25), .real(0.5), .real(0.75), .real(1), .empty, .real(0.5), .real(1),
      ])
    #expect(table.cells("stage")?.suffix(2) == [.integer(0), .integer(1)])
    #expect(try texts("status").allSatisfy { $0 == "ok" })
    // The network as it is has the accuracy that metrics report.
    let metrics = try FeatureRun(
      models, on: Samples.images(10), analyses: [VarianceAnalyzer()],
      options: Samples.options(batchSize: 5))()
    let known = try #require(metrics.reports.last?.report.tables.first?.cells("acc"))
    #expect(table.cells("acc")?[0] == known[0] && table.cells("acc")?[5] == known[1])
    #expect(report.figures.map(\.name) == ["lesion"] && report.figures[0].panels.count == 4)
  }

  @Test func whatCannotBeRunIsRefused() throws {
    let vit = try Samples.model(Samples.vit, label: "v")
    let resnet = try Samples.model(Samples.resnet, label: "r")
    func refusal(_ body: () throws -> Void) -> String {
      failure(body).map { "\($0.kind): \($0.message)" } ?? ""
    }
    #expect(
      refusal { _ = try LesionEvaluation([resnet], by: .zero, heads: true) }
        == "usage: `heads`: r has no attention heads")
    let both = try LesionEvaluation([vit, resnet], by: .zero, heads: true)
    #expect(both.notes == ["r has no attention heads"])
    #expect(
      refusal {
        _ = try LesionEvaluation([vit], by: .zero, heads: true, layers: ["blocks.0.attn_branch#3"])
      }.hasPrefix(
        "usage: `layers` \"blocks.0.attn_branch#3\" matches no residual branch and no head"))
    #expect(
      refusal { _ = try LesionEvaluation([vit, resnet], by: .zero, layers: ["layer1*"]) }
        .hasPrefix("usage: no residual branch of v is left"))
    let unlabelled = try Samples.images(8, isLabeled: false)
    #expect(
      refusal {
        _ = try EvaluationStudies.run([vit], on: unlabelled, LesionEvaluation([vit], by: .zero))
      }.hasPrefix("badData: noise: no image that is looked at has a label"))
    let backbone = try Samples.model("vit(image=32,patch=8,dim=24,depth=1,heads=3,classes=0)")
    let headless = refusal {
      _ = try EvaluationStudies.run(
        [backbone], on: Samples.images(8), LesionEvaluation([backbone], by: .zero))
    }
    #expect(headless == "badData: m has no classification head, and the loss needs one")
  }

  /// Images without a label are left out and counted; scores that are not finite leave cells empty.
  @Test func statesAreSaid() throws {
    let bytes = (0..<8 * 3072).map { UInt8(truncatingIfNeeded: $0 &* $0 / 7) }
    let source = try ArrayImages(
      name: "x", shape: [8, 32, 32, 3], element: .uint8, bytes: bytes,
      labels: [0, 1, -1, 2, 3, -1, 4, 5])
    let subject = try EvaluationStudies.changed(Samples.model(Samples.vit)) { name, tensor in
      name == "blocks.1.mlp.fc2.bias" ? Float.infinity * tensor : tensor
    }
    let run = try EvaluationStudies.run(
      [subject], on: SampleSet(ImageDataSet(source, name: "x")),
      LesionEvaluation([subject], by: .zero))
    let outcome = try run.collect().outcome()
    #expect(outcome.notes == ["2 of 8 images have no label and were left out"])
    let table = outcome.reports[0].report.tables[0]
    #expect(table.cells("n_images") == [Cell](repeating: 6, count: 5))
    // Without the branch that overflows the network is sound, but there is nothing to compare it with.
    #expect(
      table.cells("status") == [Cell](repeating: "nan_input", count: 5))
    let accuracies = try #require(table.cells("acc"))
    #expect(accuracies.dropLast() == [Cell](repeating: .empty, count: 4)[...])
    #expect(accuracies[4] != Cell.empty && table.cells("delta_acc_pp")?.last == Cell.empty)
  }
}
