import Checkpoints
import Diagnostics
import Images
import Reports
import Tensors
import TestSupport
import Testing

@testable import VitProbe

@Suite struct CaptureTests {
  /// 19 images in minibatches of 8: the last three join the second.
  @Test(arguments: [Samples.vit, Samples.resnet], FeatureFileFormat.allCases)
  func analysesOfACaptureAreThoseOfTheModel(
    architecture: String, format: FeatureFileFormat
  ) throws {
    let scratch = Scratch()
    let model = try Samples.model(architecture)
    let images = try Samples.images(19)
    let features = try Samples.captured(model, on: images, in: scratch, format: format)
    #expect(features.label == "m")
    #expect(features.family == model.family)
    let direct = try Samples.tables([model], on: images)
    #expect(direct.keys.sorted() == ["cka", "cka_curve", "fourier", "metrics", "variance"])
    #expect(try Samples.tables([features], on: features.samples()) == direct)
    // By id, on the images themselves: nothing is decoded.
    #expect(try Samples.tables([features], on: images) == direct)
  }

  @Test(arguments: FeatureFileFormat.allCases)
  func inspectionTellsFeaturesFromWeights(format: FeatureFileFormat) throws {
    let scratch = Scratch()
    let model = try Samples.model(Samples.vit)
    _ = try Samples.captured(model, on: Samples.images(5), in: scratch, format: format)
    let facts = try Inspection(scratch.file(format.fileName)).facts.plainText()
    #expect(facts.contains("features of "))
    #expect(facts.contains("of 5 samples"))
    #expect(!facts.contains("not recognised"))
  }

  @Test func layersAreStoredAsOtherSoftwareHasThem() throws {
    let scratch = Scratch()
    let model = try Samples.model(Samples.resnet)
    _ = try Samples.captured(model, on: Samples.images(9), in: scratch)
    let file = try Checkpoint.open(scratch.file("features.safetensors"))
    let stem = try #require(file.tensors.first)
    let planned = try #require(model.taps.first { $0.tap.name == stem.name })
    #expect(stem.shape == [9, planned.shape[2], planned.shape[0], planned.shape[1]])
    #expect(file["logits"]?.shape == [9, 7])
    #expect(file.metadata["ids"]?.hasPrefix("[\"noise#0\",\"noise#1\"") == true)
    #expect(file.metadata["labels"] == "[0,1,2,3,4,5,6,0,1]")

    // Channels come first in the file and last in memory.
    final class Keeper: Probe {
      let name: String
      var value: Tensor?
      init(_ name: String) { self.name = name }
      func wants(_ tap: Tap) -> Bool { tap.name == name }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        self.value = value
        return value
      }
    }
    let keeper = Keeper(stem.name)
    let images = try Samples.images(9)
    let (batch, _) = try images.batch(
      0, of: BatchPlan(count: 9, batchSize: 9), decoding: true, onBadImage: .fail,
      forEach: serialLoop)
    _ = try model.forward(batch, probe: keeper)
    let value = try #require(keeper.value)
    let (h, w, c) = (planned.shape[0], planned.shape[1], planned.shape[2])
    let stored = try stem.floats()
    let values = value.values
    for (n, y, x, k) in [(0, 0, 0, 0), (8, h - 1, 0, c - 1), (3, 2, 5, 1)] {
      #expect(stored[((n * c + k) * h + y) * w + x] == values[((n * h + y) * w + x) * c + k])
    }
  }

  @Test func theArchiveSaysTheSameOfItself() throws {
    let scratch = Scratch()
    let model = try Samples.model(Samples.vit)
    let images = try Samples.images(8)
    _ = try Samples.captured(model, on: images, in: scratch)
    _ = try Samples.captured(model, on: images, in: scratch, format: .npz)
    let one = try FeatureMetadata(Checkpoint.open(scratch.file("features.safetensors")))
    let other = try FeatureMetadata(Checkpoint.open(scratch.file("features.npz")))
    #expect(one.entries == other.entries)
    #expect(one.ids?.count == 8)
  }

  @Test func whereNoImageCanBeReadThereIsNoFile() throws {
    let scratch = Scratch()
    let folder = scratch.folder("data")
    scratch.write("no image", as: "data/a.png")
    let data = SampleSet(try ImageDataSet.open(folder))
    var options = Samples.options()
    options.badImages = .skip
    let capture = try FeatureCapture(try Samples.model(Samples.vit), on: data, options: options)
    let error = failure { _ = try capture(to: scratch.file("f.safetensors")) }
    #expect(error?.kind == .badData)
    #expect(scratch.names() == ["data"])
  }

  @Test func aDeviceIsNotReplaced() throws {
    let capture = try FeatureCapture(
      try Samples.model(Samples.vit), on: Samples.images(8), options: Samples.options())
    let error = failure { _ = try capture(to: "/dev/full") }
    #expect(error?.kind == .cannotCreate)
  }

  @Test func threadsDoNotChangeAnyByte() throws {
    let before = Threads.count
    defer { Threads.configure(count: before) }
    let models = [try Samples.model(Samples.vit), try Samples.model(Samples.resnet, label: "r")]
    let images = try Samples.images(52)
    var results: [[String: String]] = []
    for count in 1...3 {
      Threads.configure(count: count)
      results.append(try Samples.tables(models, on: images))
    }
    #expect(results[0] == results[1])
    #expect(results[0] == results[2])
  }

  @Test func recordsMayComeInAnyOrder() throws {
    let model = try Samples.model(Samples.vit)
    let images = try Samples.images(32)
    let plan = BatchPlan(count: 32, batchSize: 8)
    func report(_ order: [Int]) throws -> [String] {
      let taps = model.taps.filter { $0.tap.roles.contains(.sequence) }
      let planned = Plan(
        subjects: [SubjectPlan(label: "m", family: "vit", taps: taps)],
        batchSizes: plan.batches.map(\.count), batchSize: 8)
      let analyses: [any PlannedAnalysis] = [
        TypedAnalysis(CKAAnalyzer(), plan: planned),
        TypedAnalysis(FourierAnalyzer(), plan: planned),
        TypedAnalysis(VarianceAnalyzer(), plan: planned),
      ]
      var records: [Int: [any Sendable]] = [:]
      for number in order {
        let (batch, _) = try images.batch(
          number, of: plan, decoding: true, onBadImage: .fail, forEach: serialLoop)
        let atWork = analyses.map { $0.begin(batch.identity) }
        try model.forward(
          batch, probe: DispatchProbe(subject: 0, samples: batch.ids, analyses: atWork))
        records[number] = atWork.map { $0.finish() }
      }
      return try analyses.enumerated().flatMap { place, analysis in
        try analysis.report((0..<4).compactMap { records[$0]?[place] }).tables.map(\.csv)
      }
    }
    #expect(try report([0, 1, 2, 3]) == report([2, 0, 3, 1]))
  }
}
