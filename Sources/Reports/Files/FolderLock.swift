import DurableFiles
import Glibc

/// A lock that two processes cannot hold on one folder, and that ends with its process however
/// that ends: `flock` on a small file which says who holds it.
final class FolderLock {
  static let name = AtomicFile.prefix + "lock"
  private let path: String
  private let file: Int32

  /// - Parameters:
  ///   - part: of a run that several processes carry out, each with a lock of its own.
  ///   - isWaiting: whether to wait for the holder, who will let go at once.
  init(
    _ folder: String, part: String = "", isWaiting: Bool = false, _ calls: FileSystemCalls
  ) throws(FileError) {
    path = PathKind.join(folder, Self.name + part)
    while true {
      let file: Int32
      do {
        file = try calls.openThroughInterruptions(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o666)
      } catch {
        throw error.error(.cannotCreate, folder, "cannot create a lock file in it")
      }
      guard flock(file, isWaiting ? LOCK_EX : LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        let holder = Self.read(file)
        close(file)
        guard code == EWOULDBLOCK else {
          throw FileError(.cannotCreate, path: folder, message: "cannot lock it", code: code)
        }
        throw FileError(
          .cannotCreate, path: folder,
          message: "another run is writing here (\(holder)); wait for it or name another folder")
      }
      // Between opening and locking, the holder before us may have removed the file.
      var ours = stat()
      var there = stat()
      if fstat(file, &ours) == 0, stat(path, &there) == 0, ours.st_ino == there.st_ino,
        ours.st_dev == there.st_dev
      {
        self.file = file
        break
      }
      close(file)
    }
    let text = "process \(getpid()) on \(Self.host())\n"
    _ = ftruncate(file, 0)
    _ = text.withCString { pwrite(file, $0, strlen($0), 0) }
  }

  /// Removes the file and lets go.
  deinit {
    unlink(path)
    close(file)
  }

  private static func read(_ file: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = pread(file, &bytes, bytes.count, 0)
    let text = String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    let line = text.unicodeScalars.filter { !$0.isUnsafeForDisplay }
    return line.isEmpty ? "it does not say which" : String(String.UnicodeScalarView(line))
  }

  private static func host() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "an unnamed host" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
