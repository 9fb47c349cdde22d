import Glibc
import Synchronization

@testable import Reports

/// A folder for one test, gone when the value is.
final class Scratch {
  struct Failure: Error {}
  let root: String

  init() throws {
    var template = Array("/tmp/vitprobe-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure() }
    root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(root) }

  func path(_ name: String) -> String { root + "/" + name }

  /// Every file below, by its path from the root; folders end in `/`.
  var contents: [String: String] {
    var found: [String: String] = [:]
    func visit(_ folder: String, _ prefix: String) {
      for name in PathKind.names(in: folder) ?? [] {
        let path = folder + "/" + name
        if PathKind.at(path, followingLinks: false) == .folder {
          found[prefix + name + "/"] = ""
          visit(path, prefix + name + "/")
        } else {
          found[prefix + name] = Fixtures.read(path).map { String(decoding: $0, as: UTF8.self) }
        }
      }
    }
    visit(root, "")
    return found
  }

  private static func remove(_ path: String) {
    if PathKind.at(path, followingLinks: false) == .folder {
      for name in PathKind.names(in: path) ?? [] { remove(path + "/" + name) }
      rmdir(path)
    } else {
      unlink(path)
    }
  }
}

/// System calls that are counted, and of which one fails.
final class FaultyCalls {
  private(set) var count = 0
  private let failing: Int
  private let code: Int32
  /// Whether everything after the failing call fails too: a process that died there.
  private let forever: Bool
  /// The greatest count that a write takes at once.
  var writeLimit = Int.max

  init(failing: Int = -1, code: Int32 = EIO, forever: Bool = false) {
    self.failing = failing
    self.code = code
    self.forever = forever
  }

  private func step() throws(SystemError) {
    defer { count += 1 }
    if count == failing || (forever && failing >= 0 && count > failing) { throw SystemError(code) }
  }

  var calls: FileSystemCalls {
    let system = FileSystemCalls.system
    return FileSystemCalls(
      open: { path, flags, mode throws(SystemError) in
        try self.step()
        return try system.open(path, flags, mode)
      },
      write: { file, bytes throws(SystemError) in
        try self.step()
        return try system.write(
          file, UnsafeRawBufferPointer(rebasing: bytes.prefix(self.writeLimit)))
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
