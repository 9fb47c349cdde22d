import StrictJSON

/// A ZIP archive by `torch.export.save` (`.pt2`): a graph in JSON, and each weight a stored member.
///
/// Until PyTorch 2.8 the weights were one file of `torch.save` within the archive, which is read like any other, and
/// runs nothing. Example inputs are left alone, and what only an arbitrary pickle holds is refused by name.
struct ExportedArchive {
  private static let maximumJSON = 512 << 20
  /// The graph in archives of before PyTorch 2.8.
  private static let earlyGraph = "serialized_exported_program.json"

  private let archive: ZipArchive
  private let root: String
  private let model: String
  private let isBigEndian: Bool
  /// Whether the archive is one of before PyTorch 2.8.
  private let isEarly: Bool

  /// Whether the archive says that it is one of `torch.export`, of any age.
  static func isExported(_ archive: ZipArchive) -> Bool {
    ["archive_format", earlyGraph].contains { !members(called: $0, of: archive).isEmpty }
  }

  /// The members of a name in any folder: since PyTorch 2.8 all lie in one folder more.
  private static func members(called name: String, of archive: ZipArchive) -> [ZipArchive.Member] {
    archive.members.filter { $0.name == name || $0.name.hasSuffix("/" + name) }
  }

  init(_ archive: ZipArchive) throws(CheckpointError) {
    let file = archive.file.path
    self.archive = archive
    let marks = Self.members(called: "archive_format", of: archive)
    let early = Self.members(called: Self.earlyGraph, of: archive)
    isEarly = early.count == 1 && marks.isEmpty
    guard !isEarly else {
      root = String(early[0].name.dropLast(Self.earlyGraph.count))
      (model, isBigEndian) = ("", false)
      return
    }
    guard marks.count == 1, marks[0].size <= 16 else {
      throw CheckpointError(
        .malformed, file: file, found: "\(marks.count) members called archive_format",
        expected: "one that says pt2", advice: "Do not trust where this file came from")
    }
    root = String(marks[0].name.dropLast("archive_format".count))
    let format = try Self.text(archive, marks[0])
    guard format == "pt2" else {
      throw CheckpointError(
        .unsupported, file: file, place: "member \"\(marks[0].name)\"",
        found: "an archive of the format \"\(format)\"", expected: "pt2")
    }
    let models = archive.members.filter { [root] in
      $0.name.hasPrefix(root + "models/") && $0.name.hasSuffix(".json")
    }
    guard models.count == 1 else {
      let names = models.map(\.name).joined(separator: ", ")
      throw CheckpointError(
        .unsupported, file: file,
        found: models.isEmpty ? "an archive without a graph" : "several graphs: \(names)",
        expected: "one under models/",
        advice:
          "Save the model alone, with torch.export.save(torch.export.export(model, (x,)), path)")
    }
    model = String(models[0].name.dropFirst(root.count + "models/".count).dropLast(".json".count))
    if let member = archive[root + "byteorder"], member.size <= 16 {
      let order = try Self.text(archive, member)
      guard order == "little" || order == "big" else {
        throw CheckpointError(
          .malformed, file: file, place: "member \"\(member.name)\"", found: "\"\(order)\"",
          expected: "\"little\" or \"big\"")
      }
      isBigEndian = order == "big"
    } else {
      isBigEndian = false
    }
  }

  /// The graph, and every tensor of the file by the names of `state_dict()`: parameters, buffers and
  /// constants.
  func contents() throws(CheckpointError) -> (program: ExportedProgram, tensors: [TensorEntry]) {
    let member = root + (isEarly ? Self.earlyGraph : "models/" + model + ".json")
    var reader = ExportedProgramReader(file: archive.file.path, member: member)
    let program = try reader.program(try json(member))
    var tensors: [TensorEntry] = []
    var names: Set<String> = []
    for folder in ["weights", "constants"] {
      for tensor in try self.tensors(folder) where names.insert(tensor.name).inserted {
        tensors.append(tensor)
      }
    }
    return (program, tensors)
  }

  // MARK: Tensors

  /// The tensors that a folder's list names, or that stand in its file.
  private func tensors(_ folder: String) throws(CheckpointError) -> [TensorEntry] {
    let file = archive.file.path
    if isEarly {
      return try saved(
        root + (folder == "weights" ? "serialized_state_dict.pt" : "serialized_constants.pt"))
    }
    let base = "\(root)data/\(folder)/"
    if archive[base + model + ".pt"] != nil { return try saved(base + model + ".pt") }
    let lists = ["\(model)_\(folder)_config.json", "\(model)_model_param_config.json"]
      .map { base + $0 }.filter { archive[$0] != nil }
    guard let list = lists.first else {
      guard folder != "weights" else {
        throw CheckpointError(
          .missing, file: file, place: base, found: "no list of the weights",
          expected: "\(model)_weights_config.json")
      }
      return []
    }
    guard let entries = try json(list)["config"]?.objectValue else {
      throw failure(list, "no member \"config\" that is an object", "one")
    }
    var tensors: [TensorEntry] = []
    for entry in entries {
      // A constant that is no tensor matters only to an operation that reads it.
      let path = entry.value["path_name"]?.stringValue
      if folder == "constants", path?.hasPrefix("tensor_") != true { continue }
      tensors.append(try tensor(entry, base: base, list: list))
    }
    return tensors
  }

  /// The tensors of a file of `torch.save` that is a member.
  private func saved(_ name: String) throws(CheckpointError) -> [TensorEntry] {
    let file = archive.file.path
    let place = "member \"\(name)\""
    guard let member = archive[name] else {
      throw CheckpointError(.missing, file: file, found: "no \(place)", expected: "one")
    }
    guard member.size > 0 else { return [] }
    guard !member.isDeflated, let part = archive.file.part(at: member.offset, length: member.size)
    else {
      throw CheckpointError(
        .unsupported, file: file, place: place, found: "a compressed file of tensors",
        expected: "a stored one, as PyTorch writes it", advice: "Export the model again")
    }
    do throws(CheckpointError) {
      return try TorchArchive(ZipArchive(part)).contents(.automatic).tensors
    } catch {
      throw CheckpointError(
        error.kind, file: file,
        place: error.place.isEmpty ? place : "\(place): \(error.place)", found: error.found,
        expected: error.expected, advice: error.advice)
    }
  }

  private func tensor(
    _ entry: JSONValue.Member, base: String, list: String
  ) throws(CheckpointError) -> TensorEntry {
    let (file, value) = (archive.file.path, entry.value)
    let place = "\(list): \(entry.name)"
    guard let path = value["path_name"]?.stringValue, !path.contains("/") else {
      throw failure(place, "no path_name", "the name of a member in \(base)")
    }
    guard value["use_pickle"]?.boolValue == false else {
      throw CheckpointError(
        .unsupported, file: file, place: "tensor \"\(entry.name)\"",
        found: "a payload that is a pickle, which can hold any code", expected: "plain bytes",
        advice: "Export the model with dense tensors of plain types")
    }
    guard let member = archive[base + path] else {
      throw CheckpointError(
        .missing, file: file, place: "tensor \"\(entry.name)\"",
        found: "no member \"\(base)\(path)\"", expected: "the bytes of the tensor",
        advice: "Copy or download the file again")
    }
    let meta = value["tensor_meta"]
    func integers(_ key: String) throws(CheckpointError) -> [Int] {
      let items = meta?[key]?.arrayValue?.map { $0["as_int"]?.intValue } ?? [nil]
      var result: [Int] = []
      for item in items {
        guard let item, item >= 0, items.count <= StridedView.maximumRank else {
          throw failure(
            place, "\(key) of another form",
            "at most \(StridedView.maximumRank) integers from 0 on")
        }
        result.append(item)
      }
      return result
    }
    let (shape, strides) = (try integers("sizes"), try integers("strides"))
    guard let code = meta?["dtype"]?.intValue, let dtype = ExportedProgramReader.elementType(code),
      meta?["layout"]?.intValue == 7
    else {
      throw CheckpointError(
        .unsupported, file: file, place: "tensor \"\(entry.name)\"",
        found: "elements of type \(meta?["dtype"]?.intValue ?? 0) in layout "
          + "\(meta?["layout"]?.intValue ?? 0)",
        expected: "a dense tensor of a plain type")
    }
    guard shape.count == strides.count, dtype.byteCount(shape: shape) != nil,
      let offset = meta?["storage_offset"]?["as_int"]?.intValue, offset >= 0,
      let span = StridedView.span(shape, strides)
    else {
      throw failure(
        place, "sizes \(shape) with strides \(strides)", "a view whose extent fits 64 bits")
    }
    let width = dtype.bits / 8
    guard let end = checkedSum(offset, span), let bytes = checkedProduct([end, width]),
      bytes <= member.size
    else {
      throw failure(
        place, "a view of \(span) elements from \(offset) on",
        "one within the \(member.size) bytes of \"\(member.name)\"")
    }
    var storage = TensorStorage(
      origin: .member(archive, member, offset: offset * width),
      isBigEndian: isBigEndian && width > 1)
    if span > 0, !StridedView.isDense(shape, strides) {
      let count = shape.reduce(1, *)
      guard count <= max(member.size / width, StridedView.maximumExpanded) else {
        throw CheckpointError(
          .limitExceeded, file: file, place: "tensor \"\(entry.name)\"",
          found: "\(count) elements over a storage of \(member.size / width)",
          expected: "at most \(StridedView.maximumExpanded) repeated ones")
      }
      storage.strides = strides
      storage.extent = span * width
    }
    return TensorEntry(name: entry.name, dtype: dtype, shape: shape, file: file, storage: storage)
  }

  // MARK: Members

  private func json(_ name: String) throws(CheckpointError) -> JSONValue {
    let file = archive.file.path
    guard let member = archive[name] else {
      throw CheckpointError(.missing, file: file, found: "no member \"\(name)\"", expected: "one")
    }
    guard member.size <= Self.maximumJSON else {
      throw CheckpointError(
        .limitExceeded, file: file, place: "member \"\(name)\"", found: "\(member.size) bytes",
        expected: "at most \(Self.maximumJSON)")
    }
    do throws(CheckpointError) {
      return try archive.contents(of: member).withBytes { bytes throws(CheckpointError) in
        try JSONValue.parse(bytes, file: file, limits: JSONLimits(bytes: Self.maximumJSON))
      }
    } catch {
      throw CheckpointError(
        error.kind, file: file, place: "member \"\(name)\": \(error.place)", found: error.found,
        expected: error.expected, advice: error.advice)
    }
  }

  private static func text(
    _ archive: ZipArchive, _ member: ZipArchive.Member
  ) throws(CheckpointError) -> String {
    try archive.contents(of: member).withBytes { $0.utf8Text ?? "" }
  }

  private func failure(_ place: String, _ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: archive.file.path, place: place, found: found, expected: expected,
      advice: "Copy or download the file again")
  }
}
