/// The family of a file by its first bytes. What cannot be read is refused by name.
enum FileSignature {
  case safetensors
  case npy
  case zip

  init(_ file: MappedFile) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    let bytes = file.bytes
    func refusal(_ found: String, _ advice: String) -> CheckpointError {
      CheckpointError(
        .unsupported, file: file.path, found: found,
        expected: "a safetensors, .npy, .npz or torch.save (zip) file", advice: advice)
    }
    let resave = """
      Load it with torch.load where you trust it, then save the state dict with \
      safetensors.torch.save_file, or with torch.save of PyTorch 1.6 or later
      """
    if NumpyHeader.hasMagic(bytes) {
      self = .npy
    } else if bytes.holds("PK\u{03}\u{04}") || bytes.holds("PK\u{05}\u{06}") {
      self = .zip
    } else if bytes.count >= 9, bytes[8] == UInt8(ascii: "{") {
      self = .safetensors
    } else if Self.isLegacyTorch(bytes) {
      throw refusal("a torch.save file from before PyTorch 1.6", resave)
    } else if bytes.holds("ustar", at: 257) {
      throw refusal("a tar archive", "If torch wrote it (before 2017): " + resave)
    } else if bytes.count > 1, bytes[0] == 0x80, bytes[1] <= 5 {
      throw refusal("a bare Python pickle", resave)
    } else if bytes.count > 1, bytes[0] == 0x1F, bytes[1] == 0x8B {
      throw refusal("a gzip file", "Unpack it first")
    } else if bytes.count > 3, bytes[0] == 0x89, bytes.holds("HDF", at: 1) {
      throw refusal("an HDF5 file", "Save the tensors as safetensors")
    } else if file.path.hasSuffix(".safetensors") {
      self = .safetensors
    } else {
      let start = bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: " ")
      throw refusal(
        "a file that starts with the bytes \(start)", "Check that this is the file you meant")
    }
  }

  /// The magic number 0x1950a86a20f9469cfc6c as a pickled integer.
  private static func isLegacyTorch(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    return bytes.prefix(32).count == 32 && bytes[0] == 0x80
      && (2...8).contains { bytes[$0..<$0 + magic.count].elementsEqual(magic) }
  }
}
