import Checkpoints
import Diagnostics
import Reports
import TestSupport
import Testing

@testable import VitProbe

/// Files that lie, or were damaged: every one ends in an error that says so.
@Suite struct HostileFeatureTests {
  private let tap = "\"name\":\"a\""

  /// What stands in the metadata of a sound file of one layer `a` of shape [4, 5, 3].
  private func error(_ metadata: [String: String], shape: [Int] = [4, 5, 3]) throws
    -> VitProbeError?
  {
    let scratch = Scratch()
    var metadata = metadata
    metadata["format"] = "vitprobe-features"
    let path = try featureFile([("a", .float32, shape)], metadata: metadata, in: scratch)
    return failure { _ = try open(path) }
  }

  @Test func soundMetadataAreAccepted() throws {
    let layer =
      "[{\(tap),\"kind\":\"msa\",\"layout\":\"tokens\",\"height\":2,\"width\":2,\"prefix_tokens\":1}]"
    #expect(try error(["taps": layer, "ids": "[\"p\",\"q\",\"r\",\"s\"]"]) == nil)
    #expect(try error([:]) == nil)
  }

  @Test(arguments: [
    "{", "{}", "[1]", "[{}]", "[{\"name\":1}]", "[{\"name\":\"b\"}]", "[]",
    "[{\"name\":\"a\"},{\"name\":\"a\"}]", "[{\"name\":\"a\",\"kind\":\"magic\"}]",
    "[{\"name\":\"a\",\"roles\":[\"king\"]}]", "[{\"name\":\"a\",\"layout\":\"cube\"}]",
    "[{\"name\":\"a\",\"layout\":\"map\"}]", "[{\"name\":\"a\",\"layout\":\"vector\"}]",
    "[{\"name\":\"a\",\"layout\":\"attention\",\"height\":1,\"width\":1,\"prefix_tokens\":0}]",
    "[{\"name\":\"a\",\"layout\":\"tokens\"}]",
    "[{\"name\":\"a\",\"layout\":\"tokens\",\"height\":2,\"width\":2,\"prefix_tokens\":0}]",
    "[{\"name\":\"a\",\"layout\":\"tokens\",\"height\":-2,\"width\":-2,\"prefix_tokens\":1}]",
    """
    [{"name":"a","layout":"tokens","height":4611686018427387904,"width":8,"prefix_tokens":1}]
    """,
    """
    [{"name":"a","layout":"tokens","height":2,"width":2,"prefix_tokens":9223372036854775807}]
    """,
    String(repeating: "[", count: 10_000),
  ])
  func lyingLayers(taps: String) throws {
    let error = try error(["taps": taps])
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("f.safetensors") == true)
  }

  @Test(arguments: [
    ["ids": "[\"p\"]"], ["ids": "[1,2,3,4]"], ["ids": "[\"p\",\"p\",\"q\",\"r\"]"],
    ["ids": "\"pqrs\""], ["labels": "[1,2]"], ["labels": "[1,2,3,\"x\"]"],
    ["labels": "[1,2,3,1.5]"], ["labels": "nothing"],
  ])
  func lyingSamples(metadata: [String: String]) throws {
    #expect(try error(metadata)?.kind == .badData)
  }

  @Test(arguments: [[0, 5, 3], [4, 0, 3], [4], [], [4, 1, 1, 1, 1]])
  func impossibleShapes(shape: [Int]) throws {
    #expect(try error([:], shape: shape)?.kind == .badData)
  }

  @Test func layersOfDifferentLengths() throws {
    let scratch = Scratch()
    let path = try featureFile(
      [("a", .float32, [4, 5]), ("b", .float32, [3, 5])], in: scratch)
    let error = failure { _ = try open(path) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("\"b\"") == true)
  }

  @Test func typesWithoutValues() throws {
    let scratch = Scratch()
    let path = try featureFile([("a", .complex64, [4, 5])], in: scratch)
    #expect(failure { _ = try open(path) }?.kind == .badData)
    let bools = try featureFile([("a", .bool, [4, 4])], in: scratch, as: "b.safetensors", fill: 7)
    let subject = try #require(try open(bools) as? FeatureSubject)
    let run = try FeatureRun([subject], on: subject.samples(), analyses: [CKAAnalyzer()])
    #expect(failure { _ = try run() }?.kind == .badData)
  }

  /// A negative label counts as none; a class beyond the head is reported.
  @Test func labelsOutOfRange() throws {
    let scratch = Scratch()
    let path = try featureFile(
      [("x", .float32, [4, 3]), ("logits", .float32, [4, 2])],
      metadata: ["labels": "[-9223372036854775808,0,1,9223372036854775807]"], in: scratch)
    let subject = try #require(try open(path) as? FeatureSubject)
    let run = try FeatureRun([subject], on: subject.samples(), analyses: [CKAAnalyzer()])
    let outcome = try run()
    #expect(outcome.reports.last?.report.tables[0].csv.contains("class_mismatch") == true)
  }

  /// Any byte of the first kilobyte turned over, and any length: an error or a run, never a trap.
  @Test(arguments: FeatureFileFormat.allCases)
  func damageNeverTraps(format: FeatureFileFormat) throws {
    let scratch = Scratch()
    let model = try Samples.model("vit(image=32,patch=16,dim=6,depth=1,heads=1,classes=2)")
    _ = try Samples.captured(model, on: Samples.images(4), in: scratch, format: format)
    let sound = try #require(Scratch.read(scratch.file("features.\(format.rawValue)")))
    var refused = 0
    func attempt(_ bytes: [UInt8]) {
      let path = scratch.write(bytes, as: "damaged")
      let error = failure {
        guard let subject = try open(path) as? FeatureSubject else { return }
        let run = try FeatureRun(
          [subject], on: subject.samples(), analyses: [VarianceAnalyzer()])
        _ = try run()
      }
      if let error {
        refused += 1
        #expect(error.kind != .software, "\(error.message)")
      }
    }
    var state: UInt64 = 7
    for place in stride(from: 0, to: min(sound.count, 4000), by: 11) {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var bytes = sound
      bytes[place] ^= UInt8(truncatingIfNeeded: state >> 56) | 1
      attempt(bytes)
    }
    for length in stride(from: 0, to: sound.count, by: 331) { attempt(Array(sound[..<length])) }
    #expect(refused > 50)
  }
}
