import Checkpoints
import Glibc
import Models
import Tensors

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

/// Runs `body` with a checkpoint of the given shapes and zeros that take no space on the disk.
func withHollowCheckpoint<R>(
  _ tensors: [(name: String, shape: [Int])], metadata: [String: String] = [:],
  _ body: (Checkpoint) throws -> R
) throws -> R {
  try withTemporaryFolder { folder in
    let path = folder + "/model.safetensors"
    var end = 0
    var members = tensors.map { tensor in
      let start = end
      end += 4 * tensor.shape.reduce(1, *)
      return "\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":\(tensor.shape),"
        + "\"data_offsets\":[\(start),\(end)]}"
    }
    if !metadata.isEmpty {
      let texts = metadata.map { "\"\($0)\":\"\($1)\"" }
      members.append("\"__metadata__\":{\(texts.joined(separator: ","))}")
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
    let bytes = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header
    let descriptor = open(path, O_CREAT | O_WRONLY, 0o600)
    guard descriptor >= 0, write(descriptor, bytes, bytes.count) == bytes.count,
      ftruncate(descriptor, bytes.count + end) == 0, close(descriptor) == 0
    else { throw POSIXFailure(code: errno) }
    return try body(Checkpoint.open(path))
  }
}
