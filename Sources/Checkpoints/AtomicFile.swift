import Glibc
import Synchronization

/// A file that appears whole under its name or not at all: bytes go to a temporary file beside it,
/// which is flushed to the disk and renamed by ``commit()``. If that never happens, or fails, the
/// temporary file is removed and what stood under the name stays.
struct AtomicFile: ~Copyable {
  let path: String
  private let folder: String
  private let temporary: String
  private let operations: any FileOperations
  private var descriptor: CInt
  private var isCommitted = false

  private static let counter = Atomic<UInt64>(0)

  init(
    creating path: String, operations: any FileOperations = SystemFileOperations()
  ) throws(CheckpointError) {
    func failure(_ found: String) -> CheckpointError {
      CheckpointError(.cannotCreate, file: path, found: found)
    }
    guard !path.isEmpty, !path.utf8.contains(0), !path.hasSuffix("/") else {
      throw failure("not a possible file name")
    }
    var mode: mode_t = 0o666
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw failure(
          status.st_mode & S_IFMT == S_IFDIR
            ? "a folder of that name" : "a pipe, socket or device of that name")
      }
      mode = status.st_mode & 0o777
    }
    let slash = path.lastIndex(of: "/")
    let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
    let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
    let temporary = "\(folder)/.\(name.prefix(180)).\(getpid())-\(number).part"
    let descriptor = operations.create(temporary, mode: mode)
    guard descriptor >= 0 else { throw failure("cannot create it: \(describeErrno(-descriptor))") }
    self.path = path
    self.folder = folder
    self.temporary = temporary
    self.operations = operations
    self.descriptor = descriptor
  }

  deinit {
    if descriptor >= 0 { _ = operations.close(descriptor) }
    if !isCommitted { operations.remove(temporary) }
  }

  /// Writes all of `bytes` at `offset`.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    var done = 0
    while done < bytes.count {
      // Linux writes at most 2 GiB at once; short writes and interruptions are tried again.
      let piece = UnsafeRawBufferPointer(rebasing: bytes[done..<min(bytes.count, done + 1 << 30)])
      let written = operations.write(descriptor, piece, at: offset + done)
      if written == -Int(EINTR) { continue }
      guard written > 0 else { throw failure(written == 0 ? EIO : CInt(-written), "write") }
      done += written
    }
  }

  /// Writes all of `bytes` at `offset`.
  func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(CheckpointError) in try write(bytes, at: offset) }
    }
    try result.get()
  }

  /// Flushes the file and gives it its name.
  mutating func commit() throws(CheckpointError) {
    var code = operations.synchronize(descriptor)
    while code == -EINTR { code = operations.synchronize(descriptor) }
    guard code == 0 else { throw failure(-code, "flush") }
    code = operations.close(descriptor)
    descriptor = -1
    // Linux has closed the file even if it says it was interrupted.
    guard code == 0 || code == -EINTR else { throw failure(-code, "close") }
    code = operations.rename(temporary, to: path)
    guard code == 0 else { throw failure(-code, "rename") }
    isCommitted = true
    code = operations.synchronizeFolder(folder)
    guard code == 0 else { throw failure(-code, "flush the folder of") }
  }

  private func failure(_ code: CInt, _ action: String) -> CheckpointError {
    CheckpointError(
      .cannotWrite, file: path, found: "cannot \(action) it: \(describeErrno(code))",
      expected: "",
      advice: code == ENOSPC || code == EDQUOT ? "Free some space and run again" : "")
  }
}
