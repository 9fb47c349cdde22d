import Glibc

/// The system calls that writing a file takes. Tests put failing ones in their place.
///
/// Each returns what the call returns, or a negative `errno`.
protocol FileOperations: AnyObject, Sendable {
  func create(_ path: String, mode: mode_t) -> CInt
  func write(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int
  func synchronize(_ descriptor: CInt) -> CInt
  func close(_ descriptor: CInt) -> CInt
  func rename(_ old: String, to new: String) -> CInt
  func remove(_ path: String)
  func synchronizeFolder(_ path: String) -> CInt
}

/// The calls of the operating system themselves.
final class SystemFileOperations: FileOperations {
  func create(_ path: String, mode: mode_t) -> CInt {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    return descriptor >= 0 ? descriptor : -errno
  }

  func write(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
    let written = pwrite(descriptor, bytes.baseAddress, bytes.count, offset)
    return written >= 0 ? written : -Int(errno)
  }

  func synchronize(_ descriptor: CInt) -> CInt { fsync(descriptor) == 0 ? 0 : -errno }

  func close(_ descriptor: CInt) -> CInt { Glibc.close(descriptor) == 0 ? 0 : -errno }

  func rename(_ old: String, to new: String) -> CInt { Glibc.rename(old, new) == 0 ? 0 : -errno }

  func remove(_ path: String) { unlink(path) }

  func synchronizeFolder(_ path: String) -> CInt {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return -errno }
    defer { _ = Glibc.close(descriptor) }
    // Some file systems have no such call for folders; there is nothing to make up for that.
    return fsync(descriptor) == 0 || errno == EINVAL ? 0 : -errno
  }
}
