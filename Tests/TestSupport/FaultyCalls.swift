import DurableFiles
import Glibc

/// System calls that are counted, and of which one fails.
package final class FaultyCalls {
  package private(set) var count = 0
  private let failing: Int
  private let code: Int32
  /// Whether everything after the failing call fails too: a process that died there.
  private let forever: Bool
  /// The greatest count that a write takes at once.
  package var writeLimit = Int.max

  package init(failing: Int = -1, code: Int32 = EIO, forever: Bool = false) {
    self.failing = failing
    self.code = code
    self.forever = forever
  }

  private func step() throws(SystemError) {
    defer { count += 1 }
    if count == failing || (forever && failing >= 0 && count > failing) { throw SystemError(code) }
  }

  package var calls: FileSystemCalls {
    let system = FileSystemCalls.system
    return FileSystemCalls(
      open: { path, flags, mode throws(SystemError) in
        try self.step()
        return try system.open(path, flags, mode)
      },
      write: { file, bytes, offset throws(SystemError) in
        try self.step()
        return try system.write(
          file, UnsafeRawBufferPointer(rebasing: bytes.prefix(self.writeLimit)), offset)
      },
      truncate: { file, length throws(SystemError) in
        try self.step()
        try system.truncate(file, length)
      },
      sync: { file throws(SystemError) in
        try self.step()
        try system.sync(file)
      },
      close: { file throws(SystemError) in
        // A close that fails has closed the file.
        try system.close(file)
        try self.step()
      },
      rename: { from, to throws(SystemError) in
        try self.step()
        try system.rename(from, to)
      },
      remove: { path throws(SystemError) in
        try self.step()
        try system.remove(path)
      },
      makeFolder: { path throws(SystemError) in
        try self.step()
        try system.makeFolder(path)
      },
      removeFolder: { path throws(SystemError) in
        try self.step()
        try system.removeFolder(path)
      })
  }
}
