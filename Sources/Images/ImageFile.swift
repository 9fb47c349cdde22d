/// A single image file; also the way a folder reads each of its files.
struct ImageFile: ImageSource {
  private let path: RawPath

  /// Refers to the file at `path`, which is opened when it is decoded.
  init(_ path: String) { self.path = RawPath(path) }

  var count: Int { 1 }
  var classNames: [String] { [] }
  var notes: [String] { [] }

  func id(_ index: Int) -> String { displayText(path.name) }

  func label(_ index: Int) -> Int? { nil }

  func decode(_ index: Int, limits: ImageLimits) throws(ImageDataError) -> DecodedImage {
    try ImageFile.decode(path, limits: limits)
  }

  func inputFiles(of indices: [Int]) -> [InputFile] {
    indices.isEmpty ? [] : [InputFile(path)]
  }

  static func decode(_ path: RawPath, limits: ImageLimits) throws(ImageDataError) -> DecodedImage {
    let file = try DataFile(path, name: path.display)
    guard file.size <= limits.encodedBytes else {
      throw ImageDataError(
        .tooLarge, file: file.name, found: "\(file.size) bytes",
        expected: "at most \(limits.encodedBytes)")
    }
    let head = try file.bytes(at: 0, upTo: 16)
    if case .other = EncodedFormat(head) {
      return try DecodedImage(decoding: head, name: file.name, limits: limits)
    }
    let bytes = try file.bytes(at: 0, exactly: file.size)
    return try DecodedImage(decoding: bytes, name: file.name, limits: limits)
  }
}
