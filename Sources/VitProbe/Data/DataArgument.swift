import Checkpoints
import Images

/// Images as a user names them: where they lie, their labels, and which part of them.
public struct DataArgument: Sendable, Hashable {
  /// A folder, an IDX, CIFAR or array file, or an image; nil for the bundled images.
  public var path: String?
  /// A file of labels, where the data carry none.
  public var labels: String?
  /// A file that says which output of a head a class is; see ``ClassIndex``.
  public var classIndex: String?
  /// Whether outputs are the classes in the order of their names, by the user's word.
  public var labelsAreSorted = false
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
    let images = try openWhole()
    return SampleSet(
      images, limit: limit, shuffleSeed: shuffleSeed, naming: try naming(of: images))
  }

  /// What the classes of the images are called, and what the user says of them.
  ///
  /// - Throws: as ``ClassIndex``.
  func naming(of images: ImageDataSet) throws -> ClassNaming {
    var naming = ClassNaming(of: images)
    naming.index = try classIndex.map { try ClassIndex(reading: $0) }
    naming.isSorted = labelsAreSorted
    return naming
  }

  private func openWhole() throws -> ImageDataSet {
    let path = try path ?? BundledData.images()
    if case .array = try ImageDataFormat.detect(path) { return try openArray(path) }
    let source = try openImageSource(path, hasLabels: labels != nil)
    return try ImageDataSet(
      source, name: lastComponent(path),
      labels: try labels.map { try LabelTable(opening: $0, for: source) })
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
    let name = lastComponent(path)
    let rows = try ImageRows(entry, name: name)
    let source = try ArrayImages(
      name: name, shape: entry.shape, element: rows.element,
      inputFiles: file.files.map { InputFile(path: $0) }
    ) { range throws(ImageDataError) in try rows.bytes(range) }
    let table: LabelTable?
    if let labels {
      table = try LabelTable(opening: labels, for: source)
    } else if let carried = LabelTable.names.lazy.filter({ $0 != entry.name })
      .compactMap({ file[$0] }).first
    {
      table = try LabelTable(carried, count: source.count)
    } else {
      table = nil
    }
    return try ImageDataSet(
      source, name: name, labels: table,
      notes: [rows.note, source.rangeNote()].compactMap(\.self))
  }
}

/// The images of an array of any type of number: 8-bit samples, or values that are normalised already.
private struct ImageRows: Sendable {
  let element: ArrayImages.Element
  private let name: String
  private let rows: TensorRows

  /// - Throws: ``VitProbeError`` `.badData` for a type that is no number.
  init(_ entry: TensorEntry, name: String) throws {
    switch entry.dtype {
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: element = .uint8
    case .float16, .bfloat16, .float32, .float64: element = .float32
    default:
      throw VitProbeError(
        .badData,
        "\(entry.file): images of type \(entry.dtype); expected uint8, or floats already normalised"
      )
    }
    self.name = name
    rows = try TensorRows(entry)
  }

  /// What the conversion of other types is, in a sentence.
  var note: String? {
    switch rows.entry.dtype {
    case .uint8, .float32: nil
    case .float16, .bfloat16, .float64:
      "\(name): images of type \(rows.entry.dtype) are read as 32-bit floats, already normalised"
    default: "\(name): images of type \(rows.entry.dtype) are read as 8-bit samples of 0...255"
    }
  }

  /// The bytes of one image as ``element``.
  func bytes(_ range: Range<Int>) throws(ImageDataError) -> [UInt8] {
    do throws(CheckpointError) {
      if rows.entry.dtype == .uint8 || rows.entry.dtype == .float32 { return try rows.bytes(range) }
      var values = [Float](repeating: 0, count: rows.valuesPerRow)
      let row = range.lowerBound / range.count
      var failure: CheckpointError?
      values.withUnsafeMutableBufferPointer { buffer in
        do throws(CheckpointError) {
          try rows.copyFloats([row], into: buffer)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      if element == .float32 { return values.withUnsafeBytes { Array($0) } }
      guard let wrong = values.first(where: { UInt8(exactly: $0) == nil }) else {
        return values.map { UInt8($0) }
      }
      throw CheckpointError(
        .malformed, file: name, place: "image \(row)", found: "\(wrong) as \(rows.entry.dtype)",
        expected: "samples of 0...255",
        advice: "Give 8-bit samples, or floats that are normalised already")
    } catch {
      throw ImageDataError(error)
    }
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
