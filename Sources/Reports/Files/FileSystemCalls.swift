import Glibc

/// The system calls that writing goes through, so that a test can make any of them fail.
struct FileSystemCalls {
  var open: (_ path: String, _ flags: Int32, _ mode: mode_t) throws(SystemError) -> Int32
  var write: (_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int
  var truncate: (_ file: Int32, _ length: Int) throws(SystemError) -> Void
  var sync: (_ file: Int32) throws(SystemError) -> Void
  var close: (_ file: Int32) throws(SystemError) -> Void
  var rename: (_ from: String, _ to: String) throws(SystemError) -> Void
  var remove: (_ path: String) throws(SystemError) -> Void
  var makeFolder: (_ path: String) throws(SystemError) -> Void
  var removeFolder: (_ path: String) throws(SystemError) -> Void

  /// The system itself.
  static var system: FileSystemCalls {
    func check(_ result: Int32) throws(SystemError) {
      if result != 0 { throw SystemError(errno) }
    }
    return FileSystemCalls(
      open: { path, flags, mode throws(SystemError) in
        let file = Glibc.open(path, flags | O_CLOEXEC, mode)
        if file < 0 { throw SystemError(errno) }
        return file
      },
      write: { file, bytes throws(SystemError) in
        let count = Glibc.write(file, bytes.baseAddress, bytes.count)
        if count < 0 { throw SystemError(errno) }
        return count
      },
      truncate: { file, length throws(SystemError) in try check(ftruncate(file, off_t(length))) },
      sync: { file throws(SystemError) in try check(fsync(file)) },
      close: { file throws(SystemError) in try check(Glibc.close(file)) },
      rename: { from, to throws(SystemError) in try check(Glibc.rename(from, to)) },
      remove: { path throws(SystemError) in try check(unlink(path)) },
      makeFolder: { path throws(SystemError) in try check(mkdir(path, 0o777)) },
      removeFolder: { path throws(SystemError) in try check(rmdir(path)) })
  }

  /// Writes all bytes, through interruptions and short counts.
  func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) throws(SystemError) {
    var rest = bytes
    while !rest.isEmpty {
      do throws(SystemError) {
        let count = try write(file, rest)
        // A device that takes nothing and reports no error would loop for ever.
        if count <= 0 { throw SystemError(EIO) }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      } catch  where error.code == EINTR {
        continue
      }
    }
  }

  func syncThroughInterruptions(_ file: Int32) throws(SystemError) {
    while true {
      do throws(SystemError) {
        return try sync(file)
      } catch  where error.code == EINTR {
        continue
      }
    }
  }

  func openThroughInterruptions(_ path: String, _ flags: Int32, _ mode: mode_t)
    throws(SystemError) -> Int32
  {
    while true {
      do throws(SystemError) {
        return try open(path, flags, mode)
      } catch  where error.code == EINTR {
        continue
      }
    }
  }

  /// On Linux an interrupted close has closed the file all the same.
  func closeChecked(_ file: Int32) throws(SystemError) {
    do throws(SystemError) {
      try close(file)
    } catch  where error.code == EINTR {
      return
    }
  }

  /// Makes the entries of a folder durable.
  func syncFolder(_ path: String) throws(SystemError) {
    let file = try openThroughInterruptions(path, O_RDONLY | O_DIRECTORY, 0)
    do throws(SystemError) {
      try syncThroughInterruptions(file)
    } catch {
      try? close(file)
      // Some file systems cannot synchronise a folder and say so.
      if error.code != EINVAL { throw error }
      return
    }
    try closeChecked(file)
  }
}

/// What stands at a path.
enum PathKind: Equatable {
  case nothing, file, folder, other

  static func at(_ path: String, followingLinks: Bool = true) -> PathKind {
    var status = stat()
    let found = followingLinks ? stat(path, &status) : lstat(path, &status)
    guard found == 0 else { return .nothing }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .folder
    default: return .other
    }
  }

  /// The names in a folder, sorted by their bytes, without `.` and `..`; nil if it cannot be read.
  static func names(in folder: String) -> [String]? {
    guard let stream = opendir(folder) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The folder that holds `path`.
  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The folder and a name in it.
  static func join(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }

  /// At most `limit` bytes of a regular file; nil if it cannot be read or is longer.
  static func contents(_ path: String, limit: Int) -> [UInt8]? {
    guard PathKind.at(path) == .file, let file = fopen(path, "rbe") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { return ferror(file) == 0 ? bytes : nil }
      bytes += chunk[..<count]
      if bytes.count > limit { return nil }
    }
  }
}
