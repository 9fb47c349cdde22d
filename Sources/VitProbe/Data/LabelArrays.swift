import Checkpoints
import Images

extension LabelTable {
  /// What arrays of labels are called, in the order they are looked for.
  static let names = ["labels", "y", "targets", "label", "target"]

  /// Labels from an array: `[N]`, `[N, 1]` or one-hot `[N, classes]`.
  ///
  /// - Throws: `CheckpointError` for an array that cannot be read, `ImageDataError` for one that is no
  ///   labels of `count` images.
  init(_ entry: TensorEntry, count: Int, inputFiles: [InputFile] = []) throws {
    try self.init(
      entry.floats(), shape: entry.shape, count: count, file: entry.file,
      place: "\"\(entry.name)\"", inputFiles: inputFiles)
  }

  /// Reads the labels of `source` from a file: an array of `.npy`, `.npz` or `.safetensors`, or what
  /// ``init(reading:for:limits:)`` takes.
  ///
  /// - Throws: as ``init(_:count:inputFiles:)`` and ``init(reading:for:limits:)``; ``VitProbeError``
  ///   `.badData` for several arrays of which none is called labels.
  init(opening path: String, for source: any ImageSource) throws {
    guard case .array? = try? ImageDataFormat.detect(path) else {
      try self.init(reading: path, for: source)
      return
    }
    let file = try Checkpoint.open(path)
    let named = Self.names.lazy.compactMap { file[$0] }.first
    guard let entry = named ?? (file.tensors.count == 1 ? file.tensors.first : nil) else {
      let found = file.tensors.prefix(5).map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
      throw VitProbeError(
        .badData,
        "\(path): no array of labels (found \(found)); expected one called \"labels\", or only one")
    }
    try self.init(
      entry, count: source.count, inputFiles: file.files.map { InputFile(path: $0) })
  }
}
