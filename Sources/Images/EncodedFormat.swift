/// The format of an image file, told from its first bytes.
enum EncodedFormat {
  case png
  case jpeg
  case webp
  case tiff
  case bmp
  case netpbm
  case other(Finding)

  /// The formats that are read, for messages.
  static let readable = "PNG, JPEG, PPM, PGM, BMP, TIFF or WebP"

  /// What stands where an image was expected.
  struct Finding {
    let text: String
    /// Whether this is a sound file of another format rather than an unknown or damaged one.
    let isKnown: Bool
  }

  init(_ head: some Sequence<UInt8>) {
    let head = Array(head)
    func starts(_ magic: [UInt8], at offset: Int = 0) -> Bool {
      head.dropFirst(offset).starts(with: magic)
    }
    func starts(_ magic: String, at offset: Int = 0) -> Bool {
      starts(Array(magic.utf8), at: offset)
    }
    if starts([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else if starts([0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if starts("RIFF"), starts("WEBP", at: 8) {
      self = .webp
    } else if starts("II"), head.count > 3, head[2] == 0x2A || head[2] == 0x2B, head[3] == 0 {
      self = .tiff
    } else if starts("MM"), head.count > 3, head[2] == 0, head[3] == 0x2A || head[3] == 0x2B {
      self = .tiff
    } else if starts("BM") {
      self = .bmp
    } else if head.count > 2, head[0] == UInt8(ascii: "P"), (0x31...0x36).contains(head[1]),
      head[2] == 0x20 || (9...13).contains(head[2])
    {
      self = .netpbm
    } else if head.isEmpty {
      self = .other(Finding(text: "an empty file", isKnown: false))
    } else if starts("GIF8") {
      self = .other(Finding(text: "a GIF file", isKnown: true))
    } else if starts("P7\n") || starts("PF\n") || starts("Pf\n") {
      self = .other(Finding(text: "a PAM or PFM file", isKnown: true))
    } else if starts("ftypavif", at: 4) || starts("ftypheic", at: 4) || starts("ftypmif1", at: 4) {
      self = .other(Finding(text: "an AVIF or HEIF file", isKnown: true))
    } else if starts([0, 0, 0, 0x0C, 0x6A, 0x50]) || starts([0xFF, 0x4F, 0xFF, 0x51]) {
      self = .other(Finding(text: "a JPEG 2000 file", isKnown: true))
    } else if starts([0x89, 0x50, 0x4E, 0x47]) || starts([0xFF, 0xD8]) {
      self = .other(Finding(text: "a file whose signature is cut or altered", isKnown: false))
    } else {
      let bytes = head.prefix(8).map { byte -> String in
        let hex = String(byte, radix: 16)
        return hex.utf8.count == 1 ? "0" + hex : hex
      }
      self = .other(
        Finding(text: "a file that starts with \(bytes.joined(separator: " "))", isKnown: false))
    }
  }
}
