/// What a path given as image data is.
public enum ImageDataFormat: Sendable, Hashable {
  /// A folder of image files.
  case folder
  /// A single image file.
  case image
  /// IDX images, plain or gzip.
  case idx
  /// The binary version of CIFAR-10 or CIFAR-100.
  case cifar
  /// A NumPy or safetensors array; see `ArrayImages`.
  case array

  /// Tells the format from the content of what lies at `path`; names do not matter.
  ///
  /// - Throws: `notFound`, `unreadable`; `unsupported` or `damaged` if it is none of these, saying
  ///   what it seems to be.
  public static func detect(
    _ path: String
  ) throws(ImageDataError) -> ImageDataFormat {
    let rawPath = RawPath(path)
    if rawPath.isFolder { return .folder }
    let file = try DataFile(rawPath, name: path)
    let head = try file.bytes(at: 0, upTo: 512)
    switch EncodedFormat(head.prefix(16)) {
    case .other: break
    default: return .image
    }
    if head.starts(with: [0x93] + Array("NUMPY".utf8)) || isSafetensors(head)
      || head.starts(with: [0x50, 0x4B, 3, 4])
    {
      return .array
    }
    if head.starts(with: [0x1F, 0x8B]) { return try unpacked(file) }
    if isTar(head) {
      throw unsupported(path, "a tar archive", "Unpack it and name the file or folder inside")
    }
    if head.count > 1, head[0] == 0x80, (2...5).contains(head[1]) {
      throw unsupported(
        path, "a Python pickle", "Of CIFAR, take the binary version (cifar-10-binary.tar.gz)")
    }
    // An IDX header that does not fit its file may be the first pixels of a CIFAR record.
    let isCIFARSize = file.size > 0 && (file.size % 3073 == 0 || file.size % 3074 == 0)
    if head.starts(with: [0, 0, 8]), !isCIFARSize || fitsIDX(head, file.size) { return .idx }
    if isCIFARSize || path.utf8.suffix(4).elementsEqual(".bin".utf8) { return .cifar }
    guard case .other(let finding) = EncodedFormat(head.prefix(16)) else { return .image }
    throw ImageDataError(
      finding.isKnown ? .unsupported : .damaged, file: path, found: finding.text,
      expected: "an image folder, an image, IDX, CIFAR binary, .npy, .npz or .safetensors")
  }

  private static func unpacked(_ file: DataFile) throws(ImageDataError) -> ImageDataFormat {
    var stream = try InflateStream(file)
    let head = try stream.next(512)
    if head.starts(with: [0, 0, 8]) { return .idx }
    if isTar(head) {
      throw unsupported(
        file.name, "a compressed tar archive", "Unpack it and name the file or folder inside")
    }
    throw unsupported(file.name, "gzip data that is not IDX", "Unpack it")
  }

  private static func fitsIDX(_ head: [UInt8], _ size: Int) -> Bool {
    guard head.count >= 16, head[3] == 1 || head[3] == 3 else { return false }
    let rank = Int(head[3])
    guard let shape = try? IDXFile.shape(Array(head.prefix(4 + 4 * rank)), rank: rank, name: "")
    else { return false }
    // At most three 32-bit sizes: as Doubles they cannot overflow, and an exact fit is exact.
    return shape.reduce(1.0) { $0 * Double($1) } + Double(4 + 4 * rank) == Double(size)
  }

  private static func isTar(_ head: [UInt8]) -> Bool {
    head.count >= 262 && head[257..<262] == Array("ustar".utf8)[...]
  }

  private static func isSafetensors(_ head: [UInt8]) -> Bool {
    head.count > 9 && head[8] == UInt8(ascii: "{") && head[4..<8].allSatisfy { $0 == 0 }
  }

  private static func unsupported(
    _ file: String, _ found: String, _ advice: String
  ) -> ImageDataError {
    ImageDataError(
      .unsupported, file: file, found: found,
      expected: "an image folder, an image, IDX, CIFAR binary, .npy, .npz or .safetensors",
      advice: advice)
  }
}

/// Opens an image folder, a single image, an IDX or a CIFAR file.
/// - Parameters:
///   - hasLabels: whether labels are given elsewhere, so that none are looked for.
///   - allowEmptyClasses: whether class folders may hold no image.
/// - Throws: `unsupported` for arrays, which are opened as `ArrayImages`; otherwise as the sources.
public func openImageSource(
  _ path: String, hasLabels: Bool = false, allowEmptyClasses: Bool = false,
  limits: ImageLimits = ImageLimits()
) throws(ImageDataError) -> any ImageSource {
  let rawPath = RawPath(path)
  return switch try ImageDataFormat.detect(path) {
  case .folder: try ImageFolder(rawPath, allowEmptyClasses: allowEmptyClasses, limits: limits)
  case .image: ImageFile(path)
  case .idx: try IDXImages(rawPath, findLabels: !hasLabels, limits: limits)
  case .cifar: try CIFARImages(rawPath)
  case .array:
    throw ImageDataError(
      .unsupported, file: path, found: "an array file", expected: "image files",
      advice: "Read the array and wrap it as ArrayImages")
  }
}

extension ImageDataSet {
  /// Opens an image folder, a single image, an IDX or a CIFAR file.
  /// - Parameters:
  ///   - labels: a file of labels (`LabelTable`), which replaces what the data carry.
  ///   - allowEmptyClasses: whether class folders may hold no image.
  /// - Throws: as ``openImageSource(_:hasLabels:allowEmptyClasses:limits:)`` and `LabelTable`.
  public static func open(
    _ path: String, labels: String? = nil, allowEmptyClasses: Bool = false,
    limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) -> ImageDataSet {
    let source = try openImageSource(
      path, hasLabels: labels != nil, allowEmptyClasses: allowEmptyClasses, limits: limits)
    var table: LabelTable?
    if let labels { table = try LabelTable(reading: labels, for: source, limits: limits) }
    return try ImageDataSet(
      source, name: displayText(RawPath(path).name), labels: table, limits: limits)
  }
}
