/// A file in the form that `torch.save` wrote before PyTorch 1.6, and still writes if it is asked to
/// (`_use_new_zipfile_serialization=False`): five pickles (a magic number, a version, the machine, the
/// object, the keys of its storages), then each storage as a count of elements and their bytes.
///
/// Source: `torch/serialization.py`, `_legacy_save` and `_legacy_load`.
struct TorchStream {
  /// 0x1950a86a20f9469cfc6c as a pickled integer.
  private static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
  private static let version = 1001
  private static let maximumStorages = 1_000_000

  private let file: MappedFile
  private let graph: PickleGraph
  private let storages: TorchStorages
  /// Bytes after the last storage, which torch does not look at.
  let trailing: Int

  /// Whether a file starts with the pickled magic number.
  static func isStream(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.prefix(32).count == 32 && bytes[0] == 0x80
      && (2...15).contains { bytes[$0..<$0 + magic.count].elementsEqual(magic) }
  }

  /// Reads the pickles, and where each storage lies; touches no element.
  init(_ file: MappedFile) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    var reader = Reader(file)
    _ = try reader.pickle("magic number")
    let version = try reader.pickle("version")
    guard version.integer(version.root) == Self.version else {
      throw reader.malformed(
        "version", version.integer(version.root).map(String.init) ?? version.kindName(version.root),
        "\(Self.version)")
    }
    let system = try reader.pickle("machine")
    guard system.pairs(system.root) != nil else {
      throw reader.malformed("machine", system.kindName(system.root), "a dictionary")
    }
    graph = try reader.pickle("object")
    let keys = try reader.pickle("keys of storages")
    guard case .list(let items) = keys[keys.root], items.count <= Self.maximumStorages else {
      throw reader.malformed(
        "keys of storages", keys.kindName(keys.root), "a list of at most \(Self.maximumStorages)")
    }
    let declared = Self.identifiers(in: graph)
    var pieces: [String: Range<Int>] = [:]
    for item in items {
      guard let key = keys.string(item), pieces[key] == nil, let identifier = declared[key],
        let width = TorchTensorRebuilder.width(of: identifier.type)
      else {
        throw reader.malformed(
          "keys of storages", keys.string(item).map { "the key \"\($0)\"" } ?? keys.kindName(item),
          "a storage of the object, of known elements, each once")
      }
      pieces[key] = try reader.storage(key, count: identifier.count, width: width)
    }
    self.file = file
    storages = TorchStorages(file, pieces: pieces)
    trailing = file.count - reader.position
  }

  /// Finds the state dict and describes its tensors.
  func contents(_ entry: CheckpointEntry) throws(CheckpointError) -> TorchStateDict.Contents {
    try TorchStateDict(graph: graph, storages: storages).contents(entry)
  }

  /// The storages that an object refers to, by key; of one that is referred to twice, the first, as torch
  /// takes it. Another reference of another size is noticed where it is used.
  private static func identifiers(
    in graph: PickleGraph
  ) -> [String: TorchTensorRebuilder.Identifier] {
    var result: [String: TorchTensorRebuilder.Identifier] = [:]
    for index in graph.nodes.indices {
      guard case .persistent = graph.nodes[index],
        let one = TorchTensorRebuilder.identifier(PickleGraph.Reference(index), in: graph),
        result[one.key] == nil
      else { continue }
      result[one.key] = one
    }
    return result
  }

  private struct Reader {
    let file: MappedFile
    var position = 0

    init(_ file: MappedFile) { self.file = file }

    mutating func pickle(_ what: String) throws(CheckpointError) -> PickleGraph {
      var reader = PickleReader(file.bytes, at: position, file: file.path, place: what)
      let graph = try reader.read(isWhole: false)
      position = reader.end
      return graph
    }

    /// The bytes of a storage behind the count of its elements.
    mutating func storage(
      _ key: String, count: Int, width: Int
    ) throws(CheckpointError) -> Range<Int> {
      let place = "storage \"\(key)\""
      guard let found = file.bytes.littleEndian(Int64.self, at: position) else {
        throw truncated(place, "a count of elements")
      }
      guard found == Int64(count), let size = checkedProduct([count, width]) else {
        throw malformed(place, "\(found) elements", "\(count)")
      }
      guard let end = checkedSum(position + 8, size), end <= file.count else {
        throw truncated(place, "\(count) elements of \(width) bytes")
      }
      defer { position = end }
      return position + 8..<end
    }

    func malformed(_ place: String, _ found: String, _ expected: String) -> CheckpointError {
      CheckpointError(
        .malformed, file: file.path, place: place, found: found, expected: expected)
    }

    private func truncated(_ place: String, _ expected: String) -> CheckpointError {
      CheckpointError(
        .truncated, file: file.path, place: place,
        found: "the file ends at byte \(file.count)", expected: expected,
        advice: "Copy or download the file again")
    }
  }
}
