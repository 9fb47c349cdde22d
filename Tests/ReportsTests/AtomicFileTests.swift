import Glibc
import Testing

@testable import Reports

@Suite struct AtomicFileTests {
  @Test func appearsAtTheCommit() throws {
    let scratch = try Scratch()
    let file = try AtomicFile(scratch.path("a.csv"))
    try file.write("one\n")
    try file.write("two\n")
    #expect(scratch.contents["a.csv"] == nil)
    #expect(try file.commit() == Digest.sha256("one\ntwo\n".utf8))
    #expect(file.size == 8)
    #expect(scratch.contents == ["a.csv": "one\ntwo\n"])
  }

  @Test func leavesNothingWithoutACommit() throws {
    let scratch = try Scratch()
    Fixtures.write("old", scratch.path("a"))
    do {
      let file = try AtomicFile(scratch.path("a"))
      try file.write("new")
      #expect(scratch.contents.count == 2)
    }
    #expect(scratch.contents == ["a": "old"])
  }

  @Test func keepsModesAndLinks() throws {
    let scratch = try Scratch()
    Fixtures.write("old", scratch.path("a"))
    chmod(scratch.path("a"), 0o640)
    symlink("a", scratch.path("link"))
    try AtomicFile.write(Array("new".utf8), to: scratch.path("link"))
    var status = stat()
    #expect(lstat(scratch.path("link"), &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    #expect(stat(scratch.path("a"), &status) == 0 && status.st_mode & 0o777 == 0o640)
    #expect(scratch.contents["a"] == "new")
  }

  @Test func refusesWhatIsNotARegularFile() throws {
    let scratch = try Scratch()
    mkfifo(scratch.path("pipe"), 0o600)
    for path in [scratch.root, scratch.path("pipe"), "/dev/full", scratch.path("no/such")] {
      let error = #expect(throws: FileError.self) { try AtomicFile(path) }
      #expect(error?.kind == .cannotCreate)
      #expect(error?.path == path)
    }
  }

  /// Each call in turn fails, with each of the errors that disks and quotas give.
  @Test(arguments: [ENOSPC, EDQUOT, EIO, EROFS, EMFILE])
  func aFailureAnywhereLeavesTheOldFileOrTheNew(code: Int32) throws {
    let total = FaultyCalls()
    try write("fresh", in: Scratch(), total.calls)
    #expect(total.count >= 8)
    for failing in 0..<total.count {
      let scratch = try Scratch()
      Fixtures.write("old", scratch.path("a"))
      let faulty = FaultyCalls(failing: failing, code: code)
      let error = #expect(throws: FileError.self, "call \(failing)") {
        try write("fresh", in: scratch, faulty.calls)
      }
      #expect(error?.path == scratch.path("a") && error?.code == code)
      #expect(error?.kind == (failing == 0 ? .cannotCreate : .io))
      #expect(error?.description.contains(String(cString: strerror(code))) == true)
      // Only the synchronisation of the folder comes after the rename.
      let renamed = failing >= total.count - 3
      #expect(scratch.contents == ["a": renamed ? "fresh" : "old"], "call \(failing)")
    }
  }

  @Test func interruptionsAndShortWritesGoOn() throws {
    let count = FaultyCalls()
    try write("fresh", in: Scratch(), count.calls)
    for failing in 0..<count.count {
      let scratch = try Scratch()
      let faulty = FaultyCalls(failing: failing, code: EINTR)
      // A rename is never interrupted; every other call is tried again.
      do {
        try write("fresh", in: scratch, faulty.calls)
        #expect(scratch.contents == ["a": "fresh"])
      } catch {
        #expect(scratch.contents.isEmpty && error.code == EINTR)
      }
    }
    let scratch = try Scratch()
    let short = FaultyCalls()
    short.writeLimit = 3
    try write("a longer text", in: scratch, short.calls)
    #expect(scratch.contents == ["a": "a longer text"])
  }

  private func write(_ text: String, in scratch: Scratch, _ calls: FileSystemCalls)
    throws(FileError)
  {
    let file = try AtomicFile(scratch.path("a"), calls)
    try file.write(text)
    try file.write("")
    try file.commit()
  }
}
