import StrictJSON

/// Reads safetensors files by the rules of the format (huggingface/safetensors): a little-endian
/// length, a JSON header, then the bytes of all tensors without hole or overlap.
struct SafetensorsReader {
  /// The reference implementation's own bound on the header.
  static let maximumHeader = 100_000_000
  static let maximumRank = 64

  let metadata: [String: String]
  let tensors: [TensorEntry]
  /// Names that stand for other names.
  let notes: [String]

  /// Reads and checks the header; touches no payload.
  init(_ file: MappedFile) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    let path = file.path
    let bytes = file.bytes
    guard let declared = bytes.littleEndian(UInt64.self, at: 0) else {
      throw CheckpointError(
        .truncated, file: path, place: "byte 0", found: "a file of \(bytes.count) bytes",
        expected: "at least 8: a safetensors file starts with the length of its header",
        advice: "Copy or download it again")
    }
    guard declared <= UInt64(Self.maximumHeader) else {
      throw CheckpointError(
        .limitExceeded, file: path, place: "byte 0", found: "a header of \(declared) bytes",
        expected: "at most \(Self.maximumHeader)",
        advice: "Probably not a safetensors file; check its name")
    }
    let length = Int(declared)
    guard let header = bytes.part(at: 8, length: length) else {
      throw CheckpointError(
        .truncated, file: path, place: "byte 0", found: "a file of \(bytes.count) bytes",
        expected: "\(length + 8) bytes for its header alone", advice: "Copy or download it again")
    }
    guard header.first == UInt8(ascii: "{") else {
      throw CheckpointError(
        .malformed, file: path, place: "byte 8",
        found: header.isEmpty
          ? "an empty header" : "a header that starts with the byte 0x\(hex(header[0]))",
        expected: "\"{\"")
    }
    // Padding by spaces is allowed, by other bytes not.
    guard let last = header.last(where: { $0 != 0x20 }), last == UInt8(ascii: "}") else {
      throw CheckpointError(
        .malformed, file: path, place: "byte \(8 + length - 1)",
        found: "a header that does not end with \"}\" and spaces", expected: "\"}\"")
    }
    let json = try JSONValue.parse(header, file: path, offset: 8)
    guard let members = json.objectValue else {
      throw CheckpointError(
        .malformed, file: path, place: "byte 8", found: json.kindName, expected: "a JSON object")
    }
    var metadata: [String: String] = [:]
    var listed: [Listed] = []
    for member in members {
      if member.name == "__metadata__" {
        metadata = try Self.metadata(member.value, file: path)
      } else {
        listed.append(try Self.tensor(member.name, member.value, file: path))
      }
    }
    try Self.requireContiguous(listed, data: bytes.count - 8 - length, file: path)
    self.metadata = metadata
    // The header's own order may be any; the order of the bytes is the same for every reader.
    let stored = listed.map { tensor in
      TensorEntry(
        name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, file: path,
        storage: TensorStorage(origin: .file(file, offset: 8 + length + tensor.start)))
    }
    let aliases = Self.aliases(metadata, of: stored)
    tensors = stored + aliases
    notes =
      aliases.isEmpty
      ? []
      : [
        "tied tensors that the file holds once: "
          + aliases.prefix(8).map { "\($0.name) = \(metadata[$0.name] ?? "")" }
          .joined(separator: ", ")
      ]
  }

  /// Tensors under the names that `safetensors.torch.save_model` left out because they share the memory
  /// of another: it writes `"left out": "kept"` into the metadata. Names of modules have dots, or end
  /// alike; other metadata may happen to name a tensor.
  private static func aliases(
    _ metadata: [String: String], of tensors: [TensorEntry]
  ) -> [TensorEntry] {
    let places = Dictionary(
      tensors.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { a, _ in a })
    return metadata.sorted { $0.key < $1.key }.compactMap { name, kept in
      guard places[name] == nil, let place = places[kept],
        name.contains(".") || name.split(separator: ".").last == kept.split(separator: ".").last
      else { return nil }
      return tensors[place].named(name)
    }
  }

  private struct Listed {
    var name: String
    var dtype: ElementType
    var shape: [Int]
    var start: Int
    var end: Int
  }

  private static func metadata(
    _ value: JSONValue, file: String
  ) throws(CheckpointError) -> [String: String] {
    func failure(_ place: String, _ found: String, _ expected: String) -> CheckpointError {
      CheckpointError(.malformed, file: file, place: place, found: found, expected: expected)
    }
    guard let members = value.objectValue else {
      throw failure("__metadata__", value.kindName, "an object of strings")
    }
    var result: [String: String] = [:]
    for member in members {
      guard let text = member.value.stringValue else {
        throw failure("__metadata__ \"\(member.name)\"", member.value.kindName, "a string")
      }
      result[member.name] = text
    }
    return result
  }

  private static func tensor(
    _ name: String, _ value: JSONValue, file: String
  ) throws(CheckpointError) -> Listed {
    func failure(_ found: String, _ expected: String) -> CheckpointError {
      CheckpointError(
        .malformed, file: file, place: "tensor \"\(name)\"", found: found, expected: expected)
    }
    guard !name.utf8.contains(0) else {
      throw failure("a name with a NUL character", "a name without one")
    }
    guard let fields = value.objectValue else {
      throw failure(value.kindName, "an object with dtype, shape and data_offsets")
    }
    if let extra = fields.first(where: {
      !["dtype", "shape", "data_offsets"].contains($0.name)
    }) {
      throw failure("the field \"\(extra.name)\"", "dtype, shape and data_offsets alone")
    }
    guard let typeName = value["dtype"]?.stringValue else {
      throw failure("no dtype, or one that is not a string", "dtype as a string")
    }
    guard let dtype = ElementType(rawValue: typeName) else {
      throw failure("the unknown dtype \"\(typeName)\"", "one of F32, F16, BF16 and the like")
    }
    let shape = try integers(value["shape"], "shape", file: file, tensor: name)
    let offsets = try integers(value["data_offsets"], "data_offsets", file: file, tensor: name)
    guard shape.count <= maximumRank else {
      throw CheckpointError(
        .limitExceeded, file: file, place: "tensor \"\(name)\"", found: "\(shape.count) axes",
        expected: "at most \(maximumRank)")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw failure("data_offsets \(offsets)", "two positions, the first not after the second")
    }
    guard let size = dtype.byteCount(shape: shape) else {
      throw failure(
        "the shape \(shape) of \(dtype)", "a size in whole bytes that fits 64 bits")
    }
    guard size == offsets[1] - offsets[0] else {
      throw failure(
        "\(offsets[1] - offsets[0]) bytes for the shape \(shape) of \(dtype)", "\(size) bytes")
    }
    return Listed(name: name, dtype: dtype, shape: shape, start: offsets[0], end: offsets[1])
  }

  private static func integers(
    _ value: JSONValue?, _ field: String, file: String, tensor: String
  ) throws(CheckpointError) -> [Int] {
    guard let elements = value?.arrayValue else {
      throw CheckpointError(
        .malformed, file: file, place: "tensor \"\(tensor)\"",
        found: value.map { "\(field) is \($0.kindName)" } ?? "no \(field)",
        expected: "\(field) as a list of integers")
    }
    var result: [Int] = []
    for element in elements {
      guard let number = element.intValue, number >= 0 else {
        throw CheckpointError(
          .malformed, file: file, place: "tensor \"\(tensor)\"",
          found: "\(field) with \(element.intValue.map(String.init) ?? element.kindName)",
          expected: "integers from 0 to 2^63 - 1")
      }
      result.append(number)
    }
    return result
  }

  /// Holes and overlaps allow one file to mean two things, and one range to serve many tensors.
  private static func requireContiguous(
    _ tensors: [Listed], data: Int, file: String
  ) throws(CheckpointError) {
    var end = 0
    for tensor in tensors.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
      guard tensor.start == end else {
        throw CheckpointError(
          .malformed, file: file, place: "tensor \"\(tensor.name)\"",
          found: "data from byte \(tensor.start) of the payload on",
          expected: "byte \(end): tensors leave no hole and do not overlap")
      }
      end = tensor.end
    }
    guard end == data else {
      throw CheckpointError(
        end > data ? .truncated : .malformed, file: file, place: "payload",
        found: "\(data) bytes after the header", expected: "\(end), as the header says",
        advice: end > data ? "Copy or download it again" : "")
    }
  }
}

private func hex(_ byte: UInt8) -> String { String(byte, radix: 16) }
