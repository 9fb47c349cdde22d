import Glibc

/// An open regular file, read at offsets. Any number of threads may read at the same time.
final class RegularFile: Sendable {
  let name: String
  let size: Int
  private let descriptor: CInt

  /// Opens `path`. FIFOs, devices, sockets and folders are refused without blocking on them.
  init(_ path: RawPath, name: String) throws(ImageDataError) {
    let (descriptor, failure) = path.withCString { path in
      let result = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
      return (result, errno)
    }
    guard descriptor >= 0 else { throw RegularFile.failure(name, failure) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw RegularFile.failure(name, code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw ImageDataError(
        .unreadable, file: name, found: "a \(RegularFile.kind(status.st_mode))",
        expected: "a regular file")
    }
    self.name = name
    self.size = Int(status.st_size)
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// The bytes at `offset`, as many as there are up to `count`.
  func bytes(at offset: Int, upTo count: Int) throws(ImageDataError) -> [UInt8] {
    var failure: CInt = 0
    let result = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, filled in
      filled = 0
      while filled < count, let base = buffer.baseAddress {
        let got = pread(descriptor, base + filled, count - filled, off_t(offset + filled))
        if got > 0 {
          filled += got
        } else if got == 0 {
          break
        } else if errno != EINTR {
          failure = errno
          break
        }
      }
    }
    guard failure == 0 else { throw RegularFile.failure(name, failure) }
    return result
  }

  /// Exactly `count` bytes at `offset`; the file may have shrunk since it was opened.
  func bytes(at offset: Int, exactly count: Int) throws(ImageDataError) -> [UInt8] {
    let result = try bytes(at: offset, upTo: count)
    guard result.count == count else {
      throw ImageDataError(
        .damaged, file: name, place: "byte \(offset)", found: "\(result.count) bytes",
        expected: "\(count)", advice: "The file ends early or changed while it was read")
    }
    return result
  }

  static func failure(_ name: String, _ code: CInt) -> ImageDataError {
    let reason = String(cString: strerror(code))
    let missing = code == ENOENT || code == ENOTDIR
    guard missing else { return ImageDataError(.unreadable, file: name, found: reason) }
    return ImageDataError(
      .notFound, file: name, found: "no such file or folder",
      advice: "Check the spelling of the path")
  }

  static func kind(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "folder"
    case S_IFIFO: "FIFO"
    case S_IFSOCK: "socket"
    case S_IFCHR, S_IFBLK: "device"
    default: "special file"
    }
  }
}
