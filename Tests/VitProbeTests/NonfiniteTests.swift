import Checkpoints
import Diagnostics
import Images
import Reports
import Tensors
import TestSupport
import Testing

@testable import Models
@testable import VitProbe

/// NaN and infinities in weights, images and features: the first place is named, the cells that they
/// reach have a status, and the rest is delivered.
@Suite struct NonfiniteTests {
  /// Three layers of 16 samples; the second is changed.
  private func features(
    _ scratch: Scratch, change: (inout [Float]) -> Void
  ) throws -> any Subject {
    var layers = (0..<3).map { FeatureLayer("l\($0)", [16, 6], noise(96, seed: UInt64($0) + 1)) }
    change(&layers[1].values)
    let ids = "[" + (0..<16).map { "\"img\($0)\"" }.joined(separator: ",") + "]"
    return try open(
      featureFile(layers, metadata: ["format": "vitprobe-features", "ids": ids], in: scratch))
  }

  @Test(arguments: [(Float.nan, "nan"), (.infinity, "inf"), (-.infinity, "-inf")])
  func theFirstLayerAndSampleAreNamed(value: Float, text: String) throws {
    let scratch = Scratch()
    let subject = try #require(
      try features(scratch) { $0[11 * 6 + 2] = value } as? FeatureSubject)
    let run = try FeatureRun(
      [subject], on: subject.samples(), analyses: [CKAAnalyzer()],
      options: Samples.options(batchSize: 8))
    let outcome = try run()
    #expect(
      outcome.notes == [
        "f: \(text) appears first in layer l1 at img11, minibatch 1; cells that depend on such "
          + "values are empty with the status nan_input"
      ])
    let rows = try cka(outcome)
    #expect(rows.count == 9)
    for row in rows {
      let isBad = row["layer_a_name"] == "l1" || row["layer_b_name"] == "l1"
      #expect(row["status"] == (isBad ? "nan_input" : "ok"))
      #expect(row["cka"]?.isEmpty == isBad)
    }
  }

  @Test func finiteFeaturesHaveNoRemark() throws {
    let scratch = Scratch()
    let subject = try #require(try features(scratch) { _ in } as? FeatureSubject)
    let run = try FeatureRun([subject], on: subject.samples(), analyses: [CKAAnalyzer()])
    #expect(try run().notes.isEmpty)
  }

  @Test func recordsKeepTheRemark() throws {
    let scratch = Scratch()
    let subject = try #require(try features(scratch) { $0[0] = .nan } as? FeatureSubject)
    let run = try FeatureRun(
      [subject], on: subject.samples(), analyses: [CKAAnalyzer()],
      options: Samples.options(batchSize: 8))
    let records = try run.collect()
    let restored = FeatureRecords(records.slots, labels: ["f"], classes: [nil])
    for number in run.numbers { try restored.restore(records.entry(number), from: "memory") }
    #expect(try restored.outcome().notes == records.outcome().notes)
    #expect(try restored.outcome().notes.first?.contains("l1 at img0") == true)
  }

  /// A model whose second block has a NaN: the weight is named, and the first layer it reaches.
  @Test func weightsAndActivationsAreNamed() throws {
    let loaded = try ModelLoader.random(Architecture(Samples.vit), seed: 5)
    let name = "blocks.1.mlp.fc1.weight"
    #expect(loaded.nonfiniteNote == nil)
    let parameters = loaded.parameters.map { parameter in
      guard parameter.specification.name == name else { return parameter }
      let tensor = Tensor(shape: parameter.tensor.shape) { buffer in
        parameter.tensor.withValues { values in
          for index in values.indices { buffer[index] = index == 7 ? .nan : values[index] }
        }
      }
      return NamedParameter(specification: parameter.specification, tensor: tensor)
    }
    let broken = LoadedModel(
      model: try loaded.rebuilt(
        with: Dictionary(
          uniqueKeysWithValues: parameters.map { ($0.specification.name, $0.tensor) })),
      architecture: loaded.architecture, preprocessing: loaded.preprocessing,
      parameters: parameters, report: loaded.report)
    let model = try ModelSubject(broken, label: "m", inputFiles: [])
    #expect(model.notes == ["weights that are not finite: nan in \(name)"])
    let run = try FeatureRun(
      [model], on: Samples.images(8), analyses: Samples.analyses, options: Samples.options())
    let outcome = try run()
    let remark = try #require(outcome.notes.first)
    #expect(remark.hasPrefix("m: nan appears first in layer blocks.1"), "\(remark)")
    #expect(remark.contains("at noise#0"))
    // The first block is sound, and its similarity to itself is there.
    let rows = try cka(outcome)
    #expect(rows.contains { $0["status"] == "ok" } && rows.contains { $0["status"] == "nan_input" })
    for (_, report) in outcome.reports {
      for table in report.tables {
        for cell in table.csv.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
          #expect(!["nan", "inf", "-inf", "-nan"].contains(cell.lowercased()))
        }
      }
    }
  }

  @Test func imagesAreNamed() throws {
    var values = [Float](repeating: 0.5, count: 6 * 3 * 32 * 32)
    values[4 * 3 * 32 * 32 + 5] = .infinity
    let images = try ArrayImages(
      name: "x.npy", shape: [6, 3, 32, 32], element: .float32,
      bytes: values.withUnsafeBytes { Array($0) })
    let data = SampleSet(try ImageDataSet(images, name: "x.npy"))
    let model = try Samples.model(Samples.vit)
    let run = try FeatureRun([model], on: data, analyses: [VarianceAnalyzer()])
    let error = failure { _ = try run() }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("image 4") == true)
    var options = Samples.options()
    options.badImages = .skip
    let skipping = try FeatureRun(
      [model], on: data, analyses: [VarianceAnalyzer()], options: options)
    let outcome = try skipping()
    #expect(outcome.images == 5 && outcome.skipped.map(\.id) == ["x.npy#4"])
  }

  @Test func labelsOfAnArrayAreWholeNumbers() throws {
    let scratch = Scratch()
    for label in [Float.nan, .infinity, 1e30, 0.5] {
      let path = try featureFile(
        [
          FeatureLayer("images", [2, 3, 2, 2], noise(24, seed: 1)),
          FeatureLayer("labels", [2], [0, label]),
        ], in: scratch)
      let error = failure { _ = try DataArgument(path: path).open() }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("\"labels\"") == true)
    }
  }
}
