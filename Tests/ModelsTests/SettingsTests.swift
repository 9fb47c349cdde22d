import Checkpoints
import Models
import Tensors
import Testing

/// Settings beside the weights: each key is taken in, repeats the shapes, is harmless, or is refused.
@Suite struct SettingsTests {
  private static let swin = "swin(image=32,patch=2,window=4,dim=12,depths=2-2,heads=2-3,classes=5)"
  private static let pit =
    "pit(image=32,patch=8,stride=4,dims=12-24,depths=1-2,heads=2-3,classes=7)"
  private static let mixer = "mixer(image=32,patch=8,dim=24,depth=2,classes=7)"
  private static let refiner = "refiner(image=32,patch=8,dim=24,depth=2,heads=3,classes=7)"

  /// What weights of `text` beside `config` are read as.
  private func read(_ text: String, _ config: String) throws -> LoadedModel {
    let tensors = try ModelSummary(Architecture(text)).parameters.map {
      ($0.name, DeterministicFill.values($0.name, $0.storedShape))
    }
    return try withTemporaryFolder { folder in
      try writeSafetensors(tensors, to: folder + "/model.safetensors")
      try writeText(config, to: folder + "/config.json")
      return try ModelLoader.load(Checkpoint.open(folder))
    }
  }

  private func refusal(_ text: String, _ config: String) throws -> ModelError {
    try #require(throws: ModelError.self) { try read(text, config) }
  }

  @Test func huggingFacesSwinIsReadToTheLastKey() throws {
    let loaded = try read(
      Self.swin,
      """
      {"architectures": ["SwinForImageClassification"], "model_type": "swin", "image_size": 64,
       "patch_size": 2, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 4,
       "mlp_ratio": 4.0, "qkv_bias": true, "hidden_act": "gelu", "use_absolute_embeddings": false,
       "layer_norm_eps": 1e-3, "hidden_size": 24, "num_layers": 2, "encoder_stride": 32,
       "drop_path_rate": 0.1, "path_norm": true, "out_indices": null, "num_channels": 3}
      """)
    let c = try #require(loaded.architecture.configuration as? SwinConfiguration)
    #expect(c.epsilon == 1e-3 && c.patchEpsilon == 1e-5)
    #expect(c.imageSize == 64)
  }

  static let refused: [(String, String, String)] = [
    (swin, #""norm_layer": "rmsnorm""#, "norm_layer"),
    (swin, #""use_absolute_embeddings": true"#, "use_absolute_embeddings"),
    (swin, #""qkv_bias": false"#, "qkv_bias"), (swin, #""window_size": 7"#, ""),
    (swin, #""window_size": 2"#, "window_size"), (swin, #""patch_norm": false"#, "patch_norm"),
    (swin, #""model_type": "donut-swin""#, "model_type"), (swin, #""mlp_ratio": 2.5"#, "mlp_ratio"),
    (swin, #""embed_dim": 24"#, "embed_dim"), (swin, #""depths": [2, 6]"#, "depths"),
    (swin, #""res_post_norm": true"#, "res_post_norm"),
    (swin, #""hidden_act": "mish""#, "hidden_act"),
    (swin, #""model_args": {"always_partition": true}"#, "always_partition"),
    (swin, #""model_args": {"head_dim": 8}"#, "head_dim"),
    (swin, #""architecture": "swinv2_tiny_window8_256.ms_in1k""#, "architecture"),
    (swin, #""layer_norm_eps": "small""#, "layer_norm_eps"),
    (swin, #""layer_norm_eps": 3"#, "eps"), (swin, #""image_size": [32, 64]"#, "image"),
    (
      pit, #""model_args": {"heads": [2, 3], "global_pool": "avg"}"#,
      "global_pool"
    ),
    (
      pit, #""model_args": {"heads": [2, 3], "stem_type": "other"}"#,
      "stem_type"
    ),
    (pit, #""model_args": {"heads": [2, 3], "rope": true}"#, "rope"),
    (mixer, #""model_args": {"act_layer": "relu"}"#, "act_layer"),
    (mixer, #""model_args": {"block_layer": "ResBlock"}"#, "block_layer"),
    (mixer, #""model_args": {"stem_norm": true}"#, "stem_norm"),
    (mixer, #""model_args": {"embed_dim": 48}"#, "embed_dim"),
    (refiner, #""hidden_act": "gelu""#, "hidden_act"),
  ]

  /// The key and the value are named.
  @Test(arguments: refused)
  func whatIsNotImplementedIsNamed(_ text: String, _ setting: String, _ key: String) throws {
    // timm shrinks windows to the maps of small images, and says the configured one.
    if key.isEmpty {
      _ = try read(text, "{\(setting)}")
      return
    }
    let error = try refusal(text, "{\(setting)}")
    #expect(error.place.contains(key), "\(error)")
    #expect(!error.found.isEmpty && !error.expected.isEmpty, "\(error)")
  }

  @Test func timmsArgumentsAreTakenIn() throws {
    let pit = try read(
      Self.pit,
      """
      {"num_classes": 7, "num_features": 24, "global_pool": "token",
       "model_args": {"img_size": 32, "patch_size": 8, "stride": 4, "base_dims": [6, 8],
         "depth": [1, 2], "heads": [2, 3], "mlp_ratio": 4, "drop_rate": 0.1}}
      """)
    let c = try #require(pit.architecture.configuration as? PiTConfiguration)
    #expect(c.heads == [2, 3] && c.stride == 4 && c.imageSize == 32)
    let mixer = try read(
      Self.mixer,
      """
      {"model_args": {"img_size": [32, 32], "patch_size": 8,
        "num_blocks": 2, "embed_dim": 24, "act_layer": "gelu", "nlhb": false}}
      """)
    #expect(mixer.architecture.text == Self.mixer)
  }

  /// Absolute positions are those of one grid.
  @Test func absolutePositionsTellTheImage() throws {
    let text = Self.swin.replacing("classes=5)", with: "classes=5,ape=true)")
    let loaded = try read(text, "{}")
    #expect(loaded.architecture.text == text)
    let error = try refusal(text, #"{"image_size": 64}"#)
    #expect(
      error.description.contains(
        "32x32 patches at 64 pixels; expected 16x16, which absolute positions are stored for"))
    // They bear on the output.
    let images = DeterministicFill.values("input", [1, 32, 32, 3], isInput: true)
    #expect(loaded.model(images).values != (try read(Self.swin, "{}")).model(images).values)
  }
}
