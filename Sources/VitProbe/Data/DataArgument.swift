import Checkpoints
import Images

/// Images as a user names them: where they lie, their labels, and which part of them.
public struct DataArgument: Sendable, Hashable {
  /// A folder, an IDX, CIFAR or array file, or an image; nil for the bundled images.
  public var path: String?
  /// A file of labels, where the data carry none.
  public var labels: String?
  /// The first so many images; nil for all.
  public var limit: Int?
  /// The seed of a random order; nil for the data's own.
  public var shuffleSeed: UInt64?

  /// Images at a path.
  public init(
    path: String?, labels: String? = nil, limit: Int? = nil, shuffleSeed: UInt64? = nil
  ) {
    self.path = path
    self.labels = labels
    self.limit = limit
    self.shuffleSeed = shuffleSeed
  }

  /// Opens the images.
  ///
  /// - Throws: ``VitProbeError`` for whatever is missing, damaged or not supported.
  public func open() throws -> ImageDataSet {
    try openWhole().subset(limit: limit, shuffleSeed: shuffleSeed)
  }

  /// Opens the images as the samples of a run.
  ///
  /// - Throws: as ``open()``.
  public func samples() throws -> SampleSet {
    SampleSet(try openWhole(), limit: limit, shuffleSeed: shuffleSeed)
  }

  private func openWhole() throws -> ImageDataSet {
    let path = try path ?? BundledData.images()
    if case .array = try ImageDataFormat.detect(path) { return try openArray(path) }
    return try ImageDataSet.open(path, labels: labels)
  }

  /// `.npy`, or one array of a `.npz` or `.safetensors`: `images`, `x`, or the only one of rank 3 or 4.
  private func openArray(_ path: String) throws -> ImageDataSet {
    let file = try Checkpoint.open(path)
    let candidates = file.tensors.filter { (3...4).contains($0.shape.count) }
    let named = ["images", "x", "data"].lazy.compactMap { name in
      candidates.first { $0.name == name }
    }.first
    guard let entry = named ?? (candidates.count == 1 ? candidates.first : nil) else {
      let found = file.tensors.prefix(5).map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
      throw VitProbeError(
        .badData,
        "\(path): no array of images (found \(found)); expected uint8 [N,H,W,3] or [N,H,W], "
          + "or float32 [N,3,H,W], as the only array of rank 3 or 4 or called \"images\"")
    }
    let element: ArrayImages.Element
    switch entry.dtype {
    case .uint8: element = .uint8
    case .float32: element = .float32
    default:
      throw VitProbeError(
        .badData,
        "\(path): images of type \(entry.dtype); expected uint8, or float32 already "
          + "normalised")
    }
    let carried = ["labels", "y", "targets"].lazy.compactMap { file[$0] }.first
    var numbers: [Int]?
    if let carried, labels == nil, carried.shape == [entry.shape[0]] {
      numbers = try carried.floats().enumerated().map { index, value in
        guard let label = Int(exactly: value) else {
          throw VitProbeError(
            .badData,
            "\(path): \"\(carried.name)\" has \(value) at \(index); expected a whole "
              + "number")
        }
        return label
      }
    }
    let rows = try TensorRows(entry)
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let source = try ArrayImages(
      name: name, shape: entry.shape, element: element, labels: numbers,
      inputFiles: file.files.map { InputFile(path: $0) }
    ) { range throws(ImageDataError) in
      do throws(CheckpointError) {
        return try rows.bytes(range)
      } catch {
        throw ImageDataError(error)
      }
    }
    let table = try labels.map { path throws(ImageDataError) in
      try LabelTable(reading: path, for: source)
    }
    return try ImageDataSet(source, name: name, labels: table)
  }
}

extension ImageDataError {
  /// Why the bytes of an array of images could not be had.
  init(_ error: CheckpointError) {
    let kind: Kind =
      switch error.kind {
      case .noSuchFile, .missing: .notFound
      case .unreadable, .cannotCreate, .cannotWrite: .unreadable
      case .unsupported: .unsupported
      case .limitExceeded: .tooLarge
      case .wrongKindOfFile, .malformed, .truncated: .damaged
      }
    func some(_ text: String) -> String? { text.isEmpty ? nil : text }
    self.init(
      kind, file: error.file, place: some(error.place), found: error.found,
      expected: some(error.expected), advice: some(error.advice))
  }
}
