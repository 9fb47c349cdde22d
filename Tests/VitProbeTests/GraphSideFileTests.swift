import Checkpoints
import Models
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// What is said of a graph's layers in a file beside it.
@Suite struct GraphSideFileTests {
  private let scratch = Scratch()

  private func write(_ side: String) -> String {
    scratch.write(side, as: "m.layers.json")
    return scratch.write(ONNXBuilder().bytes, as: "m.onnx")
  }

  @Test func isReadAndSaid() throws {
    let path = write(
      #"{"kinds": {"a": "conv"}, "layouts": {"b": "none"}, "blocks": ["b"], "prefix-tokens": 0}"#)
    var given = FeatureLayout()
    given.graph.kinds = [.init(pattern: "a", kind: .mlp)]
    let subject = try #require(
      try openSubject(
        SubjectArgument(path), label: nil, preprocessing: PreprocessingOverrides(), features: given)
        as? ModelSubject)
    let summary = try ModelSummary(subject.network)
    // What is said with a command counts.
    #expect(summary.taps.first { $0.tap.name == "a" }?.tap.kind == .mlp)
    #expect(summary.taps.first { $0.tap.name == "b" }?.tap.layout == .unknown)
    #expect(summary.taps(.block).map(\.tap.name) == ["b"])
    #expect(subject.report.warnings.contains { $0.contains("m.layers.json") })
    #expect(subject.inputFiles.contains { $0.hasSuffix("m.layers.json") })
  }

  @Test func nothingIsReadWhereThereIsNone() throws {
    let path = scratch.write(ONNXBuilder().bytes, as: "other.onnx")
    #expect(try GraphSideFile(beside: path) == nil)
  }

  @Test(arguments: [
    (#"{"kind": {}}"#, "unknown key"), (#"{"kinds": {"a": "convolution"}}"#, "kinds.a"),
    (#"{"kinds": ["a"]}"#, "an object of patterns"), (#"{"layouts": {"a": 1}}"#, "layouts.a"),
    (#"{"blocks": "b"}"#, "a list of patterns"), (#"{"prefix-tokens": -1}"#, "from 0 on"),
    ("[]", "an object"), ("{", "JSON"),
  ])
  func isStrict(_ side: String, _ says: String) {
    let path = write(side)
    do {
      _ = try GraphSideFile(beside: path)
      Issue.record("accepted")
    } catch {
      #expect("\(error)".contains(says) && "\(error)".contains("m.layers.json"), "\(error)")
    }
  }
}
