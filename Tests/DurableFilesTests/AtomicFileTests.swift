import DurableFiles
import Glibc
import TestSupport
import Testing

@Suite struct AtomicFileTests {
  @Test func appearsAtTheCommit() throws {
    let scratch = Scratch()
    var file = try AtomicFile(scratch.file("a.csv"))
    try file.append(Array("one\n".utf8))
    try file.append(Array("two\n".utf8))
    #expect(scratch.contents["a.csv"] == nil)
    let size = file.size
    #expect(size == 8)
    try file.commit()
    #expect(scratch.contents == ["a.csv": "one\ntwo\n"])
  }

  @Test func takesPiecesInAnyOrder() throws {
    let scratch = Scratch()
    var file = try AtomicFile(scratch.file("a"))
    try file.write(Array("cd".utf8), at: 2)
    try file.write(Array("ab".utf8), at: 0)
    try file.append(Array("e".utf8))
    try file.commit()
    #expect(scratch.contents == ["a": "abcde"])
  }

  @Test func leavesNothingWithoutACommit() throws {
    let scratch = Scratch()
    scratch.write("old", as: "a")
    do {
      var file = try AtomicFile(scratch.file("a"))
      try file.append(Array("new".utf8))
      #expect(scratch.contents.count == 2)
    }
    #expect(scratch.contents == ["a": "old"])
  }

  @Test func keepsModesAndLinks() throws {
    let scratch = Scratch()
    scratch.write("old", as: "a")
    chmod(scratch.file("a"), 0o640)
    symlink("a", scratch.file("link"))
    try AtomicFile.write(Array("new".utf8), to: scratch.file("link"))
    var status = stat()
    #expect(lstat(scratch.file("link"), &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    #expect(stat(scratch.file("a"), &status) == 0 && status.st_mode & 0o777 == 0o640)
    #expect(scratch.contents["a"] == "new")
  }

  @Test func refusesWhatIsNotARegularFile() throws {
    let scratch = Scratch()
    mkfifo(scratch.file("pipe"), 0o600)
    for path in [
      scratch.path, scratch.file("pipe"), "/dev/full", scratch.file("no/such"), "",
      scratch.file("a\0b"), scratch.file("new/"),
    ] {
      let error = #expect(throws: FileError.self) { _ = try AtomicFile(path) }
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
      let scratch = Scratch()
      scratch.write("old", as: "a")
      let faulty = FaultyCalls(failing: failing, code: code)
      let error = #expect(throws: FileError.self, "call \(failing)") {
        try write("fresh", in: scratch, faulty.calls)
      }
      #expect(error?.path == scratch.file("a") && error?.code == code)
      #expect(error?.kind == (failing == 0 ? .cannotCreate : .io))
      #expect(error?.description.contains(String(cString: strerror(code))) == true)
      #expect(error?.description.contains("Free some space") == [ENOSPC, EDQUOT].contains(code))
      // Only the synchronisation of the folder comes after the rename.
      let renamed = failing >= total.count - 3
      #expect(scratch.contents == ["a": renamed ? "fresh" : "old"], "call \(failing)")
    }
  }

  @Test func interruptionsAndShortWritesGoOn() throws {
    let count = FaultyCalls()
    try write("fresh", in: Scratch(), count.calls)
    for failing in 0..<count.count {
      let scratch = Scratch()
      let faulty = FaultyCalls(failing: failing, code: EINTR)
      // A rename is never interrupted; every other call is tried again.
      do {
        try write("fresh", in: scratch, faulty.calls)
        #expect(scratch.contents == ["a": "fresh"])
      } catch {
        #expect(scratch.contents.isEmpty && error.code == EINTR)
      }
    }
    let scratch = Scratch()
    let short = FaultyCalls()
    short.writeLimit = 3
    try write("a longer text", in: scratch, short.calls)
    #expect(scratch.contents == ["a": "a longer text"])
  }

  private func write(_ text: String, in scratch: Scratch, _ calls: FileSystemCalls)
    throws(FileError)
  {
    var file = try AtomicFile(scratch.file("a"), calls)
    try file.append(Array(text.utf8))
    try file.append([])
    try file.commit()
  }
}
