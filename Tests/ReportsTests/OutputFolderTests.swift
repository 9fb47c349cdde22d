import DurableFiles
import Glibc
import StrictJSON
import TestSupport
import Testing

@testable import Reports

@Suite struct OutputFolderTests {
  private var manifest: Manifest {
    Manifest(
      version: "1.0", arguments: ["vitprobe", "cka"], configuration: ["rows": "flatten"], seed: 0,
      imageCount: 512, threads: 2)
  }

  @discardableResult
  private func run(
    _ path: String, _ files: [(String, String)], as identity: RunIdentity? = nil,
    replace: Bool = false, force: Bool = false, _ calls: FileSystemCalls = .system
  ) throws(FileError) -> Manifest {
    let folder = try OutputFolder(
      path, identity: identity, replace: replace, force: force, writing: [], calls)
    for (name, text) in files { try folder.write(text, to: name) }
    return try folder.commit(manifest)
  }

  @Test func makesTheFolderAndListsWhatItWrote() throws {
    let scratch = Scratch()
    let written = try run(scratch.file("new/deep/out/"), [("a.csv", "1\n"), ("b.svg", "<svg/>")])
    #expect(written.outputs.map(\.name) == ["a.csv", "b.svg"])
    #expect(written.outputs[0].sha256 == Digest.sha256("1\n".utf8))
    #expect(written.outputs[1].size == 6)
    let contents = scratch.contents
    #expect(
      Set(contents.keys) == [
        "new/", "new/deep/", "new/deep/out/", "new/deep/out/a.csv", "new/deep/out/b.svg",
        "new/deep/out/run.json",
      ])
    #expect(contents["new/deep/out/run.json"] == written.json.pretty)
    // Read back by the reader, in the order of the document.
    let document = try JSONValue(parsing: Array(written.json.pretty.utf8))
    #expect(document == written.json)
    guard case .object(let members) = document else {
      Issue.record("an object")
      return
    }
    #expect(
      members.map(\.name) == [
        "tool", "version", "run", "arguments", "configuration", "networks", "inputs",
        "outputs", "seed",
        "estimators",
        "n_images", "skipped", "notes", "threads", "ranks", "kernels", "wall_seconds",
      ])
  }

  @Test func replacesItsOwnAndRemovesWhatIsStale() throws {
    let scratch = Scratch()
    try run(scratch.file("out"), [("a", "1"), ("b", "1")])
    scratch.write("mine", as: "out/notes.md")
    try run(scratch.file("out"), [("b", "2"), ("c", "2")])
    var contents = scratch.contents
    contents["out/run.json"] = nil
    #expect(contents == ["out/": "", "out/b": "2", "out/c": "2", "out/notes.md": "mine"])
  }

  @Test func refusesAForeignFolder() throws {
    let scratch = Scratch()
    scratch.write("thesis", as: "thesis.tex")
    let before = scratch.contents
    let error = #expect(throws: FileError.self) { try run(scratch.path, [("a", "1")]) }
    #expect(error?.kind == .cannotCreate)
    #expect(error?.description.contains("thesis.tex") == true)
    #expect(error?.description.contains("`force`") == true)
    #expect(scratch.contents == before)

    try run(scratch.path, [("a", "1"), ("thesis.tex", "replaced")], force: true)
    #expect(scratch.contents["thesis.tex"] == "replaced")
  }

  @Test(arguments: [
    "", "{}", "[]", "null", "{\"tool\":\"other\",\"outputs\":[]}", "{\"tool\":\"vitprobe\"}",
    "{\"tool\":\"vitprobe\",\"outputs\":[}",
  ])
  func aManifestOfAnotherProgramIsForeign(text: String) throws {
    let scratch = Scratch()
    scratch.write(text, as: "run.json")
    #expect(throws: FileError.self) { try run(scratch.path, [("a", "1")]) }
    #expect(scratch.contents == ["run.json": text])
  }

  /// A document from a stranger must not make us remove files that it names.
  @Test func aManifestCannotReachOutOfItsFolder() throws {
    let scratch = Scratch()
    scratch.write("precious", as: "precious")
    mkdir(scratch.file("out"), 0o777)
    scratch.write("here", as: "out/stale")
    scratch.write(
      """
      {"tool":"vitprobe","outputs":[{"name":"../precious"},{"name":"stale"},{"name":".."},{}]}
      """, as: "out/run.json")
    try run(scratch.file("out"), [("a", "1")])
    #expect(scratch.contents["precious"] == "precious")
    #expect(scratch.contents["out/stale"] == nil)
  }

  @Test func doesNotReplaceAFileThatNoRunWrote() throws {
    let scratch = Scratch()
    try run(scratch.file("out"), [("a", "1")])
    scratch.write("mine", as: "out/b")
    let before = scratch.contents
    let late = #expect(throws: FileError.self) {
      try run(scratch.file("out"), [("a", "2"), ("b", "2")])
    }
    #expect(late?.kind == .cannotCreate && late?.path == scratch.file("out/b"))
    let early = #expect(throws: FileError.self) {
      try OutputFolder(scratch.file("out"), writing: ["a", "b"])
    }
    #expect(early?.path == scratch.file("out/b"))
    #expect(scratch.contents == before)
  }

  @Test(arguments: ["../x", "a/b", "", ".", "..", ".vitprobe-lock"])
  func namesArePlain(name: String) throws {
    let scratch = Scratch()
    #expect(throws: FileError.self) { try run(scratch.file("out"), [(name, "1")]) }
    #expect(scratch.contents.isEmpty)
  }

  @Test func keepsTwoRunsApart() throws {
    let scratch = Scratch()
    do {
      let first = try OutputFolder(scratch.file("out"))
      try first.write("1", to: "a")
      let error = #expect(throws: FileError.self) { try OutputFolder(scratch.file("out")) }
      #expect(error?.kind == .cannotCreate)
      #expect(error?.description.contains("process \(getpid()) on ") == true)
      try first.commit(manifest)
    }
    #expect(scratch.contents.keys.contains("out/.vitprobe-lock") == false)
    // A lock file without a living holder does not count.
    scratch.write("process 1 on elsewhere\n", as: "out/.vitprobe-lock")
    try run(scratch.file("out"), [("a", "2")])
    #expect(scratch.contents["out/a"] == "2")
  }

  @Test func aRunThatEndsWithoutACommitLeavesNoTrace() throws {
    let scratch = Scratch()
    do {
      let folder = try OutputFolder(scratch.file("x/out"))
      try folder.write("1", to: "a")
    }
    #expect(scratch.contents.isEmpty)
    try run(scratch.file("out"), [("a", "1")])
    let before = scratch.contents
    do {
      let folder = try OutputFolder(scratch.file("out"))
      try folder.write("2", to: "a")
    }
    #expect(scratch.contents == before)
  }

  @Test func anOutputThatIsAFileOrUnderOne() throws {
    let scratch = Scratch()
    scratch.write("file", as: "out")
    for path in [scratch.file("out"), scratch.file("out/deeper")] {
      let error = #expect(throws: FileError.self) { try OutputFolder(path) }
      #expect(error?.kind == .cannotCreate)
    }
    #expect(scratch.contents == ["out": "file"])
  }

  /// Every call fails in turn, alone or with all that follow (a process that dies): what is
  /// visible is whole, and the next run finds the earlier results or the new ones, all of one run.
  @Test(arguments: [false, true])
  func aFailureAnywhereLosesNothing(forever: Bool) throws {
    let earlier = [("a", "old a"), ("b", "old b"), ("stale", "old s")]
    let later = [("a", "new a"), ("b", "new b"), ("c", "new c")]
    let total = FaultyCalls()
    do {
      let scratch = Scratch()
      try run(scratch.file("out"), earlier)
      try run(scratch.file("out"), later, total.calls)
    }
    #expect(total.count > 40)
    var outcomes: Set<String> = []
    for failing in 0..<total.count {
      let scratch = Scratch()
      try run(scratch.file("out"), earlier)
      let faulty = FaultyCalls(failing: failing, code: ENOSPC, forever: forever)
      do {
        try run(scratch.file("out"), later, faulty.calls)
      } catch {
        #expect(error.path.hasPrefix(scratch.file("out")), "call \(failing): \(error)")
        #expect(error.code == ENOSPC)
      }
      for (name, text) in scratch.contents
      where !name.contains(".vitprobe-") && !name.hasSuffix("/") && !name.hasSuffix("run.json") {
        #expect((earlier + later).contains { "out/" + $0.0 == name && $0.1 == text }, "\(name)")
      }
      // The next run opens the folder and changes nothing.
      do { _ = try OutputFolder(scratch.file("out")) }
      var after = scratch.contents
      let listed = EarlierRun(in: scratch.file("out"))?.names
      after["out/run.json"] = nil
      func tree(_ files: [(String, String)]) -> [String: String] {
        Dictionary(
          uniqueKeysWithValues: [("out/", "")] + files.map { ("out/" + $0.0, $0.1) })
      }
      let isOld = after == tree(earlier)
      #expect(isOld || after == tree(later), "call \(failing): \(after)")
      #expect(listed == Set((isOld ? earlier : later).map(\.0) + ["run.json"]))
      outcomes.insert(isOld ? "old" : "new")
    }
    #expect(outcomes == ["old", "new"])
  }

  /// A process that dies at any call in a folder where no run has ended yet, a shard of a run or all of it: the same
  /// command goes on, and so does another shard.
  @Test(arguments: [nil, "1/2"])
  func theFirstRunOfAFolderCanDieAnywhere(shard: String?) throws {
    let files = [("a", "1"), ("b", "2")]
    let total = FaultyCalls()
    try run(Scratch().file("out"), files, as: identity("cka", "x", shard), total.calls)
    var ends: Set<[String]> = []
    for failing in 0..<total.count {
      let scratch = Scratch()
      let path = scratch.file("out")
      let faulty = FaultyCalls(failing: failing, code: ENOSPC, forever: true)
      _ = try? run(path, files, as: identity("cka", "x", shard), faulty.calls)
      ends.insert(scratch.names(in: "out").filter { !$0.hasPrefix(".") })
      if shard != nil { try run(path, [("c", "3")], as: identity("cka", "x", "2/2")) }
      try run(path, files, as: identity("cka", "x", shard))
      #expect(scratch.contents["out/a"] == "1" && scratch.contents["out/b"] == "2")
      #expect((scratch.contents["out/c"] == nil) == (shard == nil))
      #expect(
        EarlierRun(in: path)?.names.count == scratch.names(in: "out").count, "call \(failing)")
    }
    #expect(ends.isSuperset(of: [["a"], ["a", "b"], ["a", "b", Manifest.fileName]]), "\(ends)")
  }

  @Test func foldersListTheirParts() throws {
    let scratch = Scratch()
    for name in ["b.vpart", "a.vpart", "c.csv"] { scratch.write("", as: name) }
    mkdir(scratch.file("d.vpart"), 0o700)
    #expect(
      OutputFolder.files(in: scratch.path, endingIn: ".vpart")
        == ["a.vpart", "b.vpart"].map(scratch.file))
    #expect(OutputFolder.files(in: scratch.file("a.vpart"), endingIn: ".vpart") == nil)
  }

  // MARK: Whose results stand there

  private func identity(_ command: String, _ settings: String, _ shard: String? = nil)
    -> RunIdentity
  {
    RunIdentity(command: command, settingsSHA256: Digest.sha256(settings.utf8), shard: shard)
  }

  @Test func theSameRunReplacesItsResultsAndSaysSo() throws {
    let scratch = Scratch()
    try run(scratch.file("out"), [("a", "1"), ("b", "1")], as: identity("cka", "x"))
    do {
      let folder = try OutputFolder(scratch.file("out"), identity: identity("cka", "x"))
      #expect(folder.replaced == "vitprobe cka")
    }
    try run(scratch.file("out"), [("a", "2")], as: identity("cka", "x"))
    #expect(scratch.contents["out/a"] == "2")
    #expect(scratch.contents["out/b"] == nil)
    do {
      let folder = try OutputFolder(scratch.file("new"), identity: identity("cka", "x"))
      #expect(folder.replaced == nil)
    }
  }

  @Test(
    arguments: [("hessian", "x", nil), ("cka", "y", nil), ("cka", "x", "1/2")]
      as [(
        String, String, String?
      )])
  func resultsOfAnotherRunStay(_ command: String, _ settings: String, _ shard: String?) throws {
    let scratch = Scratch()
    try run(scratch.file("out"), [("a", "1"), ("b", "1")], as: identity("cka", "x"))
    let before = scratch.contents
    let other = identity(command, settings, shard)
    let error = #expect(throws: FileError.self) {
      try run(scratch.file("out"), [("a", "2")], as: other)
    }
    #expect(error?.kind == .cannotCreate)
    #expect(error?.description.contains("vitprobe cka") == true)
    #expect(error?.description.contains("`replace`") == true)
    #expect(scratch.contents == before)
    try run(scratch.file("out"), [("a", "2")], as: other, replace: true)
    #expect(scratch.contents["out/a"] == "2")
    #expect(scratch.contents["out/b"] == nil)
  }

  @Test func resultsThatWereMovedAwayAreNoReasonToStop() throws {
    let scratch = Scratch()
    try run(scratch.file("out"), [("a", "1")], as: identity("cka", "x"))
    unlink(scratch.file("out/a"))
    try run(scratch.file("out"), [("b", "2")], as: identity("hessian", "x"))
    #expect(scratch.contents["out/b"] == "2")
  }

  @Test func partsOfOneRunLiveSideBySide() throws {
    let scratch = Scratch()
    let path = scratch.file("out")
    // Both at work at once; the second to begin is the first to end.
    let first = try OutputFolder(path, identity: identity("cka", "x", "1/2"))
    let second = try OutputFolder(path, identity: identity("cka", "x", "2/2"))
    try first.write("1", to: "1-of-2.vpart")
    try second.write("2", to: "2-of-2.vpart")
    try second.commit(manifest)
    let written = try first.commit(manifest)
    #expect(written.outputs.map(\.name) == ["2-of-2.vpart", "1-of-2.vpart"])
    #expect(scratch.contents["out/1-of-2.vpart"] == "1")
    #expect(scratch.contents["out/2-of-2.vpart"] == "2")
    // One of them again: it replaces its own part alone, whatever else it might replace.
    try run(path, [("1-of-2.vpart", "2")], as: identity("cka", "x", "1/2"))
    try run(path, [("1-of-2.vpart", "3")], as: identity("cka", "x", "1/2"), replace: true)
    #expect(scratch.contents["out/1-of-2.vpart"] == "3")
    #expect(scratch.contents["out/2-of-2.vpart"] == "2")
    let error = #expect(throws: FileError.self) {
      try run(path, [("1-of-3.vpart", "4")], as: identity("cka", "y", "1/3"))
    }
    #expect(error?.kind == .cannotCreate)
  }
}
