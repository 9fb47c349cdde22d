import Checkpoints
import Glibc

/// A checkpoint written again as safetensors or `.npz`: the same names, types and values, in file order.
public struct Conversion: Sendable {
  private enum Format {
    case safetensors, npz
  }

  private let checkpoint: Checkpoint

  /// Opens what is to be converted.
  ///
  /// - Parameter entry: which dictionary of tensors of a training file.
  public init(_ path: String, entry: CheckpointEntry = .automatic) throws {
    checkpoint = try Checkpoint.open(path, entry: entry)
  }

  /// What to know of the result: entries and bytes of the file that are not in it.
  ///
  /// - Parameter path: the file to write.
  public func notes(writing path: String) -> [String] {
    var notes = checkpoint.notes
    if path.hasSuffix(".npz"), !checkpoint.metadata.isEmpty {
      notes.append(
        ".npz has no place for metadata; left out: "
          + checkpoint.metadata.keys.sorted().prefix(12).joined(separator: ", "))
    }
    return notes
  }

  /// Writes the file; it appears whole or not at all. The ending of its name says the format.
  ///
  /// - Returns: how many tensors it holds.
  /// - Throws: ``VitProbeError`` `.usage` for another ending than `.safetensors` and `.npz`,
  ///   `.cannotCreate` if there is a file and it is not to be replaced.
  public func write(to path: String, replacing: Bool) throws -> Int {
    let format = try Self.format(of: path)
    if !replacing, access(path, F_OK) == 0 {
      throw VitProbeError(
        .cannotCreate, "\(path): there is a file of that name; `force` replaces it")
    }
    if checkpoint.files.contains(path) {
      throw VitProbeError(.usage, "\(path): a file cannot be converted into itself")
    }
    switch format {
    case .safetensors: try writeSafetensors(to: path)
    case .npz: try writeArchive(to: path)
    }
    return checkpoint.tensors.count
  }

  private static func format(of path: String) throws(VitProbeError) -> Format {
    if path.hasSuffix(".safetensors") { return .safetensors }
    if path.hasSuffix(".npz") { return .npz }
    throw VitProbeError(
      .usage, "\(path): convert writes files that end in .safetensors or .npz")
  }

  private func writeSafetensors(to path: String) throws {
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: checkpoint.tensors.map {
        .init(name: $0.name, dtype: $0.dtype, shape: $0.shape)
      }, metadata: checkpoint.metadata)
    for (index, tensor) in checkpoint.tensors.enumerated() {
      let payload = try tensor.payload()
      try writer.append(payload.bytes, to: index)
      withExtendedLifetime(payload.owner) {}
    }
    try writer.finish()
  }

  private func writeArchive(to path: String) throws {
    var writer = try NumpyArchiveWriter(creating: path)
    for tensor in checkpoint.tensors {
      try writer.begin(tensor.name, dtype: tensor.dtype, shape: tensor.shape)
      let payload = try tensor.payload()
      try writer.append(payload.bytes)
      withExtendedLifetime(payload.owner) {}
    }
    try writer.finish()
  }
}
