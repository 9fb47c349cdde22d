import Checkpoints
import Diagnostics
import Images
import Tensors
import TestSupport
import Testing

@testable import VitProbe

@Suite struct FeatureSubjectTests {
  // MARK: Samples

  private func file(
    _ scratch: Scratch, _ name: String, count: Int, ids: String? = nil, labels: String? = nil
  ) throws -> FeatureSubject {
    var metadata: [String: String] = [:]
    metadata["ids"] = ids
    metadata["labels"] = labels
    let path = try featureFile(
      [("a", .float32, [count, 5, 3]), ("b", .float32, [count, 5, 3])], metadata: metadata,
      in: scratch, as: name + ".safetensors")
    return try FeatureSubject(Checkpoint.open(path), label: nil, defaultLabel: name)
  }

  private func run(_ subjects: [any Subject], on data: SampleSet) throws {
    _ = try FeatureRun(
      subjects, on: data, analyses: [VarianceAnalyzer()], options: Samples.options())
  }

  @Test func rowsAreMatchedById() throws {
    let scratch = Scratch()
    let path = scratch.file("two.safetensors")
    var writer = try SafetensorsWriter(
      creating: path, tensors: [.init(name: "a", shape: [4, 1])],
      metadata: ["ids": "[\"s\",\"q\",\"p\",\"r\"]"])
    try [Float]([4, 2, 1, 3]).withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try writer.finish()
    let subject = try FeatureSubject(Checkpoint.open(path), label: nil, defaultLabel: "two")

    final class Keeper: Probe {
      var values: [Float] = []
      func wants(_ tap: Tap) -> Bool { true }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        values = value.values
        return value
      }
    }
    let keeper = Keeper()
    let batch = Minibatch(
      number: 0, ids: ["p", "q", "r", "s"], positions: [0, 1, 2, 3],
      labels: [nil, nil, nil, nil], isIdentified: true)
    _ = try subject.forward(batch, probe: keeper)
    #expect(keeper.values == [1, 2, 3, 4])
  }

  @Test func theFirstMissingIdIsNamed() throws {
    let scratch = Scratch()
    let one = try file(scratch, "one", count: 4, ids: "[\"p\",\"q\",\"r\",\"s\"]")
    let two = try file(scratch, "two", count: 4, ids: "[\"p\",\"q\",\"x\",\"y\"]")
    let error = failure { try run([one, two], on: one.samples()) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("no sample \"r\"") == true)
  }

  @Test func filesOfUnequalLengthsAreNotCut() throws {
    let scratch = Scratch()
    let one = try file(scratch, "one", count: 4)
    let two = try file(scratch, "two", count: 5)
    for pair in [[one, two], [two, one]] {
      let error = failure { try run(pair, on: pair[0].samples()) }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("5") == true && error?.message.contains("4") == true)
    }
    let four = "[\"p\",\"q\",\"r\",\"s\"]"
    let five = "[\"p\",\"q\",\"r\",\"s\",\"t\"]"
    let three = try file(scratch, "three", count: 4, ids: four)
    let longer = try file(scratch, "four", count: 5, ids: five)
    #expect(
      failure { try run([three, longer], on: three.samples()) }?.message.contains("\"t\"") == true)
    #expect(
      failure { try run([longer, three], on: longer.samples()) }?.message.contains("\"t\"") == true)
    #expect(failure { try run([one, three], on: one.samples()) } == nil)
  }

  @Test func aModelBesideAFileNeedsTheSameImages() throws {
    let scratch = Scratch()
    let model = try Samples.model(Samples.vit)
    let features = try Samples.captured(model, on: Samples.images(12), in: scratch)
    let other = try Samples.model(Samples.vit, label: "other")
    let error = failure { try run([other, features], on: Samples.images(16)) }
    #expect(error?.message.contains("noise#12") == true)
    #expect(failure { try run([other], on: features.samples()) }?.kind == .usage)
    let both = try Samples.tables([other, features], on: Samples.images(12))
    let curve = try #require(both["cka_curve"]?.split(separator: "\n"))
    func values(_ label: String) -> [Substring] {
      curve.filter { $0.hasPrefix(label + ",") }.map { $0.dropFirst(label.count) }
    }
    #expect(values("other").count == 2)
    #expect(values("other") == values("m"))
  }

  @Test func aPartOfTheImagesIsLookedAtByName() throws {
    let scratch = Scratch()
    let model = try Samples.model(Samples.vit)
    let images = try Samples.images(24)
    let features = try Samples.captured(model, on: images, in: scratch)
    let part = features.samples(limit: 16, shuffleSeed: 3)
    #expect(part.count == 16)
    #expect(part.wholeCount == 24)
    #expect(Set((0..<16).map(part.id)).count == 16)
    #expect((0..<16).map(part.id) != (0..<16).map { "noise#\($0)" })
    for position in 0..<16 {
      #expect(
        part.id(position) == "noise#\(ImageDataSet.order(count: 24, shuffleSeed: 3)[position])")
    }
    try run([features], on: part)
  }

  // MARK: Layouts

  private func layouts(
    _ shape: [Int], _ layout: FeatureLayout = FeatureLayout()
  ) throws -> PlannedTap {
    let scratch = Scratch()
    let path = try featureFile([("x.weightless", .float32, shape)], in: scratch)
    return try #require(try open(path, layout).taps.first)
  }

  @Test func layoutsAreTold() throws {
    #expect(try layouts([4, 7]).tap.layout == .vector)
    #expect(try layouts([4, 16, 3]).tap.layout == .tokens(height: 4, width: 4, prefix: 0))
    #expect(try layouts([4, 197, 3]).tap.layout == .tokens(height: 14, width: 14, prefix: 1))
    #expect(try layouts([4, 198, 3]).tap.layout == .tokens(height: 14, width: 14, prefix: 2))
    #expect(try layouts([4, 261, 3]).tap.layout == .tokens(height: 16, width: 16, prefix: 5))
    #expect(try layouts([4, 3, 5, 6]).shape == [5, 6, 3])
    var layout = FeatureLayout()
    layout.map = .nhwc
    layout.prefixTokens = 4
    #expect(try layouts([4, 5, 6, 3], layout).shape == [5, 6, 3])
    #expect(try layouts([4, 20, 3], layout).tap.layout == .tokens(height: 4, width: 4, prefix: 4))
    #expect(try layouts([4, 16, 3]).tap.roles == [.sequence, .block])
  }

  @Test(arguments: [[4, 9, 3], [4, 50, 1], [4, 7, 3], [4, 8, 3]])
  func gridsThatCannotBeToldNameTheFlag(shape: [Int]) {
    let isFifty = shape[1] == 50
    let error = failure { _ = try layouts(shape) }
    // 50 tokens are a class token and 7 x 7 places.
    #expect((error == nil) == isFifty)
    if !isFifty {
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("`prefixTokens`") == true)
    }
  }

  @Test func otherTypesBecomeFloats() throws {
    final class Keeper: Probe {
      var values: [Float] = []
      func wants(_ tap: Tap) -> Bool { true }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        values += value.values
        return value
      }
    }
    let scratch = Scratch()
    let path = scratch.file("mixed.safetensors")
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: [
        .init(name: "d", dtype: .float64, shape: [2, 2]),
        .init(name: "h", dtype: .float16, shape: [2, 2]),
        .init(name: "b", dtype: .bfloat16, shape: [2, 2]),
      ])
    try [Double]([1, 2, 3, 4]).withUnsafeBytes { try writer.append($0, to: 0) }
    // 1, -2, 0.5, 65504 and 1, -2, 0.5, 3.0.
    try [UInt16]([0x3C00, 0xC000, 0x3800, 0x7BFF]).withUnsafeBytes { try writer.append($0, to: 1) }
    try [UInt16]([0x3F80, 0xC000, 0x3F00, 0x4040]).withUnsafeBytes { try writer.append($0, to: 2) }
    try writer.finish()
    let keeper = Keeper()
    let batch = Minibatch(
      number: 0, ids: ["1", "0"], positions: [1, 0], labels: [nil, nil], isIdentified: false)
    _ = try open(path).forward(batch, probe: keeper)
    #expect(keeper.values == [3, 4, 1, 2, 0.5, 65504, 1, -2, 0.5, 3, 1, -2])
  }

  @Test func layersSortedAsTextAreTakenByNumber() throws {
    let scratch = Scratch()
    let names = ["blocks.0", "blocks.1", "blocks.10", "blocks.2", "norm"]
    let path = try featureFile(names.map { ($0, .float32, [4, 2]) }, in: scratch)
    let subject = try open(path)
    #expect(
      subject.taps.map(\.tap.name) == ["blocks.0", "blocks.1", "blocks.2", "blocks.10", "norm"])
    #expect(subject.notes.count == 1)
    // An order that somebody chose stays.
    let chosen = ["norm", "blocks.10", "blocks.2"]
    let other = try featureFile(
      chosen.map { ($0, .float32, [4, 2]) }, in: scratch, as: "g.safetensors")
    #expect(try open(other).taps.map(\.tap.name) == chosen)
  }

  @Test func labelsAndIdsMayBeTensors() throws {
    let scratch = Scratch()
    let path = scratch.file("a.safetensors")
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: [
        .init(name: "x", shape: [2, 1]), .init(name: "labels", dtype: .int64, shape: [2]),
        .init(name: "ids", dtype: .int32, shape: [2]),
      ])
    try [Float]([1, 2]).withUnsafeBytes { try writer.append($0, to: 0) }
    try [Int64]([6, 1]).withUnsafeBytes { try writer.append($0, to: 1) }
    try [Int32]([70, 80]).withUnsafeBytes { try writer.append($0, to: 2) }
    try writer.finish()
    let subject = try #require(try open(path) as? FeatureSubject)
    let samples = subject.samples()
    #expect(subject.taps.map(\.tap.name) == ["x"])
    #expect([samples.id(0), samples.id(1)] == ["70", "80"])
    #expect([samples.label(0), samples.label(1)] == [6, 1])
  }
}
