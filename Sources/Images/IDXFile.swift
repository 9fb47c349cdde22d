/// The IDX format of the MNIST family: big-endian sizes, then unsigned bytes.
/// http://yann.lecun.com/exdb/mnist describes it.
struct IDXFile: Sendable {
  let store: RecordStore
  /// [N] for labels, [N, rows, columns] for images.
  let shape: [Int]
  var headerLength: Int { 4 + 4 * shape.count }

  /// Opens an IDX file of unsigned bytes with `rank` axes, gzip or plain.
  init(_ path: RawPath, rank: Int, limits: ImageLimits) throws(ImageDataError) {
    var shape: [Int] = []
    let name = path.display
    store = try RecordStore.open(path, limits: limits, headerLength: 4 + 4 * rank) {
      header throws(ImageDataError) in
      shape = try IDXFile.shape(header, rank: rank, name: name)
      var total = 1
      for size in shape {
        let (product, overflow) = total.multipliedReportingOverflow(by: size)
        guard !overflow, product < 1 << 48 else {
          throw ImageDataError(
            .damaged, file: name, place: "the sizes at byte 4", found: "\(shape)",
            expected: "sizes of an existing file")
        }
        total = product
      }
      return total + 4 + 4 * rank
    }
    self.shape = shape
  }

  /// The sizes in a header.
  static func shape(
    _ header: [UInt8], rank: Int, name: String
  ) throws(ImageDataError) -> [Int] {
    let kind = rank == 1 ? "labels" : "images"
    guard header.count == 4 + 4 * rank || header.count >= 4 else {
      throw ImageDataError(
        .damaged, file: name, found: "\(header.count) bytes", expected: "an IDX header")
    }
    let magic: [UInt8] = [0, 0, 8, UInt8(clamping: rank)]
    guard header.starts(with: magic) else {
      let found = header.prefix(4).map { String($0) }.joined(separator: " ")
      let isOther = header.starts(with: [0, 0, 8]) && (header[3] == 1 || header[3] == 3)
      throw ImageDataError(
        isOther ? .mismatch : .damaged, file: name, place: "byte 0",
        found: isOther ? "IDX \(rank == 1 ? "images" : "labels")" : "magic bytes \(found)",
        expected: "0 0 8 \(rank), IDX \(kind) of unsigned bytes")
    }
    guard header.count == 4 + 4 * rank else {
      throw ImageDataError(
        .damaged, file: name, found: "\(header.count) bytes",
        expected: "an IDX header of \(4 + 4 * rank) bytes")
    }
    return (1...rank).map { axis in
      header[(4 * axis)..<(4 * axis + 4)].reduce(0) { $0 << 8 | Int($1) }
    }
  }
}

/// Grey images of an IDX file, as MNIST, Fashion-MNIST and EMNIST come; `.gz` too.
///
/// Labels are taken from the file beside it whose name has `labels` for `images` and `idx1` for
/// `idx3`, if there is one.
struct IDXImages: ImageSource {
  let count: Int
  let classNames: [String] = []
  let notes: [String] = []

  private let images: IDXFile
  private let labels: [UInt8]?
  private let stem: String
  private let inputs: [InputFile]

  /// Opens the images at `path` and the labels beside them.
  ///
  /// - Throws: `notFound`, `unreadable`, `damaged`; `mismatch` if the counts differ.
  init(
    _ path: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    try self.init(RawPath(path), findLabels: true, limits: limits)
  }

  init(_ path: RawPath, findLabels: Bool, limits: ImageLimits) throws(ImageDataError) {
    images = try IDXFile(path, rank: 3, limits: limits)
    let (count, height, width) = (images.shape[0], images.shape[1], images.shape[2])
    guard count > 0, height > 0, width > 0 else {
      throw ImageDataError(
        .damaged, file: path.display, place: "the sizes at byte 4", found: "\(images.shape)",
        expected: "at least one image of at least one pixel")
    }
    guard height * width <= limits.pixels else {
      throw ImageDataError(
        .tooLarge, file: path.display, found: "images of \(width) x \(height) pixels",
        expected: "at most \(limits.pixels) pixels")
    }
    self.count = count
    stem = displayText(IDXImages.withoutGzip(path.name))
    var inputs = [InputFile(path)]
    var labels: [UInt8]?
    if findLabels, let beside = IDXImages.labelsPath(beside: path) {
      let found = try IDXImages.readLabels(beside, limits: limits)
      guard found.count == count else {
        throw ImageDataError(
          .mismatch, file: beside.display, found: "\(found.count) labels",
          expected: "\(count), one for each image of \(path.display)")
      }
      labels = found
      inputs.append(InputFile(beside))
    }
    self.labels = labels
    self.inputs = inputs
  }

  func id(_ index: Int) -> String { "\(stem)#\(index)" }

  func label(_ index: Int) -> Int? { labels.map { Int($0[index]) } }

  func decode(_ index: Int, limits: ImageLimits) throws(ImageDataError) -> DecodedImage {
    let (height, width) = (images.shape[1], images.shape[2])
    let offset = images.headerLength + index * height * width
    let bytes = try images.store.bytes(at: offset, exactly: height * width)
    return DecodedImage(width: width, height: height, channels: 1, pixels: .bytes(bytes))
  }

  func inputFiles(of indices: [Int]) -> [InputFile] { inputs }

  static func readLabels(_ path: RawPath, limits: ImageLimits) throws(ImageDataError) -> [UInt8] {
    let file = try IDXFile(path, rank: 1, limits: limits)
    return try file.store.bytes(at: file.headerLength, exactly: file.shape[0])
  }

  private static func withoutGzip(_ name: [UInt8]) -> [UInt8] {
    name.suffix(3) == Array(".gz".utf8)[...] ? name.dropLast(3) : name
  }

  private static func labelsPath(beside path: RawPath) -> RawPath? {
    let stem = withoutGzip(path.name)
    let renamed = replacing(
      "idx3", by: "idx1", in: replacing("images", by: "labels", in: stem))
    guard renamed != stem else { return nil }
    let plain = path.parent.appending(renamed)
    let packed = RawPath(bytes: plain.bytes + Array(".gz".utf8))
    let candidates = stem.count == path.name.count ? [plain, packed] : [packed, plain]
    return candidates.first { FileIdentity($0) != nil }
  }

  /// The last occurrence only: the word before it may be the name of the data set.
  private static func replacing(_ word: String, by other: String, in text: [UInt8]) -> [UInt8] {
    let word = Array(word.utf8)
    guard text.count >= word.count else { return text }
    for start in (0...(text.count - word.count)).reversed()
    where text[start...].starts(with: word) {
      return text[..<start] + Array(other.utf8) + text[(start + word.count)...]
    }
    return text
  }
}
