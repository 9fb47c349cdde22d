/// The family of a file by its first bytes. What cannot be read is refused by name, see
/// ``ForeignFormat``.
enum FileSignature {
  case safetensors
  case npy
  case zip
  /// `torch.save` before PyTorch 1.6.
  case torchStream
  /// A Python pickle by itself.
  case pickle
  case onnx

  init(_ file: MappedFile) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    let bytes = file.bytes
    if NumpyHeader.hasMagic(bytes) {
      self = .npy
    } else if bytes.holds("PK\u{03}\u{04}") || bytes.holds("PK\u{05}\u{06}") {
      self = .zip
    } else if TorchStream.isStream(bytes) {
      self = .torchStream
    } else if Self.isSafetensors(bytes) {
      self = .safetensors
    } else if Self.isONNX(bytes) {
      self = .onnx
    } else if let foreign = ForeignFormat.first(of: file) {
      throw foreign.refusal(file.path)
    } else if bytes.count >= 9, bytes[8] == UInt8(ascii: "{") {
      self = .safetensors
    } else if bytes.count > 1, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
      self = .pickle
    } else if file.path.hasSuffix(".safetensors") {
      self = .safetensors
    } else if file.path.hasSuffix(".onnx") {
      self = .onnx
    } else if let foreign = ForeignFormat.byName(file.path) {
      throw foreign.refusal(file.path)
    } else {
      let start = bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: " ")
      throw ForeignFormat(
        "a file of no known kind, which starts with the bytes \(start)",
        advice: "Check that this is the file you meant"
      ).refusal(file.path)
    }
  }

  /// The version of the format, then the producer, its version, a domain, a text, the graph or the operations.
  private static func isONNX(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count > 16 && bytes[0] == 0x08 && (2...32).contains(bytes[1])
      && [0x12, 0x1A, 0x22, 0x28, 0x3A, 0x42].contains(bytes[2])
  }

  /// A header of the length that the first eight bytes say.
  private static func isSafetensors(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 9, bytes[8] == UInt8(ascii: "{"),
      let length = bytes.littleEndian(UInt64.self, at: 0)
    else { return false }
    return length <= UInt64(bytes.count - 8)
  }
}
