import DurableFiles
import Glibc
import TestSupport
import Testing

@Suite struct AppendFileTests {
  private let pieces = ["one\n", "two\n", "three\n"]

  private func write(_ scratch: Scratch, _ calls: FileSystemCalls) throws(FileError) {
    let file = try AppendFile(creating: scratch.file("r"), head: Array("head\n".utf8), calls)
    for piece in pieces {
      try file.append(Array(piece.utf8))
      try file.sync()
    }
  }

  @Test func growsAndGoesOn() throws {
    let scratch = Scratch()
    try write(scratch, .system)
    #expect(scratch.contents == ["r": "head\none\ntwo\nthree\n"])
    let file = try AppendFile(continuing: scratch.file("r"), after: 9)
    #expect(scratch.contents == ["r": "head\none\n"])
    try file.append(Array("2\n".utf8))
    #expect(scratch.contents == ["r": "head\none\n2\n"])
    file.remove()
    #expect(scratch.contents.isEmpty)
  }

  @Test func aNewFileTakesThePlaceOfTheOld() throws {
    let scratch = Scratch()
    scratch.write("old and long enough to show", as: "r")
    let file = try AppendFile(creating: scratch.file("r"), head: Array("new".utf8))
    #expect(scratch.contents == ["r": "new"])
    // What another put there since is left alone.
    scratch.write("another's", as: "s")
    rename(scratch.file("s"), scratch.file("r"))
    file.remove()
    #expect(scratch.contents == ["r": "another's"])
  }

  /// Whichever call fails: the head is there whole or not at all, and the pieces whose writing
  /// returned are whole and in order.
  @Test(arguments: [ENOSPC, EDQUOT, EIO], [Int.max, 2])
  func aFailureAnywhereLosesNoPiece(code: Int32, writeLimit: Int) throws {
    let total = FaultyCalls()
    total.writeLimit = writeLimit
    try write(Scratch(), total.calls)
    #expect(total.count >= 10)
    for failing in 0..<total.count {
      let scratch = Scratch()
      scratch.write("old", as: "r")
      let faulty = FaultyCalls(failing: failing, code: code)
      faulty.writeLimit = writeLimit
      var error: FileError?
      do {
        try write(scratch, faulty.calls)
      } catch let caught {
        error = caught
      }
      // A close at the end of life may fail unnoticed: every piece is durable by then.
      #expect(error != nil || failing == total.count - 1, "call \(failing)")
      if let error {
        #expect(error.path == scratch.file("r") && error.code == code)
        #expect(error.kind == (scratch.contents == ["r": "old"] ? .cannotCreate : .io))
      }
      let wholes = (0...pieces.count).map { "head\n" + pieces.prefix($0).joined() } + ["old"]
      #expect(wholes.contains(scratch.contents["r"] ?? ""), "call \(failing)")
      #expect(scratch.contents.count == 1, "call \(failing): \(scratch.contents)")
    }
  }

  /// After a piece that could not be written, none is taken: it would stand behind a torn one.
  @Test func nothingFollowsATornPiece() throws {
    let scratch = Scratch()
    for failing in 0..<20 {
      let faulty = FaultyCalls(failing: failing, code: ENOSPC, forever: true)
      faulty.writeLimit = 2
      guard
        let file = try? AppendFile(
          creating: scratch.file("r"), head: Array("head\n".utf8), faulty.calls)
      else { continue }
      for piece in pieces { try? file.append(Array(piece.utf8)) }
      let text = scratch.contents["r"] ?? ""
      #expect(("head\n" + pieces.joined()).hasPrefix(text), "call \(failing): \(text)")
    }
  }

  @Test func whatCannotBeOpenedSaysSo() throws {
    let scratch = Scratch()
    for path in [scratch.file("no/such"), scratch.path] {
      let created = #expect(throws: FileError.self) {
        try AppendFile(creating: path, head: [1])
      }
      #expect(created?.kind == .cannotCreate && created?.path == path)
      let continued = #expect(throws: FileError.self) {
        try AppendFile(continuing: path, after: 0)
      }
      #expect(continued?.kind == .cannotCreate)
    }
    #expect(try AppendFile.contents(scratch.file("none")) == nil)
    #expect(throws: FileError.self) { try AppendFile.contents(scratch.path) }
    scratch.write("12345", as: "five")
    #expect(throws: FileError.self) { try AppendFile.contents(scratch.file("five"), limit: 4) }
    #expect(try AppendFile.contents(scratch.file("five"), limit: 5)?.count == 5)
  }
}
