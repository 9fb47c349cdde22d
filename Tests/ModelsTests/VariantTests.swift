import Checkpoints
import Models
import Tensors
import Testing

/// Every registered name: a model is tested by being registered.
@Suite struct VariantTests {
  static let names = ModelRegistry.families.flatMap { $0.variantNames }

  @Test func namesAreDistinct() {
    #expect(Set(Self.names).count == Self.names.count)
  }

  @Test(arguments: names)
  func textReadsBackTheSame(_ name: String) throws {
    let architecture = try Architecture(name)
    #expect(architecture.variant == name)
    let again = try Architecture(architecture.text)
    #expect(again.text == architecture.text)
    let same = isEqual(again.configuration, architecture.configuration)
    #expect(same)
  }

  /// What is told by a file's spelling of the names, which `ParityTests` covers, and not by its weights.
  static let toldBySpelling = ["padding=before-shift"]

  @Test(arguments: names)
  func isRecognisedByItsOwnWeights(_ name: String) throws {
    let architecture = try Architecture(name)
    var known = architecture.text
    for setting in Self.toldBySpelling {
      known = known.replacing("," + setting, with: "")
    }
    let expected = try Architecture(known)
    let summary = try ModelSummary(architecture)
    try withHollowCheckpoint(summary.parameters.map { ($0.name, $0.storedShape) }) { checkpoint in
      let found = try ModelLoader.detect(checkpoint)
      #expect(found.family == expected.family)
      // A twin registered before it has the same names and shapes; settings tell them apart.
      guard found.variant != name else {
        #expect(found.text == expected.text)
        let same = isEqual(found.configuration, expected.configuration)
        #expect(same)
        return
      }
      let folder = String(checkpoint.path.dropLast("/model.safetensors".count))
      try writeText(#"{"architecture":"\#(name)"}"#, to: folder + "/config.json")
      let told = try ModelLoader.detect(Checkpoint.open(folder))
      #expect(told.text == expected.text)
      let same = isEqual(told.configuration, expected.configuration)
      #expect(same)
    }
  }

  private func isEqual<C: ModelConfiguration>(_ a: C, _ b: any ModelConfiguration) -> Bool {
    a == b as? C
  }

  private static let parameterCounts: [(String, Int, Int)] = [
    ("vit_tiny_patch16_224", 5_717_416, 152), ("deit_tiny_patch16_224", 5_717_416, 152),
    ("vit_small_patch16_224", 22_050_664, 152), ("deit_small_patch16_224", 22_050_664, 152),
    ("vit_base_patch16_224", 86_567_656, 152), ("deit_base_patch16_224", 86_567_656, 152),
    ("vit_large_patch16_224", 304_326_632, 296),
    ("vit_small_patch32_224", 22_878_952, 152), ("vit_base_patch32_224", 88_224_232, 152),
    ("vit_tiny_patch16_384", 5_790_376, 152), ("vit_base_patch16_384", 86_859_496, 152),
    ("deit_base_patch16_384", 86_859_496, 152),
    ("deit_tiny_distilled_patch16_224", 5_910_800, 155),
    ("deit_small_distilled_patch16_224", 22_436_432, 155),
    ("deit_base_distilled_patch16_224", 87_338_192, 155),
    ("deit_base_distilled_patch16_384", 87_630_032, 155),
    ("deit3_small_patch16_224", 22_059_496, 176), ("deit3_base_patch16_224", 86_585_320, 176),
    ("vit_base_patch16_gap_224", 86_566_120, 151),
    ("vit_base_patch16_siglip_224", 92_884_224, 162),
    ("vit_ti_cifar100", 5_403_172, 140),
    ("vit(qkv-bias=false,dim=192)", 5_710_504, 140),
    ("vit(qkv-bias=false,dim=384)", 22_036_840, 140),
    ("vit(qkv-bias=false,dim=768)", 86_540_008, 140),
    ("resnet18", 11_689_512, 122), ("resnet34", 21_797_672, 218), ("resnet50", 25_557_032, 320),
    ("resnet101", 44_549_160, 626), ("resnet152", 60_192_808, 932),
    ("resnet18_cifar100", 11_220_132, 122), ("resnet34_cifar100", 21_328_292, 218),
    ("resnet50_cifar100", 23_705_252, 320), ("resnet101_cifar100", 42_697_380, 626),
    ("resnet152_cifar100", 58_341_028, 932),
    ("resnet(stem=cifar,depths=2-2-2-2,block=basic,classes=10)", 11_173_962, 122),
    ("resnet(stem=cifar,block=basic,classes=10)", 21_282_122, 218),
    ("resnet(stem=cifar,classes=10)", 23_520_842, 320),
    ("resnet(stem=cifar,depths=3-4-23-3,classes=10)", 42_512_970, 626),
    ("resnet(stem=cifar,depths=3-8-36-3,classes=10)", 58_156_618, 932),
    ("seresnet18_cifar100", 11_307_172, 138), ("seresnet34_cifar100", 21_485_476, 250),
    ("seresnet50_cifar100", 26_220_196, 352), ("seresnet101_cifar100", 47_440_548, 692),
    ("seresnet152_cifar100", 64_919_204, 1032),
    ("preresnet18_cifar100", 11_218_340, 107), ("preresnet34_cifar100", 21_326_500, 203),
    ("preresnet50_cifar100", 23_697_572, 300), ("preresnet101_cifar100", 42_689_700, 606),
    ("preresnet152_cifar100", 58_333_348, 912),
    ("preresnet18", 11_687_720, 107), ("preresnet34", 21_795_880, 203),
    ("preresnet50", 25_549_352, 300),
  ]

  @Test(arguments: parameterCounts)
  func hasTheReferencesParameters(_ name: String, _ count: Int, _ tensors: Int) throws {
    let summary = try ModelSummary(Architecture(name))
    #expect(summary.parameterCount == count)
    // The reference counts num_batches_tracked too: one for each running mean.
    let untold = summary.parameters.filter { $0.name.hasSuffix("running_mean") }.count
    #expect(summary.parameters.count + untold == tensors)
  }

  private static let sequences: [(String, Int, pool: [Int], msa: [Int])] = [
    ("resnet18", 9, [3, 5, 7], []), ("resnet34", 17, [4, 8, 14], []),
    ("resnet50", 17, [4, 8, 14], []), ("resnet101", 34, [4, 8, 31], []),
    ("resnet152", 51, [4, 12, 48], []), ("preresnet50_cifar100", 17, [4, 8, 14], []),
    ("vit_tiny_patch16_224", 25, [], Array(stride(from: 1, through: 23, by: 2))),
    ("deit_tiny_distilled_patch16_224", 25, [], Array(stride(from: 1, through: 23, by: 2))),
  ]

  @Test(arguments: sequences)
  func hasThePublishedSequence(_ name: String, _ length: Int, pool: [Int], msa: [Int]) throws {
    let sequence = try ModelSummary(Architecture(name)).taps(.sequence).map(\.tap.kind)
    #expect(sequence.count == length)
    #expect(sequence.first == .embed)
    #expect(sequence.indices.filter { sequence[$0] == .pool } == pool)
    #expect(sequence.indices.filter { sequence[$0] == .msa } == msa)
  }

  @Test func blocksAreWholeBlocks() throws {
    let vit = try ModelSummary(Architecture("deit_tiny_distilled_patch16_224")).taps(.block)
    #expect(vit.map(\.tap.name) == (0..<12).map { "blocks.\($0).mlp_res" })
    #expect(vit.allSatisfy { $0.tap.layout == .tokens(height: 14, width: 14, prefix: 2) })
    #expect(vit.allSatisfy { $0.shape == [1, 198, 192] })
    let resnet = try ModelSummary(Architecture("resnet18")).taps(.block)
    #expect(
      resnet.map(\.tap.name) == (1...4).flatMap { ["layer\($0).0", "layer\($0).1"] })
    #expect(resnet.map(\.tap.stage) == [0, 0, 1, 1, 2, 2, 3, 3])
    #expect(resnet.last?.shape == [1, 7, 7, 512])
  }
}
