import Tensors
import Testing

@testable import Checkpoints
@testable import Models

/// Networks found under any prefix, heads found in lists, and tensors that nobody asks for.
@Suite struct NetworkSearchTests {
  private static let text = "vit(image=8,patch=2,dim=12,depth=2,heads=3,classes=5)"
  private typealias Named = (name: String, shape: [Int])

  private func vit() throws -> [Named] {
    try ModelSummary(Architecture(Self.text)).parameters.map { ($0.name, $0.storedShape) }
  }

  private func resnet() throws -> [Named] {
    try ModelSummary(Architecture("resnet(width=8,widths=8-8-8-8,depths=1-1-1-1,classes=5)"))
      .parameters.map { ($0.name, $0.storedShape) }
  }

  private func under(_ prefix: String, _ tensors: [Named]) -> [Named] {
    tensors.map { (prefix + $0.name, $0.shape) }
  }

  private func load(
    _ tensors: [Named], as text: String? = nil,
    _ change: (inout WeightsSelection) -> Void = { _ in }
  ) throws -> LoadReport {
    var selection = WeightsSelection()
    change(&selection)
    return try withHollowCheckpoint(tensors) { checkpoint in
      try ModelLoader.load(
        checkpoint, as: text.map { text throws(ModelError) in try Architecture(text) },
        selection: selection
      ).report
    }
  }

  private func failure(
    _ tensors: [Named], as text: String? = nil,
    _ change: (inout WeightsSelection) -> Void = { _ in }
  ) -> ModelError? {
    do {
      _ = try load(tensors, as: text, change)
      return nil
    } catch { return error as? ModelError }
  }

  // MARK: Prefixes

  @Test(arguments: [
    ("", ""), ("net.", "net."), ("resnet.", "resnet."), ("backbone.0.body.", "backbone.0.body."),
    ("module.encoder_q.", "encoder_q."), ("model.student.", "model.student."),
    ("model._orig_mod.", "model."), ("_forward_module.model.", "model."), ("0.", "0."),
    ("a.very.deep.place.of.7.", "a.very.deep.place.of.7."),
  ])
  func anyPrefixIsFound(prefix: String, found: String) throws {
    for (tensors, text) in [(try vit(), Self.text as String?), (try resnet(), nil)] {
      let report = try load(under(prefix, tensors), as: text)
      #expect(report.prefix == found)
      #expect(report.matched == tensors.count && report.unused.isEmpty)
    }
  }

  @Test func wrappersInTheMiddleAreDropped() throws {
    let tensors = try vit().map { tensor -> Named in
      let parts = tensor.name.split(separator: ".")
      guard parts[0] == "blocks" else {
        return ("_fsdp_wrapped_module." + tensor.name, tensor.shape)
      }
      let rest = parts.dropFirst(2).joined(separator: ".")
      return ("blocks.\(parts[1]).\(parts[1])._checkpoint_wrapped_module.\(rest)", tensor.shape)
    }
    #expect(try load(tensors, as: Self.text).matched == tensors.count)
  }

  @Test(arguments: [
    ("teacher.backbone.", "student.backbone.", "teacher"), ("ema_model.", "model.", "averaged"),
    ("backbone.", "student.", "before a student"), ("encoder_q.", "encoder_k.", "MoCo"),
    ("base_encoder.", "momentum_encoder.", "MoCo v3"),
    ("online_encoder.net.", "target_encoder.net.", "BYOL"),
  ])
  func oneOfTwoIsTakenAndSaid(taken: String, left: String, says: String) throws {
    for order in [[taken, left], [left, taken]] {
      let tensors = try order.flatMap { under($0, try vit()) }
      let report = try load(tensors, as: Self.text)
      #expect(report.prefix == taken)
      let count = try vit().count
      #expect(report.matched == count && report.unused.count == count)
      #expect(Set(report.unused.map(\.reason)).count == 1)
      #expect(report.warnings.contains { $0.contains(says) && $0.contains(left) })
      let other = try load(tensors, as: Self.text) { $0.prefix = String(left.dropLast()) }
      #expect(other.prefix == left)
    }
  }

  @Test func severalAreListedAndChosen() throws {
    let tensors = under("left.", try vit()) + under("right.", try vit())
    let error = failure(tensors, as: Self.text)
    #expect(error?.kind == .undetermined)
    #expect(error?.found.contains("left., right.") == true)
    #expect(error?.advice.contains("`prefix`") == true)
    #expect(try load(tensors, as: Self.text) { $0.prefix = "right" }.prefix == "right.")
    let wrong = failure(tensors, as: Self.text) { $0.prefix = "middle" }
    #expect(wrong?.kind == .badArgument && wrong?.expected.contains("left.") == true)
  }

  /// What transformers 5 calls in memory what its files still call otherwise, saved by another trainer.
  @Test(arguments: [
    ("vit-hf-plain", "layers"), ("vit-hf-deit-distilled", "layers"),
    ("vit-hf-dinov2", "encoder.layer"), ("swin-hf", "encoder.layers"),
  ])
  func namesOfTransformersInMemoryAreRead(name: String, blocks: String) throws {
    guard let fixture = try? Fixture(name) else {
      Issue.record("no fixture \(name)")
      return
    }
    let renames = [
      ("encoder.layer.", blocks + "."), ("attention.attention.query", "attention.q_proj"),
      ("attention.attention.key", "attention.k_proj"),
      ("attention.attention.value", "attention.v_proj"),
      ("attention.self.query", "attention.q_proj"), ("attention.self.key", "attention.k_proj"),
      ("attention.self.value", "attention.v_proj"), ("attention.output.dense", "attention.o_proj"),
      (
        "attention.self.relative_position_bias_table",
        "attention.relative_position_bias.relative_position_bias_table"
      ),
      (
        "attention.self.relative_position_index",
        "attention.relative_position_bias.relative_position_index"
      ),
      ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
    ]
    let tensors = try fixture.keys().map { key in
      var own = "model." + key.name
      for (old, new) in renames {
        if let range = own.firstRange(of: old) { own.replaceSubrange(range, with: new) }
      }
      return (own, DeterministicFill.values(key.name, key.shape))
    }
    #expect(tensors.contains { $0.0.contains("q_proj") })
    let expected = try fixture.withWeights { checkpoint in
      try ModelLoader.load(checkpoint, as: fixture.architecture()).model(try fixture.input()).values
    }
    try withCheckpoint(tensors) { checkpoint in
      let loaded = try ModelLoader.load(checkpoint, as: fixture.architecture())
      #expect(loaded.report.keyMapping == "Hugging Face" && loaded.report.unused.isEmpty)
      #expect(loaded.model(try fixture.input()).values == expected)
    }
  }

  /// The same module under two names: torch.save writes its storages once.
  @Test func twoNamesOfTheSameTensorsAreOneNetwork() throws {
    try withHollowCheckpoint(try vit()) { checkpoint in
      let prefixes = ["model.", "backbone."]
      let contents = try CheckpointContents(
        checkpoint.renamed(prefixes.map { prefix in { prefix + $0 } }))
      let found = try NetworkSearch.network(in: contents, WeightsSelection())
      #expect(found.view.prefix == "model." && found.others == ["backbone."])
      #expect(found.notes.count == 1 && found.notes[0].contains("the same tensors"))
    }
  }

  // MARK: Heads

  @Test(arguments: ["fc.0", "fc.1", "fc.3", "fc.dense"])
  func headInAListIsFound(layer: String) throws {
    let tensors = try resnet().map { tensor -> Named in
      (tensor.name.hasPrefix("fc.") ? layer + tensor.name.dropFirst(2) : tensor.name, tensor.shape)
    }
    for prefix in ["", "model."] {
      let report = try load(under(prefix, tensors))
      #expect(report.architecture.contains("classes=5"))
      #expect(report.matched == tensors.count && report.unused.isEmpty)
      #expect(report.warnings.contains { $0.contains(prefix + layer) })
    }
  }

  @Test func headsOfSeveralLayersAreLeftOutAndSaid() throws {
    let trunk = try resnet().filter { !$0.name.hasPrefix("fc.") }
    for head in [
      [("fc.0.weight", [4, 8]), ("fc.0.bias", [4]), ("fc.2.weight", [5, 4]), ("fc.2.bias", [5])],
      [("fc.0.weight", [8]), ("fc.0.bias", [8]), ("fc.1.weight", [5, 8])],
    ] as [[Named]] {
      let report = try load(trunk + head)
      #expect(report.matched == trunk.count)
      #expect(report.unmatched == head.map(\.name))
      #expect(report.architecture.contains("classes=0"))
    }
    // One layer of another width is no layer on these features.
    let error = failure(trunk + [("fc.1.weight", [5, 16]), ("fc.1.bias", [5])])
    #expect(error?.kind == .unreadable && error?.place.contains("fc.1.weight") == true)
  }

  @Test func headsStandBesideTheirNetwork() throws {
    let tensors = try resnet().map { tensor -> Named in
      (tensor.name.hasPrefix("fc.") ? tensor.name : "model.backbone." + tensor.name, tensor.shape)
    }
    #expect(try load(tensors).matched == tensors.count)
    // Nothing else does.
    let other = try vit().map { tensor -> Named in
      (tensor.name.hasPrefix("norm.") ? tensor.name : "backbone." + tensor.name, tensor.shape)
    }
    #expect(failure(other, as: Self.text)?.kind == .missing)
  }

  // MARK: Every tensor has an account

  @Test(arguments: [
    ElementType.int8, .uint8, .int16, .int32, .int64, .bool, .float8E4M3,
  ])
  func weightsOfIntegersAreRefused(dtype: ElementType) throws {
    let name = "blocks.1.mlp.fc2.weight"
    try withTemporaryFolder { folder in
      let path = folder + "/model.safetensors"
      let tensors = try vit().map { tensor in
        SafetensorsWriter.Declaration(
          name: tensor.name, dtype: tensor.name == name ? dtype : .float32, shape: tensor.shape)
      }
      var writer = try SafetensorsWriter(creating: path, tensors: tensors, metadata: [:])
      for (index, tensor) in tensors.enumerated() {
        let count = tensor.shape.reduce(1, *) * tensor.dtype.bits / 8
        try [UInt8](repeating: 0, count: count).withUnsafeBytes { try writer.append($0, to: index) }
      }
      try writer.finish()
      let error = #expect(throws: ModelError.self) {
        try ModelLoader.load(Checkpoint.open(path), as: Architecture(Self.text))
      }
      #expect(error?.kind == .unreadable && error?.place.contains(name) == true)
      #expect(error?.found.contains(dtype.rawValue) == true)
    }
  }

  @Test(arguments: [
    "ln_pre.bias", "absolute_pos_embed", "patch_embed.norm_post.weight",
    "rope.freqs", "rel_pos_bias.table", "storage_tokens", "prompt_embeddings", "mask.weight",
    "embed_norm.weight", "head.norm.weight", "head_norm.weight", "gate",
    "blocks.0.attn.q_norm.weight",
    "blocks.1.mlp.norm.weight", "positional_embedding", "transformer.layers.0.weight", "mean",
    "normalize.std", "stem_extra.weight", "text_bias",
  ])
  func partsThatMayBearOnTheOutputAreAnError(name: String) throws {
    for prefix in ["", "model."] {
      let tensors = under(prefix, try vit() + [(name, [12])])
      let error = failure(tensors, as: Self.text)
      #expect(error?.kind == .unexpected)
      #expect(error?.place.contains(prefix + name) == true)
      #expect(error?.advice.contains("`ignored`") == true)
      let report = try load(tensors, as: Self.text) { $0.ignored = [prefix + name] }
      #expect(report.ignoredOnRequest == [prefix + name] && report.unused.isEmpty)
    }
    // Beside the network too: images may be normalised there.
    if ["mean", "gate", "prompt_embeddings", "normalize.std"].contains(name) {
      let beside = under("backbone.", try vit()) + [(name, [12])]
      #expect(failure(beside, as: Self.text)?.kind == .unexpected)
    }
  }

  @Test(arguments: [
    "projector.0.weight", "decoder_blocks.0.attn.qkv.weight", "decoder_pos_embed",
    "classifier.4.weight", "aux_classifier.0.weight", "heads.1.weight",
    "linear.weight", "mask_token.weight", "predictor.3.bias", "prototypes.weight", "logit_scale",
    "loss_fn.weight", "total_ops", "blocks.0.total_ops", "layer_head.bias", "n_averaged",
  ])
  func partsBehindTheFeaturesAreNamed(name: String) throws {
    let report = try load(try vit() + [(name, [12])], as: Self.text)
    #expect(report.unmatched == [name])
    #expect(report.unusedGroups.count == 1 && report.unusedGroups[0].reason.isEmpty == false)
  }

  @Test(arguments: [
    "transformer.resblocks.0.weight", "token_embedding.weight", "text.ln_final.weight",
    "backbone.fpn.inner_blocks.0.weight", "class_embed.weight", "rpn.head.conv.weight",
    "teacher_queue.queue", "discriminator.0.weight",
  ])
  func partsBesideTheNetworkAreNamed(name: String) throws {
    let report = try load(under("backbone.body.", try vit()) + [(name, [12])], as: Self.text)
    #expect(report.unmatched == [name])
  }

  @Test(arguments: [
    ("blocks.0.attn.qkv.lora_A.weight", "LoRA"), ("blocks.0.mlp.fc1.qweight", "quantised"),
    ("_flat_param", "FSDP"), ("blocks.0.attn.ia3_l", "IA3"),
  ])
  func adaptersAndTheLikeAreNamed(name: String, says: String) throws {
    for tensors in [[(name, [4, 12])], try vit() + [(name, [4, 12])]] as [[Named]] {
      let error = failure(tensors, as: Self.text)
      #expect(error?.kind == .unexpected && error?.found.contains(says) == true)
    }
  }
}

extension Checkpoint {
  /// The same tensors under several names each.
  fileprivate func renamed(_ namings: [(String) -> String]) -> Checkpoint {
    Checkpoint(
      path: path, format: format, files: files,
      tensors: namings.flatMap { naming in tensors.map { $0.named(naming($0.name)) } })
  }
}
