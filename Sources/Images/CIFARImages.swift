/// The binary version of CIFAR-10 (records of 1 + 3072 bytes) and CIFAR-100 (2 + 3072: coarse, fine):
/// 32 x 32 RGB in planes. https://www.cs.toronto.edu/~kriz/cifar.html describes it.
struct CIFARImages: ImageSource {
  /// Which of the two.
  enum Variant: Sendable, Hashable {
    /// Ten classes.
    case ten
    /// A hundred classes (the fine labels are used) in twenty groups.
    case hundred

    var recordLength: Int { self == .ten ? 3073 : 3074 }
    /// The number of values each label byte can have.
    var labelCounts: [Int] { self == .ten ? [10] : [20, 100] }
    var name: String { self == .ten ? "CIFAR-10" : "CIFAR-100" }
  }

  /// Which of the two the file is.
  let variant: Variant
  let count: Int
  let classNames: [String]
  let notes: [String] = []

  private let file: DataFile
  private let labels: [UInt8]
  private let stem: String
  private let inputs: [InputFile]

  /// Opens the file at `path`; which variant it is follows from its size and its labels.
  ///
  /// - Throws: `notFound`, `unreadable`; `damaged` if the file is neither.
  init(
    _ path: String
  ) throws(ImageDataError) {
    try self.init(RawPath(path))
  }

  init(_ path: RawPath) throws(ImageDataError) {
    file = try DataFile(path, name: path.display)
    let size = file.size
    let candidates = [Variant.ten, .hundred].filter { size > 0 && size % $0.recordLength == 0 }
    guard !candidates.isEmpty else {
      throw ImageDataError(
        .damaged, file: file.name, found: "\(size) bytes",
        expected: "a multiple of 3073 (CIFAR-10) or 3074 (CIFAR-100)",
        advice: "The file is cut, or not the binary version of CIFAR")
    }
    // A size that suits both is decided by the labels; when those suit both too, by CIFAR-10.
    var result: (variant: Variant, labels: [UInt8])?
    var failure: ImageDataError?
    for variant in candidates where result == nil {
      do throws(ImageDataError) {
        result = (variant, try CIFARImages.labels(file, variant))
      } catch {
        failure = failure ?? error
      }
    }
    guard let result else {
      throw failure ?? ImageDataError(.damaged, file: file.name, found: "no labels")
    }
    variant = result.variant
    labels = result.labels
    count = labels.count
    stem = displayText(path.name)
    let namesFile = path.parent.appending(
      Array((variant == .ten ? "batches.meta.txt" : "fine_label_names.txt").utf8))
    let names = CIFARImages.names(namesFile)
    classNames = names.count == variant.labelCounts.last ? names : []
    inputs = [InputFile(path)]
  }

  func id(_ index: Int) -> String { "\(stem)#\(index)" }

  func label(_ index: Int) -> Int? { Int(labels[index]) }

  func decode(_ index: Int, limits: ImageLimits) throws(ImageDataError) -> DecodedImage {
    let length = variant.recordLength
    let record = try file.bytes(at: index * length, exactly: length)
    let pixels = record.withUnsafeBufferPointer { record in
      [UInt8](unsafeUninitializedCapacity: 3072) { target, filled in
        let first = length - 3072
        for i in 0..<1024 {
          target[3 * i] = record[first + i]
          target[3 * i + 1] = record[first + 1024 + i]
          target[3 * i + 2] = record[first + 2048 + i]
        }
        filled = 3072
      }
    }
    return DecodedImage(width: 32, height: 32, channels: 3, pixels: .bytes(pixels))
  }

  func inputFiles(of indices: [Int]) -> [InputFile] { inputs }

  /// The labels of all records, each byte checked against its range.
  private static func labels(
    _ file: DataFile, _ variant: Variant
  ) throws(ImageDataError) -> [UInt8] {
    let length = variant.recordLength
    let labelBytes = variant.labelCounts.count
    let count = file.size / length
    var labels: [UInt8] = []
    labels.reserveCapacity(count)
    let chunk = 256
    for first in stride(from: 0, to: count, by: chunk) {
      let records = min(chunk, count - first)
      let bytes = try file.bytes(at: first * length, exactly: records * length)
      for r in 0..<records {
        for (i, limit) in variant.labelCounts.enumerated()
        where Int(bytes[r * length + i]) >= limit {
          throw ImageDataError(
            .damaged, file: file.name,
            place: "record \(first + r), byte \((first + r) * length + i)",
            found: "label \(bytes[r * length + i])",
            expected: "\(variant.name) labels of 0 to \(limit - 1)",
            advice: "The file is damaged, or not the binary version of CIFAR")
        }
        labels.append(bytes[r * length + labelBytes - 1])
      }
    }
    return labels
  }

  /// The lines of the file of class names, if it is there.
  private static func names(_ path: RawPath) -> [String] {
    guard let file = try? DataFile(path, name: path.display), file.size <= 1 << 16,
      let bytes = try? file.bytes(at: 0, exactly: file.size),
      let text = String(validating: bytes, as: UTF8.self)
    else { return [] }
    return text.split(whereSeparator: \.isNewline).map(String.init)
  }
}
