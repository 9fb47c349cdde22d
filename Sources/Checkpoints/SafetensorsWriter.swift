import DurableFiles
import StrictJSON

/// Writes a safetensors file tensor by tensor, or several tensors side by side, without holding
/// any of them in memory.
///
/// All names, types and shapes are declared first; then bytes are appended to each tensor in as
/// many pieces as wanted and in any order among tensors. The file appears under its name only when
/// ``finish()`` succeeds.
public struct SafetensorsWriter: ~Copyable {
  /// A tensor to be written.
  public struct Declaration: Sendable, Equatable {
    /// The name; not empty, without NUL, not `__metadata__`.
    public let name: String
    /// The type of the elements.
    public let dtype: ElementType
    /// The extents, slowest axis first.
    public let shape: [Int]

    /// A tensor of that name, type and shape.
    public init(name: String, dtype: ElementType = .float32, shape: [Int]) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
    }
  }

  private var file: TensorFile
  private let declarations: [Declaration]
  private let ends: [Int]
  private var positions: [Int]

  /// Creates the file and writes its header, padded with spaces so that the data start at a
  /// multiple of 64 bytes.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be created, or for a declaration that no
  ///   reader would accept: a name twice, an impossible shape, a header over 100 MB.
  public init(
    creating path: String, tensors: [Declaration], metadata: [String: String] = [:]
  ) throws(CheckpointError) {
    try self.init(
      creating: path, tensors: tensors, metadata: metadata, calls: .system)
  }

  init(
    creating path: String, tensors: [Declaration], metadata: [String: String],
    calls: FileSystemCalls
  ) throws(CheckpointError) {
    let (header, starts, ends) = try Self.header(tensors, metadata, path: path)
    var file = try TensorFile(creating: path, calls: calls)
    try file.write(header, at: 0)
    self.file = file
    declarations = tensors
    positions = starts
    self.ends = ends
  }

  /// Appends little-endian, row-major bytes to the tensor at `index` of the declarations.
  ///
  /// - Throws: ``CheckpointError`` if they are more than was declared, or if writing fails.
  public mutating func append(
    _ bytes: UnsafeRawBufferPointer, to index: Int
  ) throws(CheckpointError) {
    guard bytes.count <= ends[index] - positions[index] else {
      throw CheckpointError(
        .cannotWrite, file: file.path, place: "tensor \"\(declarations[index].name)\"",
        found: "\(bytes.count) more bytes",
        expected: "at most the \(ends[index] - positions[index]) that are missing")
    }
    try file.write(bytes, at: positions[index])
    positions[index] += bytes.count
  }

  /// Appends values to the F32 tensor at `index` of the declarations.
  public mutating func append(
    _ values: UnsafeBufferPointer<Float>, to index: Int
  ) throws(CheckpointError) {
    precondition(declarations[index].dtype == .float32, "values of a tensor declared F32")
    try append(UnsafeRawBufferPointer(values), to: index)
  }

  /// Completes the file and gives it its name.
  ///
  /// - Throws: ``CheckpointError`` if a tensor lacks bytes or if the system fails; nothing is left
  ///   under the name then.
  public consuming func finish() throws(CheckpointError) {
    for index in declarations.indices where positions[index] != ends[index] {
      throw CheckpointError(
        .cannotWrite, file: file.path, place: "tensor \"\(declarations[index].name)\"",
        found: "\(ends[index] - positions[index]) bytes missing", expected: "all of them")
    }
    try file.commit()
  }

  private static func header(
    _ tensors: [Declaration], _ metadata: [String: String], path: String
  ) throws(CheckpointError) -> (header: [UInt8], starts: [Int], ends: [Int]) {
    var members: [JSONValue.Member] = []
    if !metadata.isEmpty {
      members.append(.init("__metadata__", .sorted(metadata.mapValues(JSONValue.string))))
    }
    var names: Set<String> = []
    var starts: [Int] = []
    var ends: [Int] = []
    var position = 0
    for tensor in tensors {
      let size = tensor.dtype.byteCount(shape: tensor.shape)
      guard let size, let end = checkedSum(position, size), !tensor.name.isEmpty,
        !tensor.name.utf8.contains(0), tensor.name != "__metadata__",
        tensor.shape.count <= SafetensorsReader.maximumRank,
        names.insert(tensor.name).inserted
      else {
        throw CheckpointError(
          .cannotCreate, file: path, place: "tensor \"\(tensor.name)\"",
          found: "\(tensor.dtype) of shape \(tensor.shape)",
          expected: "names that are distinct and possible, and shapes that fit 64 bits")
      }
      members.append(
        .init(
          tensor.name,
          [
            "dtype": .string(tensor.dtype.description),
            "shape": .array(tensor.shape.map(JSONValue.integer)),
            "data_offsets": [.integer(position), .integer(end)],
          ]))
      starts.append(position)
      ends.append(end)
      position = end
    }
    let text = JSONValue.object(members).compact
    let length = (text.utf8.count + 8 + 63) / 64 * 64 - 8
    guard length <= SafetensorsReader.maximumHeader,
      position <= Int.max - length - 8
    else {
      throw CheckpointError(
        .cannotCreate, file: path, found: "a header of \(length) bytes",
        expected: "at most \(SafetensorsReader.maximumHeader)")
    }
    var bytes: [UInt8] = []
    withUnsafeBytes(of: UInt64(length).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: text.utf8)
    bytes.append(contentsOf: repeatElement(0x20, count: length + 8 - bytes.count))
    return (bytes, starts.map { $0 + length + 8 }, ends.map { $0 + length + 8 })
  }
}
