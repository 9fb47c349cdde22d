import Checkpoints
import Models
import Tensors
import Testing

/// Swin: windows that do not fit, and buffers of older files.
@Suite struct SwinTests {
  private static let text = "swin(image=32,patch=2,window=4,dim=12,depths=2-2,heads=2-3,classes=5)"

  /// What files of microsoft/Swin-Transformer hold besides the weights.
  private static let buffers = [
    ("layers.0.blocks.0.attn.relative_position_index", [16, 16]),
    ("layers.0.blocks.1.attn.relative_position_index", [16, 16]),
    ("layers.0.blocks.1.attn_mask", [16, 16, 16]),
    ("layers.1.blocks.0.attn.relative_position_index", [16, 16]),
    ("layers.1.blocks.1.attn.relative_position_index", [16, 16]),
    ("layers.1.blocks.1.attn_mask", [4, 16, 16]),
  ]

  /// Buffers follow from the configuration: whatever they hold, they change nothing but for the size of
  /// the images, which the mask tells.
  @Test func buffersOfOlderFilesChangeNothing() throws {
    let weights: [(String, Tensor)] = try ModelSummary(Architecture(Self.text)).parameters.map {
      ($0.name, DeterministicFill.values($0.name, $0.storedShape))
    }
    let legacy = weights + Self.buffers.map { ($0, Tensor(repeating: 3, shape: Shape($1))) }
    let images = DeterministicFill.values("input", [2, 32, 32, 3], isInput: true)
    let plain: [Float] = try withCheckpoint(weights) {
      let loaded = try ModelLoader.load($0, as: Architecture(Self.text))
      return loaded.model(images).values
    }
    let isFinite = plain.allSatisfy(\.isFinite)
    #expect(isFinite)
    try withCheckpoint(legacy) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint)
      #expect(loaded.report.unmatched.isEmpty)
      #expect(loaded.architecture.text == (try Architecture(Self.text).text))
      #expect(loaded.model(images).values == plain)
      let asked = try ModelLoader.load(checkpoint, as: Architecture(Self.text))
      #expect(asked.report.unmatched.isEmpty)
      #expect(asked.model(images).values == plain)
    }
  }

  @Test func mapsThatWindowsDoNotFillArePadded() throws {
    // Maps of 20 x 20, then 10 x 10 tokens in windows of 4 x 4.
    let architecture = try Architecture(
      "swin(image=40,patch=2,window=4,dim=12,depths=2-2,heads=2-3,classes=5)")
    let recorder = Recorder { $0.kind == .attentionMap || $0.roles.contains(.block) }
    let model = try architecture.configuration.makeModel(Scope(FilledParameters()))
    _ = model(
      DeterministicFill.values("input", [1, 40, 40, 3], isInput: true), Context(probe: recorder))
    #expect(recorder.values["layers.0.blocks.1.attn_map"]?.shape == [1, 25, 2, 16, 16])
    #expect(recorder.values["layers.1.blocks.1.attn_map"]?.shape == [1, 9, 3, 16, 16])
    #expect(recorder.values["layers.1.blocks.1.mlp_res"]?.shape == [1, 100, 24])
    for value in recorder.values.values {
      let isFinite = value.values.allSatisfy(\.isFinite)
      #expect(isFinite)
    }
  }

  /// As in timm: a window shrinks to its map, and its table of positions with it.
  @Test func windowsShrinkToTheirMaps() throws {
    let loaded = try ModelLoader.random(
      Architecture("swin(image=32,patch=2,window=4,dim=12,depths=1-1-1,heads=1-1-1,classes=5)"),
      seed: 0, imageSize: 24)
    let recorder = Recorder { $0.kind == .attentionMap }
    _ = loaded.model(
      DeterministicFill.values("input", [1, 24, 24, 3], isInput: true), Context(probe: recorder))
    // Maps of 12, 6 and 3 tokens a side.
    #expect(recorder.values["layers.0.blocks.0.attn_map"]?.shape == [1, 9, 1, 16, 16])
    #expect(recorder.values["layers.1.blocks.0.attn_map"]?.shape == [1, 4, 1, 16, 16])
    #expect(recorder.values["layers.2.blocks.0.attn_map"]?.shape == [1, 1, 1, 9, 9])
    let stored = loaded.parameters.map(\.specification).filter { $0.name.hasSuffix("_table") }
    #expect(stored.map(\.storedShape) == [[49, 1], [49, 1], [49, 1]])
  }

  @Test func windowsThatDoNotFillTheMapAreRefusedInThePublishedForm() {
    let published = #expect(throws: ModelError.self) {
      try Architecture(
        "swin(form=how-do-vits-work,image=32,window=3,dim=12,depths=2,heads=2,patch=2,classes=5)")
    }
    #expect(published?.kind == .badArgument)
    #expect(published?.description.contains("a multiple of the window, 3") == true)
  }
}
