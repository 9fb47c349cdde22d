import Checkpoints
import Reports
import StrictJSON

/// The file that features are captured to.
public enum FeatureFileFormat: String, Sendable, CaseIterable {
  /// A safetensors file.
  case safetensors
  /// NumPy arrays, uncompressed.
  case npz

  /// The name of the file.
  public var fileName: String { "features." + rawValue }
}

/// Writes a file of features layer by layer and minibatch by minibatch, holding nothing.
final class FeatureFileWriter {
  private var safetensors: SafetensorsWriter?
  private var archive: NumpyArchiveWriter?

  /// Creates the file.
  ///
  /// - Parameters:
  ///   - shapes: the shape of each layer, samples first, as it is stored.
  init(
    creating path: String, format: FeatureFileFormat, shapes: [(name: String, shape: [Int])],
    metadata: FeatureMetadata
  ) throws(CheckpointError) {
    switch format {
    case .safetensors:
      safetensors = try SafetensorsWriter(
        creating: path, tensors: shapes.map { .init(name: $0.name, shape: $0.shape) },
        metadata: metadata.entries)
    case .npz:
      var writer = try NumpyArchiveWriter(creating: path)
      for (name, shape) in shapes { try writer.begin(name, shape: shape) }
      let text = JSONValue.sorted(metadata.entries.mapValues(JSONValue.string)).compact
      let bytes = Array(text.utf8)
      let index = try writer.begin(
        FeatureMetadata.arrayName, dtype: .uint8, shape: [bytes.count])
      let result = bytes.withUnsafeBytes { bytes in
        Result { () throws(CheckpointError) in try writer.append(bytes, to: index) }
      }
      try result.get()
      archive = consume writer
    }
  }

  /// Appends the values of a minibatch to a layer.
  func append(_ values: UnsafeBufferPointer<Float>, to layer: Int) throws(CheckpointError) {
    try safetensors?.append(values, to: layer)
    try archive?.append(UnsafeRawBufferPointer(values), to: layer)
  }

  /// Completes the file and gives it its name.
  func finish() throws(CheckpointError) {
    if let writer = safetensors.take() { try writer.finish() }
    if let writer = archive.take() { try writer.finish() }
  }
}
