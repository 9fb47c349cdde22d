import StrictJSON

/// A file or folder of named tensors: weights of a model, or features.
///
/// Opening reads and checks headers and ranges only; bytes are fetched tensor by tensor. Files are
/// told apart by their content, not by their name.
///
/// ```swift
/// let checkpoint = try Checkpoint.open("deit_tiny.pth")
/// for tensor in checkpoint.tensors { print(tensor.name, tensor.dtype, tensor.shape) }
/// let weights = try checkpoint.tensors[0].floats()
/// ```
public struct Checkpoint: Sendable {
  /// How the tensors are stored.
  public enum Format: String, Sendable, CaseIterable {
    /// A safetensors file, or several with an index.
    case safetensors
    /// One NumPy array.
    case npy
    /// NumPy arrays in a ZIP archive.
    case npz
    /// What `torch.save` writes: a ZIP archive with a pickle, or the stream of before PyTorch 1.6.
    case torch
    /// NumPy arrays in a dictionary in a Python pickle.
    case pickle
    /// What `torch.export.save` writes (`.pt2`): a ZIP archive with a graph, and each weight a member.
    case exported = "pt2"
    /// An ONNX model: a graph in Protocol Buffers, with its weights or with files of weights beside it.
    case onnx
  }

  /// The path that was opened.
  public let path: String
  /// How the tensors are stored.
  public let format: Format
  /// Every file that tensors or settings came from.
  public let files: [String]
  /// Text beside the tensors: `__metadata__` of safetensors; numbers and strings of a training file
  /// (`epoch`, `arch`, `args.model`).
  public let metadata: [String: String]
  /// `config.json` of a Hugging Face folder.
  public let config: JSONValue?
  /// `preprocessor_config.json` of a Hugging Face folder.
  public let preprocessorConfig: JSONValue?
  /// The tensors, in the order of the file.
  public let tensors: [TensorEntry]
  /// For files of `torch.save`: where the tensors were, and what was left aside.
  public let torch: TorchContents?
  /// For files of `torch.export.save` and ONNX models: the graph.
  public let program: ExportedProgram?
  /// What a reader of the results should know: bytes that were passed over, names that stand for other
  /// names.
  public let notes: [String]

  private let places: [String: Int]

  init(
    path: String, format: Format, files: [String], metadata: [String: String] = [:],
    config: JSONValue? = nil, preprocessorConfig: JSONValue? = nil, tensors: [TensorEntry],
    torch: TorchContents? = nil, program: ExportedProgram? = nil, notes: [String] = []
  ) {
    self.path = path
    self.format = format
    self.files = files
    self.metadata = metadata
    self.config = config
    self.preprocessorConfig = preprocessorConfig
    self.tensors = tensors
    self.torch = torch
    self.program = program
    self.notes = notes
    places = Dictionary(
      tensors.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { a, _ in a })
  }

  /// The tensor by that name.
  public subscript(name: String) -> TensorEntry? { places[name].map { tensors[$0] } }

  /// Opens a safetensors, `.npy`, `.npz`, `torch.save`, `torch.export.save`, ONNX or pickle file, or a Hugging
  /// Face folder.
  ///
  /// - Parameters:
  ///   - path: the file or folder.
  ///   - entry: which dictionary of tensors of a training file is taken.
  /// - Throws: ``CheckpointError`` for whatever is missing, damaged, hostile or not supported.
  public static func open(
    _ path: String, entry: CheckpointEntry = .automatic
  ) throws(CheckpointError) -> Checkpoint {
    if HuggingFaceFolder.isFolder(path) {
      return try HuggingFaceFolder(path).open(entry)
    }
    return try HuggingFaceFolder.addingSettings(to: open(MappedFile(path: path), entry))
  }

  /// Checks headers and ranges of a file or folder and reads no payload.
  ///
  /// - Throws: as ``open(_:entry:)``; if it returns, every tensor's bytes are there.
  public static func check(_ path: String) throws(CheckpointError) { _ = try open(path) }

  static func open(
    _ file: MappedFile, _ entry: CheckpointEntry
  ) throws(CheckpointError) -> Checkpoint {
    let signature = try FileSignature(file)
    let checkpoint: Checkpoint
    switch signature {
    case .safetensors:
      let reader = try SafetensorsReader(file)
      checkpoint = Checkpoint(
        path: file.path, format: .safetensors, files: [file.path], metadata: reader.metadata,
        tensors: reader.tensors, notes: reader.notes)
    case .npy:
      checkpoint = Checkpoint(
        path: file.path, format: .npy, files: [file.path],
        tensors: [try NumpyArray.entry(in: file, name: stem(of: file.path))])
    case .zip:
      let archive = try ZipArchive(file)
      if ExportedArchive.isExported(archive) {
        let contents = try ExportedArchive(archive).contents()
        checkpoint = Checkpoint(
          path: file.path, format: .exported, files: [file.path], tensors: contents.tensors,
          program: contents.program, notes: trailingNote(archive.trailing))
      } else if TorchArchive.isTorch(archive) {
        checkpoint = Checkpoint(
          file, .torch, try TorchArchive(archive).contents(entry), trailing: archive.trailing)
      } else {
        checkpoint = Checkpoint(
          path: file.path, format: .npz, files: [file.path],
          tensors: try NumpyArchive(archive).tensors, notes: trailingNote(archive.trailing))
      }
    case .onnx:
      let contents = try ONNXGraphReader.contents(file)
      checkpoint = Checkpoint(
        path: file.path, format: .onnx, files: contents.files, tensors: contents.tensors,
        program: contents.program, notes: contents.notes)
    case .torchStream:
      let stream = try TorchStream(file)
      checkpoint = Checkpoint(
        file, .torch, try stream.contents(entry), trailing: stream.trailing)
    case .pickle:
      let contents = try withExtendedLifetime(file) { () throws(CheckpointError) in
        var reader = PickleReader(file.bytes, file: file.path, place: "pickle")
        let graph = try reader.read(isWhole: false)
        let state = TorchStateDict(graph: graph, storages: TorchStorages(none: file.path))
        return (try state.contents(entry), trailing: file.count - reader.end)
      }
      checkpoint = Checkpoint(file, .pickle, contents.0, trailing: contents.trailing)
    }
    if entry != .automatic, checkpoint.torch == nil {
      throw CheckpointError(
        .missing, file: file.path, found: "a file of one set of tensors",
        expected: "a training file with several entries", advice: "Leave the entry out")
    }
    return checkpoint
  }

  private init(
    _ file: MappedFile, _ format: Format, _ contents: TorchStateDict.Contents, trailing: Int
  ) {
    self.init(
      path: file.path, format: format, files: [file.path], metadata: contents.metadata,
      tensors: contents.tensors, torch: contents.report,
      notes: Self.trailingNote(trailing) + contents.report.notes)
  }

  private static func trailingNote(_ count: Int) -> [String] {
    count > 0 ? ["the file has \(count) bytes after its end, which were passed over"] : []
  }
}

/// The last part of a path without its extension.
func stem(of path: String) -> String {
  let name = path.split(separator: "/").last ?? ""
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return String(name) }
  return String(name[..<dot])
}
