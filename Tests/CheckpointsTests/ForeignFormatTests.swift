import TestSupport
import Testing

@testable import Checkpoints

private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Files that people take for weights: each is refused by what it is, with what to do.
private let files: [HostileFile] = [
  .init(
    "Git LFS", text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 345\n"),
    .unsupported, says: "Git LFS pointer"),
  .init(
    "HTML", text("<!DOCTYPE html>\n<html><head><title>404</title>"), .unsupported, says: "web page"),
  .init("HTML behind spaces", text("\r\n  <HTML lang=en>"), .unsupported, says: "web page"),
  .init("HTML behind a mark", [0xEF, 0xBB, 0xBF] + text("<html>"), .unsupported, says: "web page"),
  .init("XML", text("<?xml version=\"1.0\"?><Error><Code>AccessDenied"), .unsupported, says: "XML"),
  .init(
    "JSON error", text("{\"error\":\"Repository not found\"}"), .unsupported, says: "error message"),
  .init("JSON of eight bytes", text("{\"a\":  {}}"), .unsupported, says: "JSON document"),
  .init(
    "index", text("{\"metadata\":{},\"weight_map\":{}}"), .unsupported, says: "the index of weights"
  ),
  .init("config", text("{\"model_type\": \"vit\"}"), .unsupported, says: "settings (JSON)"),
  .init(
    "adapter", text("{\"peft_type\": \"LORA\", \"r\": 8}"), .unsupported, says: "adapter (LoRA)"),
  .init("words", text("Entry not found"), .unsupported, says: "\"Entry not found\""),
  .init(
    "checkpoint list", text("model_checkpoint_path: \"model.ckpt-100\"\n"), .unsupported,
    says: "TensorFlow"),
  .init(
    "SavedModel", [8, 1, 0x12, 0x90, 3] + [UInt8](repeating: 10, count: 32), .unsupported,
    says: "SavedModel"),
  .init(
    "TensorFlow index",
    [UInt8](repeating: 0, count: 48) + [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB],
    .unsupported, says: "TensorFlow checkpoint"),
  .init("GGUF", text("GGUF") + [3, 0, 0, 0, 0, 0, 0, 0], .unsupported, says: "GGUF"),
  .init(
    "TFLite", [0x1C, 0, 0, 0] + text("TFL3") + [0, 1, 2, 3], .unsupported, says: "TensorFlow Lite"),
  .init("HDF5", [0x89] + text("HDF\r\n") + [0x1A, 0x0A, 0], .unsupported, says: "HDF5"),
  .init("gzip", [0x1F, 0x8B, 8] + [UInt8](repeating: 0, count: 20), .unsupported, says: "gzip"),
  .init("bzip2", text("BZh91AY&SY") + [0, 1], .unsupported, says: "bzip2"),
  .init("xz", [0xFD] + text("7zXZ") + [0, 0, 4], .unsupported, says: "xz"),
  .init("Zstandard", [0x28, 0xB5, 0x2F, 0xFD, 0, 1], .unsupported, says: "Zstandard"),
  .init(
    "tar",
    [UInt8](repeating: 0x61, count: 257) + text("ustar") + [UInt8](repeating: 0, count: 250),
    .unsupported, says: "tar"),
  .init("MATLAB", text("MATLAB 5.0 MAT-file") + [0, 0, 1], .unsupported, says: "MATLAB"),
  .init("JPEG", [0xFF, 0xD8, 0xFF, 0xE0, 0, 16], .unsupported, says: "JPEG"),
  .init("pickle of protocol 0", text("(dp0\nS'a'\np1\nI1\ns."), .unsupported, says: "protocol 0"),
  .init("nothing known", [1, 2, 3, 4, 5, 6, 7, 8, 9], .unsupported, says: "1 2 3 4"),
]

@Suite struct ForeignFormatTests {
  @Test(arguments: files)
  func fileIsNamed(_ file: HostileFile) throws {
    file.expectRefusal(extension: "pth")
    // The name of a file does not hide what it is.
    if file.name != "nothing known" { file.expectRefusal(extension: "safetensors") }
    let folder = Scratch()
    let path = folder.write(file.bytes, as: "x.bin")
    #expect(failure { try Checkpoint.check(path) }?.advice.isEmpty == false)
  }

  /// Where bytes tell nothing the name does.
  @Test(arguments: [
    ("model.msgpack", "Flax"), ("frozen.pb", "TensorFlow graph"),
    ("model.ckpt.data-00000-of-00001", "TensorFlow"), ("yolov3.weights", "Darknet"),
    ("net.caffemodel", "Caffe"), ("m.mlmodel", "Core ML"),
  ])
  func nameTells(name: String, says: String) {
    let folder = Scratch()
    let path = folder.write([0x83, 0xA6, 1, 2, 3, 4, 5, 6, 7, 8], as: name)
    let error = failure { try Checkpoint.check(path) }
    #expect(
      error?.kind == .unsupported && error?.found.contains(says) == true,
      "\(String(describing: error))")
  }

  /// No header of a safetensors file is taken for something else, whatever its length.
  @Test func lengthsOfHeadersAreNoSignatures() throws {
    let folder = Scratch()
    for length in [0x08, 0x0308, 0x12_0708, 0x7B, 0x3C, 0x5B20, 0x2525, 0x112] {
      let header = "{}" + String(repeating: " ", count: length - 2)
      let bytes = little(UInt64(length)) + header.utf8
      let checkpoint = try Checkpoint.open(folder.write(bytes, as: "a"))
      #expect(checkpoint.format == .safetensors && checkpoint.tensors.isEmpty)
    }
  }

  @Test(arguments: [
    ("model.weights.h5", "Keras"), ("weights/resnet50.pth", "resnet50.pth"),
    ("readme.txt", "data.pkl"),
  ])
  func archiveIsNamed(member: String, says: String) {
    HostileFile(
      member, ZipBuilder([.init(member, [0x33])]).bytes(), .unsupported, says: says
    ).expectRefusal(extension: "pth")
  }

  @Test(arguments: [
    ("adapter_config.json", "adapter (LoRA)"), ("saved_model.pb", "SavedModel"),
    ("tf_model.h5", "TensorFlow weights"), ("flax_model.msgpack", "Flax"),
    ("model.onnx", "ONNX"),
  ])
  func folderIsNamed(file: String, says: String) {
    let scratch = Scratch()
    _ = scratch.folder("m")
    scratch.write(text("{}"), as: "m/" + file)
    let error = failure { try Checkpoint.check(scratch.file("m")) }
    #expect(error?.kind == .unsupported && error?.found.contains(says) == true)
  }
}
