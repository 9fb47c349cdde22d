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

/// A safetensors file of the given tensors, without the care that a user's file deserves.
func writeSafetensors(
  _ tensors: [(String, Tensor)], metadata: [String: String] = [:], to path: String
) throws {
  let header = header(of: tensors.map { ($0.0, $0.1.shape.dimensions) }, metadata).bytes
  try withFile(path) { descriptor in
    var isWhole = write(descriptor, header, header.count) == header.count
    for (_, tensor) in tensors {
      tensor.withValues { values in
        let bytes = UnsafeRawBufferPointer(values)
        isWhole = isWhole && write(descriptor, bytes.baseAddress, bytes.count) == bytes.count
      }
    }
    return isWhole
  }
}

/// Runs `body` with a checkpoint of the given shapes and zeros that take no space on the disk.
func withHollowCheckpoint<R>(
  _ tensors: [(name: String, shape: [Int])], metadata: [String: String] = [:],
  _ body: (Checkpoint) throws -> R
) throws -> R {
  try withTemporaryFolder { folder in
    let path = folder + "/model.safetensors"
    let (bytes, payload) = header(of: tensors, metadata)
    try withFile(path) {
      write($0, bytes, bytes.count) == bytes.count && ftruncate($0, bytes.count + payload) == 0
    }
    return try body(Checkpoint.open(path))
  }
}

func writeText(_ text: String, to path: String) throws {
  let bytes = Array(text.utf8)
  try withFile(path) { write($0, bytes, bytes.count) == bytes.count }
}

private func withFile(_ path: String, _ fill: (Int32) -> Bool) throws {
  let descriptor = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
  guard descriptor >= 0, fill(descriptor), close(descriptor) == 0 else {
    throw POSIXFailure(code: errno)
  }
}

/// The start of a safetensors file, and how many bytes of values follow.
private func header(
  of tensors: [(name: String, shape: [Int])], _ metadata: [String: String]
) -> (bytes: [UInt8], payload: Int) {
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
  return (withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header, end)
}
