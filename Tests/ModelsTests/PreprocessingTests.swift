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
      return Preprocessing(of: try Checkpoint.open(folder), fallback: fallback)
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
    #expect(found == .imageNet(224, crop: 0.875))
  }

  @Test func silenceAndNonsense() throws {
    let silent = try read([])
    #expect(silent == nil)
    let unrelated = try read([("config.json", #"{"hidden_size":12}"#)])
    #expect(unrelated == nil)
    let odd = try read([
      ("preprocessor_config.json", #"{"image_mean":"x","size":{"height":-3},"resample":99}"#)
    ])
    #expect(odd == fallback)
  }
}
