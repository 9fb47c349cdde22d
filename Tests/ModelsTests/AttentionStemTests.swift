import Checkpoints
import Models
import Tensors
import Testing

/// The stem of attention of stand-alone self-attention as published.
@Suite struct AttentionStemTests {
  /// Names and shapes tell all but what follows the stem, which is nothing if it is not said.
  @Test func itIsReadOffTheFile() throws {
    let fixture = try Fixture("sasa-attention-pooled")
    try fixture.withWeights { checkpoint in
      let found = try #require(
        ModelLoader.detect(checkpoint).configuration as? SASAConfiguration)
      #expect(found.stem == .attention && found.form == .published)
      #expect((found.stemWidth, found.stemWindow, found.stemMixtures) == (6, 4, 3))
      #expect((found.window, found.width, found.classes) == (3, 8, 5))
      #expect(found.imageSize == 32)
    }
  }

  /// Where all sets of values have the same part in every tap, the stem reads their mean.
  @Test func evenSharesAreTheMeanOfValues() throws {
    let c = try Architecture(
      "sasa(stem=attention,form=published,depths=1,width=8,stem-width=6,window=3,image=8,classes=3)"
    ).configuration
    func attended(_ source: any ParameterSource) throws -> [Float] {
      let recorder = Recorder { $0.name == "stem.attn" }
      _ = try c.makeModel(Scope(source))(
        DeterministicFill.values("input", [1, 8, 8, 3], isInput: true), Context(probe: recorder))
      return try #require(recorder.values["stem.attn"]).values
    }
    let even = Replaced { name, stored in
      name == "conv1.emb_mix" ? 0 * stored : stored
    }
    let mean = Replaced { name, stored in
      guard name.hasPrefix("conv1.value_conv") else { return stored }
      let sets = (0..<4).map {
        DeterministicFill.values("conv1.value_conv.\($0).weight", [6, 3, 1, 1])
      }
      return 0.25 * (sets[0] + sets[1] + sets[2] + sets[3])
    }
    let (a, b) = (try attended(even), try attended(mean))
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(a != (try attended(Replaced { $1 })))
  }

  @Test(arguments: [
    "sasa(stem=attention)", "sasa(stem=attention-pooled,form=published,image=30)",
    "sasa(stem=deep)",
  ])
  func otherStemsAreRefused(_ text: String) {
    let error = #expect(throws: ModelError.self) { try Architecture(text) }
    #expect(error?.kind == .badArgument)
  }
}

/// The deterministic weights, some of them changed.
private struct Replaced: ParameterSource {
  let change: @Sendable (String, Tensor) -> Tensor

  init(_ change: @escaping @Sendable (String, Tensor) -> Tensor) { self.change = change }

  func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    specification.layout.fromStored(
      change(
        specification.name,
        DeterministicFill.values(specification.name, specification.storedShape)))
  }
}
