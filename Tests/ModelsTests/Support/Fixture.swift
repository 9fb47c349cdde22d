import Checkpoints
import Glibc
import Models
import Tensors

/// Golden values of one model, and the names and shapes of its weights.
struct Fixture {
  let checkpoint: Checkpoint
  let name: String

  static var folder: String {
    String(#filePath.dropLast("Support/Fixture.swift".count)) + "Fixtures/"
  }

  /// The names of all fixtures that start so.
  static func names(_ prefixes: String...) -> [String] {
    guard let folder = opendir(folder) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasSuffix(".safetensors"), prefixes.contains(where: name.hasPrefix) {
        names.append(String(name.dropLast(".safetensors".count)))
      }
    }
    return names.sorted()
  }

  init(_ name: String) throws {
    self.name = name
    checkpoint = try Checkpoint.open(Self.folder + name + ".safetensors")
  }

  func json(_ key: String) throws -> JSONValue {
    let text = Array((checkpoint.metadata[key] ?? "null").utf8)
    return try text.withUnsafeBytes { try JSONValue.parse($0, file: name) }
  }

  /// Names and shapes in the order of the state dict.
  func keys(_ key: String = "keys") throws -> [(name: String, shape: [Int])] {
    try (json(key).arrayValue ?? []).map { pair in
      (pair.arrayValue?[0].stringValue ?? "", pair.arrayValue?[1].arrayValue?.compactMap(\.intValue) ?? [])
    }
  }

  /// The input as the models take it, channels last.
  func input() throws -> Tensor {
    let shape = try (json("input_shape").arrayValue ?? []).compactMap(\.intValue)
    return DeterministicFill.values("input", shape, isInput: true).permuted([0, 2, 3, 1])
  }

  /// Hyper-parameters that weights do not tell, as an architecture's text.
  func architecture() throws -> Architecture? {
    guard checkpoint.metadata["family"] == "vit" else { return nil }
    let config = try json("config")
    let pairs = [("patch", "patch"), ("dim", "dim"), ("depth", "depth"), ("heads", "heads"),
      ("classes", "classes")]
    let arguments = pairs.compactMap { name, key in
      config[key]?.intValue.map { "\(name)=\($0)" }
    }
    return try Architecture("vit(\(arguments.joined(separator: ",")))")
  }

  /// Runs `body` with a checkpoint file of the deterministic weights, names and all.
  func withWeights<R>(
    prefix: String = "", metadata: [String: String] = [:], _ body: (Checkpoint) throws -> R
  ) throws -> R {
    var tensors = try keys().map { (prefix + $0.name, DeterministicFill.values($0.name, $0.shape)) }
    tensors += try keys("integers").map { (prefix + $0.name, Tensor(repeating: 0, shape: Shape($0.shape))) }
    return try withCheckpoint(tensors, metadata: metadata, body)
  }
}

/// Runs `body` with a safetensors file of the given tensors, which is removed afterwards.
func withCheckpoint<R>(
  _ tensors: [(String, Tensor)], metadata: [String: String] = [:],
  _ body: (Checkpoint) throws -> R
) throws -> R {
  try withTemporaryFolder { folder in
    let path = folder + "/model.safetensors"
    try writeSafetensors(tensors, metadata: metadata, to: path)
    return try body(Checkpoint.open(path))
  }
}

/// Runs `body` with an empty folder, which is removed afterwards with the files in it.
func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R {
  var template = Array("/tmp/vitprobe-models-XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { throw POSIXFailure(code: errno) }
  let folder = String(cString: made)
  defer {
    if let listing = opendir(folder) {
      while let entry = readdir(listing) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { unlink(folder + "/" + name) }
      }
      closedir(listing)
    }
    rmdir(folder)
  }
  return try body(folder)
}

struct POSIXFailure: Error { let code: Int32 }

func writeSafetensors(
  _ tensors: [(String, Tensor)], metadata: [String: String] = [:], to path: String
) throws {
  var writer = try SafetensorsWriter(
    creating: path,
    tensors: tensors.map { .init(name: $0.0, shape: $0.1.shape.dimensions) }, metadata: metadata)
  for (index, tensor) in tensors.enumerated() {
    try tensor.1.withValues { values throws(CheckpointError) in
      try writer.append(values, to: index)
    }
  }
  try writer.finish()
}

/// Keeps the values of wanted taps, and the taps in order.
final class Recorder: Probe {
  private let isWanted: (Tap) -> Bool
  private(set) var taps: [Tap] = []
  private(set) var values: [String: Tensor] = [:]

  init(_ isWanted: @escaping (Tap) -> Bool = { _ in true }) { self.isWanted = isWanted }

  func wants(_ tap: Tap) -> Bool { isWanted(tap) }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    taps.append(tap)
    values[tap.name] = value
    return value
  }
}

extension Tensor {
  /// The values in PyTorch's order: maps as `[N, C, H, W]`.
  func stored(_ layout: Tap.Layout) -> Tensor {
    layout == .map ? permuted([0, 3, 1, 2]) : self
  }
}
