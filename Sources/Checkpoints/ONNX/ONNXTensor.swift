/// One `TensorProto`: a name, a type, extents, and where the values lie: in the file, as they are in memory or as
/// numbers of a field, or in a file beside it.
///
/// What lies as it is in memory stays where it is; the rest is put into memory.
struct ONNXTensor {
  private let file: MappedFile
  /// Files beside the model, by name: opened once.
  private let neighbours: ONNXNeighbours

  private(set) var name = ""
  private var type = 0
  private var dims: [Int] = []
  private var raw: UnsafeRawBufferPointer?
  private var singles: [UnsafeRawBufferPointer] = []
  private var doubles: [UnsafeRawBufferPointer] = []
  private var integers: [Int] = []
  private var external: [String: String] = [:]
  private var isExternal = false
  /// Pairs that tell of a tensor, such as what it was in PyTorch.
  private(set) var metadata: [String: String] = [:]

  init(_ field: ProtobufField, _ neighbours: ONNXNeighbours) throws(CheckpointError) {
    (file, self.neighbours) = (field.file, neighbours)
    var reader = try field.reader("TensorProto")
    while let field = try reader.next() {
      switch field.number {
      case 1: try field.appendIntegers(to: &dims)
      case 2: type = try field.integer()
      case 4:
        switch field.value {
        case .bytes(let bytes), .four(let bytes): singles.append(bytes)
        default: throw field.wrong("numbers of 32 bits")
        }
      case 5, 7, 11: try field.appendIntegers(to: &integers)
      case 8: name = try field.text()
      case 9: raw = try field.bytes()
      case 10:
        switch field.value {
        case .bytes(let bytes), .eight(let bytes): doubles.append(bytes)
        default: throw field.wrong("numbers of 64 bits")
        }
      case 12, 15: _ = try field.bytes()
      case 13:
        let pair = try ONNXGraphReader.pair(field)
        external[pair.key] = pair.value
      case 14: isExternal = try field.integer() == 1
      case 16:
        let pair = try ONNXGraphReader.pair(field)
        metadata[pair.key] = pair.value
      default: throw field.unknown
      }
    }
  }

  /// The tensor by a name.
  func entry(named name: String) throws(CheckpointError) -> TensorEntry {
    guard let dtype = ElementType(onnxCode: type) else {
      throw CheckpointError(
        .unsupported, file: file.path, place: place, found: "elements of type \(type)",
        expected: "numbers of 8 bits or more",
        advice: "Export the model before it is quantised")
    }
    guard dims.count <= StridedView.maximumRank, let size = dtype.byteCount(shape: dims) else {
      throw failure(
        "extents \(dims.prefix(StridedView.maximumRank + 1))",
        "at most \(StridedView.maximumRank), of a size that fits 64 bits")
    }
    return TensorEntry(
      name: name, dtype: dtype, shape: dims, file: file.path,
      storage: TensorStorage(origin: try origin(dtype, size)))
  }

  private var place: String { "tensor \"\(name)\"" }

  private func failure(_ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: file.path, place: place, found: found, expected: expected,
      advice: "Copy or download the file again")
  }

  // MARK: Values

  private func origin(
    _ dtype: ElementType, _ size: Int
  ) throws(CheckpointError) -> TensorStorage.Origin {
    let kinds = [raw != nil, !singles.isEmpty, !doubles.isEmpty, !integers.isEmpty, isExternal]
    guard kinds.count(where: \.self) <= 1 else {
      throw failure("values at several places", "one")
    }
    if isExternal {
      return try neighbours.origin(external, size: size, place: place)
    }
    if let raw { return try stored([raw], size) }
    if !singles.isEmpty, dtype == .float32 { return try stored(singles, size) }
    if !doubles.isEmpty, dtype == .float64 { return try stored(doubles, size) }
    guard singles.isEmpty, doubles.isEmpty else {
      throw failure("values of another type than \(dtype)", "those of the type that is told")
    }
    return try numbers(dtype, size)
  }

  /// Bytes as they lie: one stretch where it is, several in memory.
  private func stored(
    _ parts: [UnsafeRawBufferPointer], _ size: Int
  ) throws(CheckpointError) -> TensorStorage.Origin {
    let count = parts.reduce(0) { $0 + $1.count }
    guard count == size else { throw failure("\(count) bytes of values", "\(size)") }
    if parts.count == 1 { return .file(file, offset: file.offset(of: parts[0])) }
    let memory = try OwnedBytes(count: size, file: file.path)
    var place = 0
    for part in parts {
      UnsafeMutableRawBufferPointer(rebasing: memory.bytes[place..<place + part.count])
        .copyMemory(from: part)
      place += part.count
    }
    return .memory(PayloadView(memory))
  }

  /// Numbers of a field as elements of the type, halves by their bits.
  private func numbers(
    _ dtype: ElementType, _ size: Int
  ) throws(CheckpointError) -> TensorStorage.Origin {
    let width = dtype.bits / 8
    guard integers.count * width == size else {
      throw failure("\(integers.count) values", "\(size / max(1, width))")
    }
    let isWhole = ![.float32, .float64, .complex64].contains(dtype)
    guard isWhole || integers.isEmpty else {
      throw failure("whole numbers as \(dtype)", "values of the type that is told")
    }
    return .memory(try Self.memory(integers, width: width, file: file.path))
  }

  /// The lowest bytes of numbers, in order.
  static func memory(
    _ integers: [Int], width: Int, file: String
  ) throws(CheckpointError) -> PayloadView {
    let memory = try OwnedBytes(count: integers.count * width, file: file)
    for (index, value) in integers.enumerated() {
      withUnsafeBytes(of: value.littleEndian) { bytes in
        for byte in 0..<width { memory.bytes[index * width + byte] = bytes[byte] }
      }
    }
    return PayloadView(memory)
  }
}

/// Files of values beside a model, in its folder.
final class ONNXNeighbours {
  private let model: String
  private let folder: String
  private var files: [String: MappedFile] = [:]

  init(of model: String) {
    self.model = model
    folder = model.lastIndex(of: "/").map { String(model[...$0]) } ?? ""
  }

  /// Paths of the files that were opened, in order.
  var paths: [String] { files.values.map(\.path).sorted() }

  /// Where values lie that are said to be elsewhere.
  func origin(
    _ said: [String: String], size: Int, place: String
  ) throws(CheckpointError) -> TensorStorage.Origin {
    for key in said.keys.sorted()
    where !["location", "offset", "length", "checksum", "basepath"].contains(key) {
      throw CheckpointError(
        .unsupported, file: model, place: place, found: "external data with \"\(key)\"")
    }
    let name = said["location"] ?? ""
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.isEmpty, !name.utf8.contains(0), !name.contains("\\"), said["basepath"] == nil,
      parts.allSatisfy({ !$0.isEmpty && $0 != ".." && $0 != "." })
    else {
      throw CheckpointError(
        .malformed, file: model, place: place, found: "external data in \"\(name)\"",
        expected: "a file in the folder of the model",
        advice: "Do not trust where this file came from")
    }
    func number(_ key: String) throws(CheckpointError) -> Int? {
      guard let text = said[key] else { return nil }
      guard let value = Int(text), value >= 0 else {
        throw CheckpointError(
          .malformed, file: model, place: place, found: "\(key) \"\(text)\" of external data",
          expected: "a number from 0 on")
      }
      return value
    }
    let (offset, length) = (try number("offset") ?? 0, try number("length"))
    guard length ?? size == size else {
      throw CheckpointError(
        .malformed, file: model, place: place,
        found: "\(length ?? 0) bytes of external data", expected: "\(size)")
    }
    // An empty tensor needs no file.
    if size == 0 { return .memory(PayloadView(try OwnedBytes(count: 0, file: model))) }
    let file = try open(name, place)
    guard file.bytes.part(at: offset, length: size) != nil else {
      throw CheckpointError(
        .truncated, file: file.path, place: place, found: "\(file.count) bytes",
        expected: "\(size) from byte \(offset) on", advice: "Copy or download the file again")
    }
    return .file(file, offset: offset)
  }

  private func open(_ name: String, _ place: String) throws(CheckpointError) -> MappedFile {
    if let file = files[name] { return file }
    do throws(CheckpointError) {
      let file = try MappedFile(path: folder + name)
      files[name] = file
      return file
    } catch {
      guard error.kind == .noSuchFile else { throw error }
      throw CheckpointError(
        .missing, file: model, place: place, found: "no file \"\(name)\" beside the model",
        expected: "the values of the tensor", advice: "Put the file of weights beside the model")
    }
  }
}
