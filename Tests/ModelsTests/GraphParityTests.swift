import Checkpoints
import Models
import StrictJSON
import Tensors
import Testing

/// Exported graphs against the forward hooks of PyTorch: every module's output, within 1e-4 of its largest magnitude.
@Suite struct GraphParityTests {
  static let names = Fixture.names(of: ["graph"])

  /// - Parameter name: with the extension, unless that is `.pt2`.
  static func load(_ name: String, _ overrides: GraphOverrides = GraphOverrides()) throws
    -> LoadedGraph
  {
    let checkpoint = try Checkpoint.open(
      Fixture.folder + name + (name.hasSuffix(".onnx") ? "" : ".pt2"))
    let program = try #require(checkpoint.program)
    return try GraphLoader.load(checkpoint, program, overrides: overrides) { $0 == $1 }
  }

  @Test(.serialized, arguments: names)
  func modulesGiveWhatHooksSee(_ name: String) throws {
    // All but identities and modules of several results.
    #expect(
      try Self.compare(Self.load(name).network, Fixture(name)) >= Self.leastCompared[name] ?? .max)
  }

  /// Holds every module's output against a fixture's values; gives how many there were.
  ///
  /// - Parameter skipping: modules whose output is another than hooks see.
  static func compare(
    _ network: any Network, _ fixture: Fixture, skipping: Set<String> = []
  ) throws -> Int {
    let name = fixture.name
    let recorder = Recorder()
    let output = network(try fixture.input(), Context(probe: recorder))
    if let logits = fixture.checkpoint["logits"] {
      #expect(output.shape.dimensions == logits.shape)
      expectClose(output.values, try logits.floats(), "\(name) logits")
    }
    let layouts = Dictionary(
      recorder.taps.map { ($0.name, $0.layout) }, uniquingKeysWith: { first, _ in first })
    var compared = 0
    for member in try fixture.json("taps").objectValue ?? [] where !skipping.contains(member.name) {
      // Modules without operations leave no trace in a graph.
      guard let value = recorder.values[member.name], let layout = layouts[member.name] else {
        continue
      }
      let shape = member.value.arrayValue?.compactMap(\.intValue) ?? []
      let own =
        layout == .featureMap && value.shape.dimensions != shape
        ? value.permuted([0, 3, 1, 2]) : value
      #expect(
        own.shape.count == shape.reduce(1, *), "\(name) \(member.name): \(value.shape) \(shape)")
      if let whole = fixture.checkpoint["tap/" + member.name] {
        expectClose(own.values, try whole.floats(), "\(name) \(member.name)")
      } else {
        let sample = try #require(fixture.checkpoint["sample/" + member.name])
        let hash = DeterministicFill.hash("sample/" + member.name)
        let values = own.values
        let picked = (1...sample.count).map { index in
          values[Int(DeterministicFill.bits(hash, index) % UInt64(values.count))]
        }
        expectClose(picked, try sample.floats(), "\(name) \(member.name)")
      }
      compared += 1
    }
    return compared
  }

  /// How many modules of each fixture are compared at the least.
  static let leastCompared = [
    "graph-operations": 12, "graph-twice": 9, "graph-vit": 29, "graph-vit-layer-scale": 32,
    "graph-resnet": 47, "graph-swin": 58, "graph-convnext": 50, "graph-efficientnet": 60,
    "graph-multihead": 25, "graph-multihead-open": 16, "graph-swinv2": 45,
    "graph-eva": 29, "graph-functions": 26, "graph-early": 7, "graph-core": 7, "graph-pooling": 2,
  ]

  private static func expectClose(_ values: [Float], _ golden: [Float], _ place: String) {
    guard values.count == golden.count else {
      Issue.record("\(place): \(values.count) values for \(golden.count)")
      return
    }
    let largest = golden.reduce(Float(1e-30)) { max($0, abs($1)) }
    let difference = zip(values, golden).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(difference <= 1e-4 * largest, "\(place): \(difference) of \(largest)")
  }

  @Test func imagesDoNotDependOnTheirNumber() throws {
    for name in Self.names {
      let network = try Self.load(name).network
      let images = try Fixture(name).input()
      let all = network(images)
      for index in 0..<images.shape[0] {
        let one = network(images.slice(axis: 0, start: index, length: 1))
        #expect(one.values == all.slice(axis: 0, start: index, length: 1).values, "\(name)")
      }
    }
  }

  @Test func blocksAreGoneThroughOneByOne() throws {
    for name in Self.names {
      let network = try Self.load(name).network
      let images = try Fixture(name).input()
      guard var pass = network.begin(images, Context()) else { continue }
      while pass.block + 1 < pass.blockCount { pass = pass.next() }
      #expect(pass.finish().values == network(images).values, "\(name)")
    }
  }

  @Test func takesNamesAndKindsFromTheGraph() throws {
    let vit = try ModelSummary(Self.load("graph-vit").network)
    #expect(
      vit.taps(.sequence).map { "\($0.tap.name) \($0.tap.kind.rawValue)" } == [
        "embed embed", "blocks.0.attn_res msa", "blocks.0.mlp_res mlp", "blocks.1.attn_res msa",
        "blocks.1.mlp_res mlp",
      ])
    #expect(vit.taps(.block).map(\.tap.name) == ["blocks.0.mlp_res", "blocks.1.mlp_res"])
    #expect(vit.taps(.branch).map(\.tap.name).count == 4)
    let map = try #require(vit.taps.first { $0.tap.name == "blocks.0.attn.attn_map" })
    #expect(map.tap.layout == .attention(height: 4, width: 4, prefix: 1))
    #expect(map.shape == [1, 2, 17, 17])
    let resnet = try ModelSummary(Self.load("graph-resnet").network)
    #expect(
      resnet.taps(.sequence).map(\.tap.name) == [
        "stem", "layer1.0", "layer2.0", "layer3.0", "layer4.0",
      ])
    #expect(resnet.taps(.sequence).map(\.tap.kind) == [.embed, .conv, .pool, .pool, .pool])
    #expect(resnet.taps(.sequence).map(\.tap.stage).dropFirst() == [0, 1, 2, 3])
    let swin = try ModelSummary(Self.load("graph-swin").network)
    #expect(swin.taps(.sequence).map(\.tap.name).contains("layers.1.downsample"))
    #expect(swin.taps.contains { $0.tap.kind == .attentionMap && $0.shape == [1, 4, 2, 16, 16] })
    let twice = try ModelSummary(Self.load("graph-twice").network)
    #expect(twice.taps.contains { $0.tap.name == "act#2" })
    #expect(twice.classCount == 3)
    // Weights under two names are one parameter.
    #expect(twice.parameters.count { ["conv.weight", "other.weight"].contains($0.name) } == 1)
  }

  @Test func overridesAreFollowed() throws {
    var overrides = GraphOverrides()
    overrides.kinds = [.init(pattern: "blocks.0.mlp", kind: .conv)]
    overrides.blocks = ["blocks.1"]
    let loaded = try Self.load("graph-vit", overrides)
    let summary = try ModelSummary(loaded.network)
    #expect(summary.taps.first { $0.tap.name == "blocks.0.mlp" }?.tap.kind == .conv)
    #expect(summary.taps(.block).map(\.tap.name) == ["blocks.1.mlp_res"])
    #expect(loaded.report.provenance.filter { $0.source == .given }.count == 2)
  }

  @Test func layoutsAreFollowedWhereTheyFit() throws {
    var overrides = GraphOverrides()
    overrides.layouts = [
      .init(pattern: "norm", axes: .none), .init(pattern: "blocks.0", axes: .tokensLast),
    ]
    overrides.prefixTokens = 0
    let vit = try ModelSummary(Self.load("graph-vit", overrides).network)
    #expect(vit.taps.first { $0.tap.name == "norm" }?.tap.layout == .unknown)
    // Of 17 tokens of 16 channels, as if these were the places.
    let block = try #require(vit.taps.first { $0.tap.name == "blocks.0" })
    #expect(block.tap.layout == .tokens(height: 4, width: 4, prefix: 0))
    #expect(block.shape == [1, 16, 17])
    overrides.layouts = [.init(pattern: "norm", axes: .map)]
    let error = #expect(throws: ModelError.self) { try Self.load("graph-vit", overrides) }
    #expect(error?.description.contains("`layouts` map of [N, 17, 16]") == true)
  }
}

/// Native families and their exported graphs, from the weights of one file.
@Suite struct GraphFamilyTests {
  @Test(arguments: [
    ("graph-vit", "vit(image=16,heads=2)"),
    ("graph-swin", "swin(image=32,window=4,depths=2-1,heads=2-4)"),
    ("graph-resnet", "resnet(image=32)"),
  ])
  func agreeTapByTap(_ name: String, _ architecture: String) throws {
    let checkpoint = try Checkpoint.open(Fixture.folder + name + ".pt2")
    let native = try ModelLoader.load(checkpoint, as: Architecture(architecture)).model
    let graph = try GraphParityTests.load(name).network
    let images = try Fixture(name).input()
    let (own, other) = (Recorder(), Recorder())
    let (a, b) = (native(images, Context(probe: own)), graph(images, Context(probe: other)))
    #expect(distance(a.values, b.values) <= 1e-5)
    func sequence(_ recorder: Recorder) -> [Tap] {
      recorder.taps.filter { $0.roles.contains(.sequence) }
    }
    let (first, second) = (sequence(own), sequence(other))
    #expect(first.count == second.count)
    for (tap, twin) in zip(first, second) {
      let (value, other) = (
        own.values[tap.name]?.values ?? [], other.values[twin.name]?.values ?? []
      )
      #expect(distance(value, other) <= 1e-5, "\(tap.name) \(twin.name)")
    }
    #expect(first.map(\.kind) == second.map(\.kind))
    var compared = 0
    for tap in own.taps {
      guard let value = own.values[tap.name], let twin = other.values[tap.name] else { continue }
      #expect(distance(value.values, twin.values) <= 1e-5, "\(tap.name)")
      compared += 1
    }
    #expect(compared >= first.count / 2)
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    let largest = a.reduce(Float(1e-30)) { max($0, abs($1)) }
    return zip(a, b).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) } / largest
  }
}
