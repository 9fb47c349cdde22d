import Glibc

/// The system calls that writing goes through, so that a test can make any of them fail.
package struct FileSystemCalls {
  package var open: (_ path: String, _ flags: Int32, _ mode: mode_t) throws(SystemError) -> Int32
  /// Writes some of the bytes at an offset and says how many.
  package var write:
    (_ file: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int) throws(SystemError) -> Int
  package var truncate: (_ file: Int32, _ length: Int) throws(SystemError) -> Void
  package var sync: (_ file: Int32) throws(SystemError) -> Void
  package var close: (_ file: Int32) throws(SystemError) -> Void
  package var rename: (_ from: String, _ to: String) throws(SystemError) -> Void
  package var remove: (_ path: String) throws(SystemError) -> Void
  package var makeFolder: (_ path: String) throws(SystemError) -> Void
  package var removeFolder: (_ path: String) throws(SystemError) -> Void

  package init(
    open: @escaping (String, Int32, mode_t) throws(SystemError) -> Int32,
    write: @escaping (Int32, UnsafeRawBufferPointer, Int) throws(SystemError) -> Int,
    truncate: @escaping (Int32, Int) throws(SystemError) -> Void,
    sync: @escaping (Int32) throws(SystemError) -> Void,
    close: @escaping (Int32) throws(SystemError) -> Void,
    rename: @escaping (String, String) throws(SystemError) -> Void,
    remove: @escaping (String) throws(SystemError) -> Void,
    makeFolder: @escaping (String) throws(SystemError) -> Void,
    removeFolder: @escaping (String) throws(SystemError) -> Void
  ) {
    self.open = open
    self.write = write
    self.truncate = truncate
    self.sync = sync
    self.close = close
    self.rename = rename
    self.remove = remove
    self.makeFolder = makeFolder
    self.removeFolder = removeFolder
  }

  /// The system itself.
  package static var system: FileSystemCalls {
    func check(_ result: Int32) throws(SystemError) {
      if result != 0 { throw SystemError(errno) }
    }
    return FileSystemCalls(
      open: { path, flags, mode throws(SystemError) in
        let file = Glibc.open(path, flags | O_CLOEXEC, mode)
        if file < 0 { throw SystemError(errno) }
        return file
      },
      write: { file, bytes, offset throws(SystemError) in
        let count = pwrite(file, bytes.baseAddress, bytes.count, off_t(offset))
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

  /// Writes all bytes from an offset on, through interruptions and short counts.
  package func writeAll(
    _ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: Int
  ) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      do throws(SystemError) {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        let count = try write(file, rest, offset + done)
        // A device that takes nothing and reports no error would loop for ever.
        if count <= 0 { throw SystemError(EIO) }
        done += count
      } catch  where error.code == EINTR {
        continue
      }
    }
  }

  /// Writes all bytes from an offset on, through interruptions and short counts.
  package func writeAll(
    _ bytes: [UInt8], to file: Int32, at offset: Int
  ) throws(SystemError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) in
      try writeAll(UnsafeRawBufferPointer(buffer), to: file, at: offset)
    }
  }

  package func syncThroughInterruptions(_ file: Int32) throws(SystemError) {
    while true {
      do throws(SystemError) {
        return try sync(file)
      } catch  where error.code == EINTR {
        continue
      }
    }
  }

  package func openThroughInterruptions(_ path: String, _ flags: Int32, _ mode: mode_t)
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
  package func closeChecked(_ file: Int32) throws(SystemError) {
    do throws(SystemError) {
      try close(file)
    } catch  where error.code == EINTR {
      return
    }
  }

  /// Makes the entries of a folder durable.
  package func syncFolder(_ path: String) throws(SystemError) {
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
