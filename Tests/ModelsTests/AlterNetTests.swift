import Checkpoints
import Models
import Tensors
import Testing

/// AlterNet against xxxnell/how-do-vits-work: counts, logits, the order of blocks, and what is refused.
@Suite struct AlterNetTests {
  private static let counts: [(String, Int, Int)] = [
    ("alternet18_cifar100", 9_499_063, 119), ("alternet34_cifar100", 22_362_954, 239),
    ("alternet50_cifar100", 34_062_538, 306), ("alternet101_cifar100", 53_054_666, 612),
    ("alternet152_cifar100", 68_698_314, 918),
    ("alternet(stem=cifar,depths=2-2-2-2,block=basic,classes=10)", 9_452_893, 119),
    ("alternet(stem=cifar,block=basic,classes=10)", 22_316_784, 239),
    ("alternet(stem=cifar,classes=10)", 33_878_128, 306),
    ("alternet18", 9_968_803, 119), ("alternet34", 22_833_054, 239),
    ("alternet50", 35_915_038, 306), ("alternet101", 54_907_166, 612),
    ("alternet152", 70_550_814, 918),
  ]

  @Test(arguments: counts)
  func hasTheReferencesParameters(_ name: String, _ count: Int, _ tensors: Int) throws {
    let summary = try ModelSummary(Architecture(name))
    #expect(summary.parameterCount == count)
    // The reference counts num_batches_tracked too: one for each running mean.
    let untold = summary.parameters.filter { $0.name.hasSuffix("running_mean") }.count
    #expect(summary.parameters.count + untold == tensors)
  }

  private static let sequences: [(String, Int, pool: [Int], msa: [Int])] = [
    ("alternet18_cifar100", 9, [3, 5, 7], [4, 6, 8]),
    ("alternet34", 18, [4, 8, 14], [7, 9, 11, 13, 15, 17]),
    ("alternet50", 18, [4, 8, 14], [7, 9, 11, 13, 15, 17]),
    ("alternet101", 35, [4, 8, 31], [7, 26, 28, 30, 32, 34]),
    ("alternet152", 52, [4, 12, 48], [11, 43, 45, 47, 49, 51]),
    ("alternet(msa=0-1-1-2)", 18, [4, 8, 14], [7, 13, 15, 17]),
    ("alternet(msa=[0,0,0,0])", 18, [4, 8, 14], []),
  ]

  @Test(arguments: sequences)
  func hasThePublishedSequence(_ name: String, _ length: Int, pool: [Int], msa: [Int]) throws {
    let sequence = try ModelSummary(Architecture(name)).taps(.sequence).map(\.tap.kind)
    #expect(sequence.count == length)
    #expect(sequence.indices.filter { sequence[$0] == .pool } == pool)
    #expect(sequence.indices.filter { sequence[$0] == .msa } == msa)
  }

  private static let logits: [(String, [Double], Double)] = [
    ("alternet-18-w4", [0.08989816, 0.01762176, -0.25027555, 0.20594636], -2.7442985),
    ("alternet-50-w4", [0.07203880, 0.19936225, -0.15126736, -0.04057949], -3.3804851),
  ]

  @Test(.serialized, arguments: logits)
  func logitsEqualTheReference(_ name: String, _ expected: [Double], _ sum: Double) throws {
    let fixture = try Fixture(name)
    try fixture.withWeights { checkpoint in
      let loaded = try ModelLoader.load(checkpoint)
      #expect(loaded.report.keyMapping == "how-do-vits-work")
      let logits = try loaded.model(fixture.input()).values.map(Double.init)
      for (value, golden) in zip(logits, expected) { #expect(abs(value - golden) < 2e-6) }
      #expect(abs(logits.reduce(0, +) - sum) < 2e-4)
    }
  }

  @Test func variancesOfAlterNet18() throws {
    let fixture = try Fixture("alternet-18-w4")
    let expected: [(String, Double)] = [
      ("stem", 0.107918451), ("layer1.0", 0.111034807), ("layer1.1", 0.115171949),
      ("layer2.0", 0.018734961), ("layer2.1", 0.018758614), ("layer3.0", 0.003990821),
      ("layer3.1", 0.003997080), ("layer4.0", 0.002218890), ("layer4.1", 0.002218978),
    ]
    try fixture.withWeights { checkpoint in
      let recorder = Recorder { $0.roles.contains(.sequence) }
      _ = try ModelLoader.load(checkpoint).model(fixture.input(), Context(probe: recorder))
      #expect(recorder.taps.map(\.name) == expected.map(\.0))
      for (name, golden) in expected {
        let map = try #require(recorder.values[name])
        let (places, channels) = (map.shape[1] * map.shape[2], map.shape[3])
        let values = map.values.map(Double.init)
        let variances = (0..<channels).map { channel in
          let column = (0..<places).map { values[$0 * channels + channel] }
          let mean = column.reduce(0, +) / Double(places)
          return column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(places - 1)
        }
        #expect(abs(variances.reduce(0, +) / Double(channels) - golden) < 1e-7, "\(name)")
      }
    }
  }

  @Test func rowsOfWindowsSumToOne() throws {
    let architecture = try Architecture(
      "alternet(stem=cifar,depths=2-2,block=basic,msa=1-1,heads=2-1,widths=8-8,width=8,classes=3,"
        + "image=16,window=4)")
    let recorder = Recorder { $0.name.hasSuffix("attn_map") }
    let model = try architecture.configuration.makeModel(Scope(FilledParameters()))
    _ = model(
      DeterministicFill.values("input", [2, 16, 16, 3], isInput: true), Context(probe: recorder))
    #expect(recorder.taps.map(\.name) == ["layer1.1.attn_map", "layer2.1.attn_map"])
    #expect(recorder.values["layer1.1.attn_map"]?.shape == [2, 16, 2, 16, 16])
    #expect(recorder.values["layer2.1.attn_map"]?.shape == [2, 4, 1, 16, 16])
    let connections = try #require(recorder.taps[0].connections)
    #expect(connections.support == .windows(mapHeight: 16, mapWidth: 16, stride: 4))
    #expect((connections.height, connections.width, connections.prefix) == (4, 4, 0))
    for map in recorder.values.values {
      let sums = map.sum(axis: -1).values
      let areOne = sums.allSatisfy { abs($0 - 1) < 1e-5 }
      #expect(areOne)
    }
  }

  @Test func windowsThatDoNotFitAreRefused() throws {
    let error = #expect(throws: ModelError.self) {
      try Architecture("alternet(stem=cifar,window=7,classes=10)")
    }
    #expect(error?.kind == .badArgument)
    #expect(
      error?.description
        == "alternet(window=…): windows of 7x7 do not fit stage 2, whose map is 16x16 at image=32; "
        + "expected a divisor of 16: 1, 2, 4, 8, 16. Choose another window or another size of the "
        + "images")
    // A named variant at another size of the images.
    let other = #expect(throws: ModelError.self) {
      try ModelLoader.random(Architecture("alternet50"), seed: 0, imageSize: 256)
    }
    #expect(other?.description.contains("whose map is 32x32 at image=256") == true)
    #expect(throws: ModelError.self) { try Architecture("alternet(msa=0-1-4-2)") }
    #expect(throws: ModelError.self) { try Architecture("alternet(heads=3-6)") }
  }

  @Test func theNarrowNetworkIsReadOffItsWeights() throws {
    let text =
      "alternet(image=32,stem=cifar,widths=16-32-64-96,width=16,depths=2-2-2-2,msa=0-1-1-1,"
      + "heads=1-1-2-3,window=4,block=basic,classes=10)"
    let asked = try Architecture(text)
    let summary = try ModelSummary(asked)
    try withHollowCheckpoint(summary.parameters.map { ($0.name, $0.storedShape) }) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint, as: asked)
      #expect(loaded.architecture.text == asked.text)
      let found = try ModelLoader.detect(checkpoint)
      #expect(found.family == "alternet")
      // Heads of a stage without attention mean nothing, and are the usual ones.
      #expect(found.text == asked.text.replacing("heads=1-1-2-3", with: "heads=3-1-2-3"))
      // Another family's name.
      let error = refusal(of: checkpoint, as: "resnet18")
      #expect(error?.kind == .conflict)
      #expect(error?.description.contains("weights of the family alternet") == true)
    }
  }

  private func refusal(of checkpoint: Checkpoint, as name: String) -> ModelError? {
    #expect(throws: ModelError.self) {
      try ModelLoader.load(checkpoint, as: Architecture(name))
    }
  }
}
