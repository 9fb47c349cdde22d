import Checkpoints
import Models
import StrictJSON
import Tensors
import Testing

/// ONNX models of both exporters of PyTorch against its forward hooks, and each operation against onnxruntime.
@Suite struct ONNXParityTests {
  @Test func operationsGiveWhatTheRuntimeGives() throws {
    let fixture = try Fixture("onnx-operations")
    let network = try GraphParityTests.load("onnx-operations.onnx").network
    // All but `gemm`, whose flattened input serves another operation too: a module of two results has no tap.
    let compared = try GraphParityTests.compare(network, fixture)
    #expect(compared == 126, "\(compared) compared")
  }

  /// Fixture, exporter, how many modules are compared at the least, and those that the exporter joined with the
  /// normalisation behind them.
  static let exports: [(String, String, Int, [String])] = [
    ("graph-twice", "dynamo", 8, []), ("graph-twice", "legacy", 6, ["stem.0", "conv"]),
    ("graph-vit", "dynamo", 21, []), ("graph-eva", "dynamo", 17, []),
    ("graph-functions", "dynamo", 22, []), ("graph-functions", "legacy", 22, []),
    ("graph-multihead-open", "legacy", 12, []),
  ]

  @Test(arguments: exports)
  func modulesGiveWhatHooksSee(
    _ name: String, _ exporter: String, _ least: Int, _ joined: [String]
  ) throws {
    let network = try GraphParityTests.load("\(name)-\(exporter).onnx").network
    let compared = try GraphParityTests.compare(network, Fixture(name), skipping: Set(joined))
    #expect(compared >= least)
  }

  @Test func tapsAndParametersAreThoseOfTheOtherExport() throws {
    let graph = try ModelSummary(GraphParityTests.load("graph-vit").network)
    let loaded = try GraphParityTests.load("graph-vit-dynamo.onnx")
    let onnx = try ModelSummary(loaded.network)
    expectSameRoles(onnx, graph)
    let map = try #require(onnx.taps.first { $0.tap.name == "blocks.0.attn.attn_map" })
    #expect(map.tap.layout == .attention(height: 4, width: 4, prefix: 1))
    #expect(onnx.classCount == 5)
    func count(_ summary: ModelSummary) -> Int {
      summary.parameters.reduce(0) { $0 + $1.storedShape.reduce(1, *) }
    }
    #expect(count(onnx) == count(graph))
    #expect(loaded.report.warnings.contains("exported for any number of images"))
  }

  /// An operation that an optimiser put in the place of several says no module: what it reads does not leave every one.
  @Test func operationsWithoutModulesStandWhereThoseAroundThemDo() throws {
    let loaded = try GraphParityTests.load("graph-eva-dynamo.onnx")
    let summary = try ModelSummary(loaded.network)
    expectSameRoles(summary, try ModelSummary(GraphParityTests.load("graph-eva").network))
    #expect(summary.taps(.block).map(\.tap.name) == ["blocks.0.mlp_res", "blocks.1.mlp_res"])
    #expect(summary.taps.contains { $0.tap.name == "blocks.1.mlp" })
    #expect(
      loaded.report.warnings.contains(
        "operations of which the file names no module stand where those around them do: 2 Split"))
  }

  private func expectSameRoles(_ onnx: ModelSummary, _ graph: ModelSummary) {
    for role in [Tap.Roles.sequence, .block, .branch] {
      let (own, other) = (onnx.taps(role), graph.taps(role))
      #expect(own.map(\.tap.name) == other.map(\.tap.name))
      #expect(own.map(\.tap.kind) == other.map(\.tap.kind))
      #expect(own.map(\.tap.layout) == other.map(\.tap.layout))
    }
  }
}
