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
    /// What `torch.save` writes since PyTorch 1.6: a ZIP archive with a pickle.
    case torch
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

  private let places: [String: Int]

  init(
    path: String, format: Format, files: [String], metadata: [String: String] = [:],
    config: JSONValue? = nil, preprocessorConfig: JSONValue? = nil, tensors: [TensorEntry],
    torch: TorchContents? = nil
  ) {
    self.path = path
    self.format = format
    self.files = files
    self.metadata = metadata
    self.config = config
    self.preprocessorConfig = preprocessorConfig
    self.tensors = tensors
    self.torch = torch
    places = Dictionary(
      tensors.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { a, _ in a })
  }

  /// The tensor by that name.
  public subscript(name: String) -> TensorEntry? { places[name].map { tensors[$0] } }

  /// Opens a safetensors, `.npy`, `.npz` or `torch.save` file, or a Hugging Face folder.
  ///
  /// - Parameters:
  ///   - path: the file or folder.
  ///   - preferringEMA: take the averaged weights (`state_dict_ema`, `model_ema`) of a training
  ///     file that has them.
  /// - Throws: ``CheckpointError`` for whatever is missing, damaged, hostile or not supported.
  public static func open(
    _ path: String, preferringEMA: Bool = false
  ) throws(CheckpointError) -> Checkpoint {
    if HuggingFaceFolder.isFolder(path) {
      return try HuggingFaceFolder(path).open(preferringEMA: preferringEMA)
    }
    return try open(MappedFile(path: path), preferringEMA: preferringEMA)
  }

  /// Checks headers and ranges of a file or folder and reads no payload.
  ///
  /// - Throws: as ``open(_:preferringEMA:)``; if it returns, every tensor's bytes are there.
  public static func check(_ path: String) throws(CheckpointError) { _ = try open(path) }

  static func open(
    _ file: MappedFile, preferringEMA: Bool
  ) throws(CheckpointError) -> Checkpoint {
    switch try FileSignature(file) {
    case .safetensors:
      let reader = try SafetensorsReader(file)
      return Checkpoint(
        path: file.path, format: .safetensors, files: [file.path], metadata: reader.metadata,
        tensors: reader.tensors)
    case .npy:
      return Checkpoint(
        path: file.path, format: .npy, files: [file.path],
        tensors: [try NumpyArray.entry(in: file, name: stem(of: file.path))])
    case .zip:
      let archive = try ZipArchive(file)
      if TorchArchive.isTorch(archive) {
        let contents = try TorchArchive(archive).contents(preferringEMA: preferringEMA)
        return Checkpoint(
          path: file.path, format: .torch, files: [file.path], metadata: contents.metadata,
          tensors: contents.tensors, torch: contents.report)
      }
      return Checkpoint(
        path: file.path, format: .npz, files: [file.path],
        tensors: try NumpyArchive(archive).tensors)
    }
  }
}

/// The last part of a path without its extension.
func stem(of path: String) -> String {
  let name = path.split(separator: "/").last ?? ""
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return String(name) }
  return String(name[..<dot])
}
