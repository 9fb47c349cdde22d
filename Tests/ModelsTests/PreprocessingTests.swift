import Checkpoints
import Models
import Tensors
import Testing

/// What checkpoints say about their images.
@Suite struct PreprocessingTests {
  private let fallback = Preprocessing.half(224, crop: 0.9)

  private func read(_ files: [(String, String)]) throws -> Preprocessing? {
    try withTemporaryFolder { folder in
      try writeSafetensors([("a", Tensor([1], shape: [1]))], to: folder + "/model.safetensors")
      for (name, text) in files { try writeText(text, to: folder + "/" + name) }
      return try Preprocessing(of: try Checkpoint.open(folder), fallback: fallback)
    }
  }

  @Test func timm() throws {
    let found = try read([
      (
        "config.json",
        #"{"architecture":"resnet50","pretrained_cfg":{"input_size":[3,288,288],"crop_pct":0.95,"#
          + #""interpolation":"bilinear","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}}"#
      )
    ])
    #expect(found == .imageNet(288, crop: 0.95, .bilinear))
  }

  @Test func huggingFaceSquashes() throws {
    // google/vit-base-patch16-224
    let found = try read([
      (
        "preprocessor_config.json",
        #"{"do_resize":true,"size":{"height":224,"width":224},"resample":2,"#
          + #""image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}"#
      )
    ])
    #expect(found?.resize == .squash)
    #expect(found?.interpolation == .bilinear)
    #expect(found?.mean == [0.5, 0.5, 0.5])
    #expect(found?.size == 224)
  }

  @Test func huggingFaceShortEdge() throws {
    // facebook/dinov2-base
    let found = try read([
      (
        "preprocessor_config.json",
        #"{"do_center_crop":true,"crop_size":{"height":224,"width":224},"resample":3,"#
          + #""size":{"shortest_edge":256},"image_mean":[0.485,0.456,0.406],"#
          + #""image_std":[0.229,0.224,0.225]}"#
      )
    ])
    #expect(found?.resize == .shortEdge(256))
    #expect(found?.size == 224)
    #expect(found?.interpolation == .bicubic)
  }

  @Test func huggingFaceFraction() throws {
    // microsoft/resnet-50
    let found = try read([
      (
        "preprocessor_config.json",
        #"{"crop_pct":0.875,"size":{"shortest_edge":224},"resample":3,"#
          + #""image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225]}"#
      )
    ])
    var expected = Preprocessing.imageNet(224, crop: 0.875)
    expected.cropsDown = true
    #expect(found == expected)
  }

  @Test func silenceAndNonsense() throws {
    let silent = try read([])
    #expect(silent == nil)
    let unrelated = try read([("config.json", #"{"hidden_size":12}"#)])
    #expect(unrelated == nil)
  }

  // MARK: What is refused

  @Test(arguments: [
    (#"{"image_mean":"x","size":224,"image_std":[1,1,1]}"#, "image_mean"),
    (#"{"image_processor_type":"ViTImageProcessor","size":{"height":-3,"width":-3}}"#, "size"),
    (#"{"image_processor_type":"ViTImageProcessor","size":{"height":32,"width":64}}"#, "size"),
    (#"{"image_processor_type":"ViTImageProcessor","size":{"longest_edge":64}}"#, "size"),
    (#"{"image_processor_type":"ViTImageProcessor","resample":99}"#, "resample"),
    (#"{"image_processor_type":"ViTImageProcessor","do_pad":true}"#, "do_pad"),
    (#"{"image_processor_type":"ViTImageProcessor","rescale_offset":true}"#, "rescale_offset"),
    (#"{"image_processor_type":"LevitImageProcessor","size":224}"#, "image_processor_type"),
    (#"{"image_processor_type":"BitImageProcessor","do_center_crop":false}"#, "size"),
    (#"{"resample":3}"#, "image_processor_type"),
  ])
  func settingsThatAreNotKnownAreNamed(_ text: String, _ key: String) throws {
    let error = #expect(throws: ModelError.self) {
      try read([("preprocessor_config.json", text)])
    }
    #expect(error?.description.contains("preprocessor_config.json") == true)
    #expect(error?.description.contains(key) == true)
  }

  @Test(arguments: [
    (#"{"input_size":[3,0,64],"crop_pct":1}"#, "input_size"),
    (#"{"crop_pct":0}"#, "crop_pct"), (#"{"crop_mode":"tile"}"#, "crop_mode"),
    (#"{"interpolation":"random","crop_pct":1}"#, "interpolation"),
    (#"{"mean":[0.5,0.5],"std":[0.5,0.5,0.5]}"#, "std"),
    (#"{"crop_pct":1,"crop_border_pixels":4}"#, "crop_border_pixels"),
  ])
  func timmSettingsThatAreNotKnownAreNamed(_ text: String, _ key: String) throws {
    let error = #expect(throws: ModelError.self) {
      try read([("config.json", #"{"architecture":"resnet50","pretrained_cfg":\#(text)}"#)])
    }
    #expect(error?.description.contains("config.json: pretrained_cfg") == true)
    #expect(error?.description.contains(key) == true)
  }

  // MARK: What is read

  @Test func deitMakesASquareThenCrops() throws {
    let found = try read([
      (
        "preprocessor_config.json",
        #"{"image_processor_type":"DeiTImageProcessor","size":36,"crop_size":32}"#
      )
    ])
    #expect(found?.resize == .squashTo(36))
    #expect(found?.size == 32)
    #expect(found?.cropsDown == true)
    #expect(found?.interpolation == .bicubic)
    #expect(found?.mean == [0.5, 0.5, 0.5])
  }

  @Test func defaultsAreThoseOfTheClass() throws {
    let bit = try read([
      ("preprocessor_config.json", #"{"image_processor_type":"BitImageProcessorFast"}"#)
    ])
    #expect(bit?.resize == .shortEdge(224))
    #expect(bit?.mean == [0.48145466, 0.4578275, 0.40821073])
    let vit = try read([
      ("config.json", #"{"model_type":"vit"}"#), ("preprocessor_config.json", "{}"),
    ])
    #expect(vit?.resize == .squash)
    #expect(vit?.interpolation == .bilinear)
    #expect(vit?.mean == [0.5, 0.5, 0.5])
    let timm = try read([("config.json", #"{"pretrained_cfg":{"input_size":[3,64,64]}}"#)])
    #expect(timm == .imageNet(64, crop: 0.875))
  }

  @Test func valuesThatAreNotRescaledOrNormalised() throws {
    func values(_ more: String) throws -> ([Double], [Double])? {
      try read([
        (
          "preprocessor_config.json",
          #"{"image_processor_type":"ViTImageProcessor","image_mean":0.5,"image_std":0.25,\#(more)}"#
        )
      ]).map { ($0.mean, $0.std) }
    }
    let raw = try #require(try values(#""do_normalize":false"#))
    #expect(raw.0 == [0, 0, 0] && raw.1 == [1, 1, 1])
    // v - 0.5 over 0.25 is v / 255 - 0.5 / 255 over 0.25 / 255.
    let bytes = try #require(try values(#""do_rescale":false"#))
    let (mean, std): (Double, Double) = (0.5 / 255, 0.25 / 255)
    #expect(bytes.0 == [mean, mean, mean])
    #expect(bytes.1 == [std, std, std])
    let half = try #require(try values(#""rescale_factor":0.00784313725490196"#))
    #expect(abs(half.0[0] - 0.25) < 1e-12)
    #expect(abs(half.1[0] - 0.125) < 1e-12)
  }

  @Test func cropModesOfTimm() throws {
    func resize(_ mode: String) throws -> Preprocessing.Resize? {
      try read([
        ("config.json", #"{"pretrained_cfg":{"crop_pct":0.9,"crop_mode":"\#(mode)"}}"#)
      ])?.resize
    }
    #expect(try resize("center") == .cropFraction(0.9))
    #expect(try resize("squash") == .squashFraction(0.9))
    #expect(try resize("border") == .border(0.9))
  }
}
