import Glibc

/// A regular file open for reading at offsets. Any number of threads may read at the same time.
package final class RegularFile: Sendable {
  /// Why a file could not be opened.
  package enum Failure: Error, Equatable {
    /// The name is empty or has a NUL inside.
    case impossibleName
    /// What stands there instead: "a folder", "a FIFO", "a socket", "a device".
    case notRegular(String)
    /// The system refused.
    case system(SystemError)

    /// Whether nothing exists under the name.
    package var isMissing: Bool {
      switch self {
      case .impossibleName: true
      case .notRegular: false
      case .system(let error): error.code == ENOENT || error.code == ENOTDIR
      }
    }
  }

  /// Bytes when it was opened.
  package let size: Int
  /// For `mmap`; closed with this object.
  package let descriptor: Int32
  private let modified: timespec

  /// Opens a file; pipes, devices, sockets and folders are refused without waiting for them.
  package convenience init(_ path: String, followingLinks: Bool = true) throws(Failure) {
    try self.init(Array(path.utf8), followingLinks: followingLinks)
  }

  /// Opens a file by the bytes of its path, which need not be UTF-8.
  package init(_ path: [UInt8], followingLinks: Bool = true) throws(Failure) {
    guard !path.isEmpty, !path.contains(0) else { throw .impossibleName }
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (followingLinks ? 0 : O_NOFOLLOW)
    let name = path.map(CChar.init(bitPattern:)) + [0]
    var file = open(name, flags)
    while file < 0, errno == EINTR { file = open(name, flags) }
    guard file >= 0 else { throw .system(SystemError(errno)) }
    var status = stat()
    guard fstat(file, &status) == 0 else {
      let code = errno
      close(file)
      throw .system(SystemError(code))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(file)
      throw .notRegular(Self.kind(status.st_mode))
    }
    descriptor = file
    size = Int(status.st_size)
    modified = status.st_mtim
  }

  deinit { close(descriptor) }

  /// Whether the file has neither been cut short, extended nor rewritten in place since.
  package var isUnchanged: Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && Int(status.st_size) == size
      && status.st_mtim.tv_sec == modified.tv_sec && status.st_mtim.tv_nsec == modified.tv_nsec
  }

  /// Fills a buffer with the bytes at `offset`, through interruptions and short counts.
  ///
  /// - Returns: how many there are; fewer than there is room for only where the file ends.
  package func read(
    at offset: Int, into target: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    var done = 0
    while done < target.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw SystemError(errno)
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// The bytes at `offset`, as many as there are up to `count`.
  package func bytes(at offset: Int, upTo count: Int) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      let target = UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
      do throws(SystemError) {
        filled = try read(at: offset, into: target)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// The whole of a file; nil if nothing stands at the path.
  ///
  /// - Throws: ``FileError`` `.io` if it cannot be read or is longer than `limit` bytes.
  package static func contents(_ path: String, limit: Int) throws(FileError) -> [UInt8]? {
    let file: RegularFile
    do throws(Failure) {
      file = try RegularFile(path)
    } catch {
      if error.isMissing { return nil }
      throw FileError(error, path: path)
    }
    guard file.size <= limit else {
      throw FileError(
        .io, path: path, message: "is \(file.size) bytes long, and at most \(limit) are read")
    }
    do throws(SystemError) {
      return try file.bytes(at: 0, upTo: file.size)
    } catch {
      throw error.error(.io, path, "cannot read it")
    }
  }

  private static func kind(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "a folder"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    default: "a device"
    }
  }
}

extension FileError {
  /// The failure to open a file for reading.
  package init(_ failure: RegularFile.Failure, path: String) {
    let kind: Kind = failure.isMissing ? .missing : .io
    switch failure {
    case .impossibleName: self.init(kind, path: path, message: "is not a possible name")
    case .notRegular(let found):
      self.init(kind, path: path, message: "is \(found), not a regular file")
    case .system(let error): self = error.error(kind, path, "cannot open it for reading")
    }
  }
}
