import Glibc
import StrictJSON

/// A folder as `save_pretrained` and the Hugging Face hub lay it out: `config.json`, perhaps
/// `preprocessor_config.json`, and weights in one file or in shards with an index.
struct HuggingFaceFolder {
  private static let maximumShards = 10_000

  /// Files that tell what a folder without weights of a known kind is.
  private static let foreign: [(file: String, found: String, advice: String)] = [
    (
      "adapter_config.json", "a folder with an adapter (LoRA), not the weights of a network",
      "Merge the adapter into its base model (merge_and_unload) and save that"
    ),
    (
      "saved_model.pb", "a TensorFlow SavedModel",
      "Load it with TensorFlow and save its variables with numpy.savez"
    ),
    (
      "tf_model.h5", "a folder with TensorFlow weights alone",
      "Load it with from_pretrained(…, from_tf=True) and save it with save_pretrained"
    ),
    (
      "flax_model.msgpack", "a folder with Flax weights alone",
      "Load it with from_pretrained(…, from_flax=True) and save it with save_pretrained"
    ),
    (
      "model.onnx", "a folder with an ONNX model alone",
      "Name the file in it: model.onnx"
    ),
  ]

  let path: String

  init(_ path: String) { self.path = path }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return !path.utf8.contains(0) && stat(path, &status) == 0
      && status.st_mode & S_IFMT == S_IFDIR
  }

  func open(_ entry: CheckpointEntry) throws(CheckpointError) -> Checkpoint {
    let config = try optionalJSON("config.json")
    let preprocessor = try optionalJSON("preprocessor_config.json")
    let weights = try weights(entry)
    return Checkpoint(
      path: path, format: weights.format,
      files: [("config.json", config), ("preprocessor_config.json", preprocessor)]
        .compactMap { $0.1 == nil ? nil : file($0.0) } + weights.files,
      metadata: weights.metadata, config: config, preprocessorConfig: preprocessor,
      tensors: weights.tensors, torch: weights.torch, notes: weights.notes)
  }

  /// A weight file that was named inside its folder, with the settings that stand beside it. Files by
  /// other names may be of another network than the folder's.
  static func addingSettings(to weights: Checkpoint) throws(CheckpointError) -> Checkpoint {
    let cut = weights.path.lastIndex(of: "/").map { weights.path.index(after: $0) }
    let name = cut.map { String(weights.path[$0...]) } ?? weights.path
    guard ["model.safetensors", "pytorch_model.bin"].contains(name) else { return weights }
    let folder = HuggingFaceFolder(cut.map { String(weights.path[..<$0]) } ?? "./")
    let files = ["config.json", "preprocessor_config.json"].filter(folder.exists)
    guard !files.isEmpty else { return weights }
    return Checkpoint(
      path: weights.path, format: weights.format, files: files.map(folder.file) + weights.files,
      metadata: weights.metadata, config: try folder.optionalJSON("config.json"),
      preprocessorConfig: try folder.optionalJSON("preprocessor_config.json"),
      tensors: weights.tensors, torch: weights.torch,
      notes: weights.notes + ["settings were read from \(files.joined(separator: ", ")) beside it"])
  }

  /// Safetensors before pickles, one file before shards.
  private func weights(_ entry: CheckpointEntry) throws(CheckpointError) -> Checkpoint {
    for (single, index) in [
      ("model.safetensors", "model.safetensors.index.json"),
      ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ] {
      if exists(single) {
        return try Checkpoint.open(MappedFile(path: file(single)), entry)
      }
      if exists(index) { return try shards(listedIn: index) }
    }
    if let foreign = Self.foreign.first(where: { exists($0.file) }) {
      throw CheckpointError(
        .unsupported, file: path, found: foreign.found,
        expected: "model.safetensors or pytorch_model.bin", advice: foreign.advice)
    }
    throw CheckpointError(
      .missing, file: path, found: "a folder without weights",
      expected: """
        model.safetensors, model.safetensors.index.json, pytorch_model.bin or \
        pytorch_model.bin.index.json
        """,
      advice: "Name the weight file itself if it is called otherwise")
  }

  // MARK: Shards

  private func shards(listedIn index: String) throws(CheckpointError) -> Checkpoint {
    let indexPath = file(index)
    let json = try JSONValue.read(path: indexPath)
    guard let map = json["weight_map"]?.objectValue else {
      throw CheckpointError(
        .malformed, file: indexPath, found: "no weight_map",
        expected: "an object that names the file of each tensor")
    }
    var order: [String] = []
    var listed: [String: Set<String>] = [:]
    for member in map {
      let name = try shardName(member.value, of: member.name, index: indexPath)
      if listed[name] == nil { order.append(name) }
      listed[name, default: []].insert(member.name)
    }
    guard !order.isEmpty, order.count <= Self.maximumShards else {
      throw CheckpointError(
        .malformed, file: indexPath, place: "weight_map", found: "\(order.count) files",
        expected: "1 to \(Self.maximumShards)")
    }
    var parts: [Checkpoint] = []
    var owner: [String: String] = [:]
    for name in order {
      guard exists(name) else {
        throw CheckpointError(
          .missing, file: indexPath, place: "weight_map", found: "\"\(name)\" is not in the folder",
          expected: "every listed file", advice: "Download the missing file")
      }
      let part = try Checkpoint.open(MappedFile(path: file(name)), .automatic)
      for tensor in part.tensors {
        if let other = owner.updateValue(name, forKey: tensor.name) {
          throw CheckpointError(
            .malformed, file: file(name), place: "tensor \"\(tensor.name)\"",
            found: "a tensor that \"\(other)\" holds too", expected: "each tensor in one file")
        }
      }
      parts.append(part)
    }
    for name in order {
      if let absent = listed[name]?.sorted().first(where: { owner[$0] != name }) {
        throw CheckpointError(
          .missing, file: file(name), place: "tensor \"\(absent)\"", found: "no such tensor",
          expected: "one, as \(index) says",
          advice: "The index and the files do not belong together")
      }
    }
    let known = Set(map.map(\.name))
    if let stray = owner.keys.sorted().first(where: { !known.contains($0) }) {
      throw CheckpointError(
        .malformed, file: indexPath, place: "weight_map",
        found: "tensor \"\(stray)\" of \"\(owner[stray] ?? "")\" is not listed",
        expected: "every tensor", advice: "The index and the files do not belong together")
    }
    return Checkpoint(
      path: path, format: parts.first?.format ?? .safetensors,
      files: [indexPath] + parts.flatMap(\.files),
      metadata: parts.reduce(into: [:]) { $0.merge($1.metadata) { first, _ in first } },
      tensors: parts.flatMap(\.tensors), torch: parts.first?.torch,
      notes: parts.flatMap(\.notes))
  }

  /// A file of this very folder, never another one.
  private func shardName(
    _ value: JSONValue, of tensor: String, index: String
  ) throws(CheckpointError) -> String {
    guard let name = value.stringValue, !name.isEmpty, name != ".", name != "..",
      !name.contains("/"), !name.contains("\\"), !name.utf8.contains(0),
      name.hasSuffix(".safetensors") || name.hasSuffix(".bin")
    else {
      throw CheckpointError(
        .malformed, file: index, place: "weight_map \"\(tensor)\"",
        found: value.stringValue.map { "the file name \"\($0)\"" } ?? value.kindName,
        expected: "the name of a .safetensors or .bin file in the same folder",
        advice: "Do not trust where this folder came from")
    }
    return name
  }

  // MARK: Files

  private func file(_ name: String) -> String {
    path.hasSuffix("/") ? path + name : "\(path)/\(name)"
  }

  private func exists(_ name: String) -> Bool { access(file(name), F_OK) == 0 }

  private func optionalJSON(_ name: String) throws(CheckpointError) -> JSONValue? {
    guard exists(name) else { return nil }
    let value = try JSONValue.read(path: file(name))
    guard value.objectValue != nil else {
      throw CheckpointError(
        .malformed, file: file(name), found: value.kindName, expected: "a JSON object")
    }
    return value
  }
}
