import Checkpoints
import Glibc

/// A checkpoint written again as safetensors: the same names, types and values, in file order.
public struct Conversion: Sendable {
  private let checkpoint: Checkpoint

  /// Opens what is to be converted.
  public init(_ path: String, preferringEMA: Bool = false) throws {
    checkpoint = try Checkpoint.open(path, preferringEMA: preferringEMA)
  }

  /// Writes the file; it appears whole or not at all.
  ///
  /// - Returns: how many tensors it holds.
  /// - Throws: ``VitProbeError`` `.cannotCreate` if there is a file and it is not to be replaced.
  public func write(to path: String, replacing: Bool) throws -> Int {
    if !replacing, access(path, F_OK) == 0 {
      throw VitProbeError(
        .cannotCreate, "\(path): there is a file of that name; --force replaces it")
    }
    if checkpoint.files.contains(path) {
      throw VitProbeError(.usage, "\(path): a file cannot be converted into itself")
    }
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
    return checkpoint.tensors.count
  }
}
