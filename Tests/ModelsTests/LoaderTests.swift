import Checkpoints
import Tensors
import Testing

@testable import Models

/// What weights are found to be, and what is said when they are not what was asked for.
@Suite struct LoaderTests {
  private static let text = "vit(image=8,patch=2,dim=12,depth=2,heads=3,classes=5)"

  private func weights(_ text: String) throws -> [(name: String, shape: [Int])] {
    try ModelSummary(Architecture(text)).parameters.map { ($0.name, $0.storedShape) }
  }

  private func failure(
    _ tensors: [(name: String, shape: [Int])], as text: String? = nil
  ) throws -> ModelError? {
    try withHollowCheckpoint(tensors) { checkpoint in
      do throws(ModelError) {
        let architecture: Architecture? = if let text { try Architecture(text) } else { nil }
        _ = try ModelLoader.load(checkpoint, as: architecture)
        return nil
      } catch {
        return error
      }
    }
  }

  /// Shapes without values can be of any size.
  @Test func impossibleExtentsAreRefused() throws {
    let error = try failure([
      ("patch_embed.conv.weight", [0, 0, 16384, 16384]), ("patch_embed.conv.bias", [8]),
      ("cls_token", [1, 1, 8]), ("pos_embed", [1, 0, 1 << 50, 1]),
      ("transformers.0.blocks.0.norm1.weight", [8]),
      ("transformers.0.blocks.0.mlp.fc1.weight", [32, 8]),
      ("transformers.0.blocks.0.attn.qkv.weight", [24, 8]),
    ])
    #expect(error?.kind == .unreadable)
    #expect(error?.place.contains("patch_embed.conv.weight") == true)
  }

  // MARK: What is found

  static let keyMappings: [(String, String, String)] = [
    ("vit-timm-plain", "timm", ""), ("vit-hf-plain", "Hugging Face", "vit."),
    ("vit-hf-deit-distilled", "Hugging Face", "deit."),
    ("vit-hf-dinov2-swiglu", "Hugging Face", "dinov2."),
    ("vit-hf-dinov2-reg4", "Hugging Face", "dinov2_with_registers."),
    ("vit-torchvision-old-mlp", "torchvision", ""), ("vit-hdv", "how-do-vits-work", ""),
    ("resnet-torchvision-basic-narrow", "torchvision", ""),
    ("resnet-hf-bottleneck", "Hugging Face", "resnet."),
    ("resnet-hdv-bottleneck-cifar-narrow", "how-do-vits-work", ""),
    ("preresnet-hdv-basic-stem-narrow", "how-do-vits-work, pre-activation", ""),
  ]

  @Test(arguments: keyMappings)
  func dialectIsRecognised(_ name: String, _ keyMapping: String, _ prefix: String) throws {
    let fixture = try Fixture(name)
    for wrapper in ["", "module.", "_orig_mod.module."] {
      try fixture.withWeights(prefix: wrapper) { checkpoint in
        let report = try ModelLoader.load(checkpoint, as: fixture.architecture()).report
        #expect(report.keyMapping == keyMapping)
        #expect(report.prefix == prefix)
        #expect(report.unmatched.isEmpty)
        #expect(report.matched + report.ignored.count == checkpoint.tensors.count)
      }
    }
  }

  @Test func headsAreGuessedAndTwinsNamed() throws {
    try withHollowCheckpoint(weights("deit_tiny_patch16_224")) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint)
      #expect(loaded.report.candidates == ["vit_tiny_patch16_224", "deit_tiny_patch16_224"])
      #expect((loaded.architecture.configuration as? ViTConfiguration)?.heads == 3)
      #expect(loaded.report.warnings.count == 1)
      let named = try ModelLoader.load(checkpoint, as: Architecture("deit_tiny_patch16_224"))
      #expect(named.report.warnings.isEmpty)
      #expect(named.preprocessing.mean == Preprocessing.imageNetMean)
    }
  }

  @Test(arguments: [
    ["arch": "deit_tiny_patch16_224"], ["arch": "deit_tiny_patch16_224.fb_in1k"],
    ["args.model": "deit_tiny_patch16_224"],
  ])
  func aTrainingFileTellsTwinsApart(metadata: [String: String]) throws {
    let tensors = try weights("deit_tiny_patch16_224")
    try withHollowCheckpoint(tensors, metadata: metadata) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint)
      #expect(loaded.report.variant == "deit_tiny_patch16_224")
      #expect(loaded.report.warnings.isEmpty)
      #expect(loaded.preprocessing.mean == Preprocessing.imageNetMean)
    }
    // A name that does not fit says nothing.
    try withHollowCheckpoint(tensors, metadata: ["arch": "resnet50"]) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint)
      #expect(loaded.report.variant == "vit_tiny_patch16_224")
      #expect(loaded.report.warnings.count == 1)
    }
  }

  @Test func fineTunedHeadsAndSizesAdapt() throws {
    let tensors = try weights("vit(image=384,dim=192,classes=37)")
    try withHollowCheckpoint(tensors) { checkpoint in
      let found = try ModelLoader.load(checkpoint)
      #expect(
        found.architecture.text == "vit(image=384,patch=16,dim=192,depth=12,heads=3,classes=37)")
      #expect(found.report.variant == "vit_tiny_patch16_384")
      let named = try ModelLoader.load(checkpoint, as: Architecture("vit_tiny_patch16_224"))
      #expect(named.architecture.configuration.classes == 37)
      #expect(named.architecture.configuration.imageSize == 224)
      #expect((named.architecture.configuration as? ViTConfiguration)?.grid == 24)
      let sized = try ModelLoader.load(checkpoint, imageSize: 128)
      #expect(sized.preprocessing.size == 128)
    }
  }

  @Test func firstSmallViTOfTimmIsRecognised() throws {
    let tensors =
      try weights(
        "vit(dim=768,depth=8,heads=8,mlp=2304,qkv-bias=false)") + [
        ("pre_logits.fc.weight", [768, 768]), ("pre_logits.fc.bias", [768]),
      ]
    try withHollowCheckpoint(tensors) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint)
      let configuration = try #require(loaded.architecture.configuration as? ViTConfiguration)
      #expect(configuration.heads == 8)
      #expect(configuration.scale == .model)
      #expect(configuration.epsilon == 1e-5)
      #expect(loaded.report.ignored == ["pre_logits.fc.weight", "pre_logits.fc.bias"])
      #expect(loaded.report.warnings.contains { $0.contains("pre_logits") })
    }
  }

  @Test func ownMetadataNamesTheArchitecture() throws {
    let tensors = try weights(Self.text)
    try withHollowCheckpoint(tensors, metadata: ["architecture": Self.text]) { checkpoint in
      let found = try ModelLoader.detect(checkpoint)
      #expect(found.text == Self.text)
    }
  }

  @Test func oldPatchMatricesAreReshaped() throws {
    let fixture = try Fixture("vit-timm-plain")
    let tensors = try fixture.keys().map { key in
      let tensor = DeterministicFill.values(key.name, key.shape)
      return (
        key.name, key.name == "patch_embed.proj.weight" ? tensor.reshaped([12, 12]) : tensor
      )
    }
    let expected = try #require(fixture.checkpoint["tap/logits"]).floats()
    try withCheckpoint(tensors) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint, as: Architecture(Self.text))
      for (own, golden) in zip(loaded.model(try fixture.input()).values, expected) {
        #expect(abs(own - golden) < 1e-5)
      }
    }
  }

  @Test func alignedValuesAreNotCopied() throws {
    let fixture = try Fixture("vit-timm-plain")
    try fixture.withWeights { checkpoint in
      let loaded = try ModelLoader.load(checkpoint, as: Architecture(Self.text))
      let name = "blocks.1.mlp.fc1.weight"
      let tensor = try #require(loaded.parameters.first { $0.specification.name == name }).tensor
      let payload = try #require(checkpoint[name]).payload()
      let address = tensor.withValues { UnsafeRawPointer($0.baseAddress) }
      #expect(payload.isMapped)
      #expect(address == payload.bytes.baseAddress)
    }
  }

  @Test func settingsOfAFolderCount() throws {
    let fixture = try Fixture("vit-hf-plain")
    let tensors = try fixture.keys().map { ($0.name, DeterministicFill.values($0.name, $0.shape)) }
    func load(_ config: String) throws -> LoadedModel {
      try withTemporaryFolder { folder in
        try writeSafetensors(tensors, to: folder + "/model.safetensors")
        try writeText(config, to: folder + "/config.json")
        return try ModelLoader.load(Checkpoint.open(folder))
      }
    }
    let loaded = try load(
      #"{"model_type":"vit","hidden_size":12,"num_hidden_layers":2,"num_attention_heads":3,"#
        + #""patch_size":2,"image_size":8,"layer_norm_eps":1e-12}"#)
    #expect((loaded.architecture.configuration as? ViTConfiguration)?.heads == 3)
    #expect((loaded.architecture.configuration as? ViTConfiguration)?.epsilon == 1e-12)
    let error = #expect(throws: ModelError.self) {
      try load(#"{"num_attention_heads":3,"num_hidden_layers":4}"#)
    }
    #expect(error?.kind == .conflict)
    #expect(error?.description.contains("num_hidden_layers") == true)
  }

  // MARK: What is said

  @Test func missingTensorIsNamed() throws {
    let tensors = try weights("vit_tiny_patch16_224").filter { $0.name != "blocks.7.mlp.fc2.bias" }
    let error = try failure(tensors)
    #expect(error?.kind == .missing)
    #expect(error?.place.contains("blocks.7.mlp.fc2.bias") == true)
    #expect(error?.expected.contains("[192]") == true)
  }

  @Test func undeterminedHeadsAreAskedFor() throws {
    let error = try failure(try weights(Self.text))
    #expect(error?.kind == .undetermined)
    #expect(error?.advice.contains("heads=N") == true)
  }

  @Test func anotherFamilyIsNamed() throws {
    let error = try failure(try weights("vit_tiny_patch16_224"), as: "resnet50")
    #expect(error?.kind == .conflict)
    #expect(error?.found.contains("vit") == true)
    #expect(error?.expected.contains("resnet50") == true)
  }

  @Test func anotherSizeIsNamed() throws {
    let error = try failure(try weights("vit_tiny_patch16_224"), as: "vit_small_patch16_224")
    #expect(error?.kind == .conflict)
    #expect(error?.found.contains("dim=192") == true)
    #expect(error?.expected.contains("dim=384") == true)
    let depth = try failure(try weights("resnet34"), as: "resnet18")
    #expect(depth?.found.contains("depths=3-4-6-3") == true)
  }

  @Test func deepStemsAreRefused() throws {
    let tensors =
      [("conv1.0.weight", [32, 3, 3, 3])]
      + (try weights("resnet50").filter { $0.name != "conv1.weight" })
    let error = try failure(tensors)
    #expect(error?.kind == .unrecognised)
    #expect(error?.found.contains("deep stem") == true)
    for name in ["resnet50d", "resnet26t", "resnet50_gn", "resnet50c"] {
      let refused = #expect(throws: ModelError.self) { try Architecture(name) }
      #expect(refused?.found.contains("another network") == true, "\(name)")
    }
  }

  @Test func extraPartsOfABlockAreAnError() throws {
    let tensors = try weights("resnet18") + [("layer2.1.se.fc1.weight", [8, 128, 1, 1])]
    let error = try failure(tensors)
    #expect(error?.kind == .unexpected)
    #expect(error?.place.contains("layer2.1.se.fc1.weight") == true)
  }

  @Test func otherTensorsAreListed() throws {
    let tensors =
      try weights("vit_tiny_patch16_224") + [("ema_steps", [1]), ("mask_token", [1, 192])]
    try withHollowCheckpoint(tensors) { checkpoint in
      let report = try ModelLoader.load(checkpoint).report
      #expect(report.unmatched == ["ema_steps"])
      #expect(report.ignored == ["mask_token"])
    }
  }

  @Test func shapesThatDoNotFitAreNamed() throws {
    let tensors = try weights("vit_tiny_patch16_224").map { tensor in
      tensor.name == "blocks.3.norm1.weight" ? (tensor.name, [191]) : tensor
    }
    let error = try failure(tensors)
    #expect(error?.kind == .unreadable)
    #expect(error?.found == "shape [191]")
    for (name, shape) in [
      ("patch_embed.proj.weight", [0, 3, 2, 2]), ("patch_embed.proj.weight", [192, 3, 2, 4]),
      ("pos_embed", [1, 40, 192]), ("pos_embed", [4]), ("blocks.0.mlp.fc1.weight", [700, 192]),
      ("blocks.0.mlp.fc2.weight", [192]), ("head.weight", [1000, 5]),
    ] {
      let changed = try weights("vit_tiny_patch16_224").map { tensor in
        tensor.name == name ? (tensor.name, shape) : tensor
      }
      let error = try failure(changed)
      #expect(error != nil, "\(name) \(shape)")
    }
  }

  @Test func featuresAreNoWeights() throws {
    let error = try failure([("layer1", [10, 4, 8]), ("layer2", [10, 4, 8])])
    #expect(error?.kind == .unrecognised)
  }
}
