import Glibc
import StrictJSON
import TestSupport
import Testing

@testable import Reports

/// Folders of finished runs, and folders of something else.
@Suite struct FinishedRunTests {
  private let scratch = Scratch()

  /// A run as ``OutputFolder`` leaves it.
  private func finish(_ name: String, shard: String? = nil) throws -> String {
    let path = scratch.file(name)
    let folder = try OutputFolder(
      path, identity: RunIdentity(command: "variance", settingsSHA256: "ab", shard: shard))
    try folder.write("model,value\nvit,1.5\n", to: "variance.csv")
    try folder.write("<svg/>", to: "variance.svg")
    try folder.commit(
      Manifest(
        version: "9", arguments: ["variance"], configuration: [:], seed: 0, imageCount: 4,
        threads: 1))
    return path
  }

  private func expect(
    _ kind: ResultsError.Kind, _ text: String, reading path: String,
    _ location: SourceLocation = #_sourceLocation
  ) {
    #expect(sourceLocation: location) {
      _ = try FinishedRun(reading: path)
    } throws: { error in
      (error as? ResultsError)?.kind == kind && "\(error)".contains(text)
    }
  }

  @Test func aRunComesBack() throws {
    let run = try FinishedRun(reading: try finish("a"))
    #expect(run.manifest["n_images"] == 4 && run.tables.map(\.name) == ["variance"])
    #expect(try run.table("variance")?.numbers("value") == [1.5])
    #expect(run.table("cka") == nil)
    #expect(run.files.map(\.output.name) == ["variance.csv", "variance.svg"])
    #expect(run.files.allSatisfy { $0.state == .asWritten })
  }

  @Test func whatBecameOfFilesIsTold() throws {
    let path = try finish("a")
    scratch.write("model,value\nvit,1.6\n", as: "a/variance.csv")
    #expect(unlink("\(path)/variance.svg") == 0)
    let run = try FinishedRun(reading: path)
    let digest = Digest.sha256("model,value\nvit,1.6\n".utf8)
    #expect(run.files.map(\.state) == [.changed(sha256: digest), .missing])
    #expect(try run.table("variance")?.numbers("value") == [1.6])
  }

  @Test func whatIsNoFinishedRunIsRefused() throws {
    expect(.missing, "no such folder", reading: scratch.file("none"))
    expect(.damaged, "is not a folder", reading: scratch.write("x", as: "file"))
    _ = scratch.folder("empty")
    expect(.missing, "holds no run.json", reading: scratch.file("empty"))
    scratch.write("x", as: "empty/.vitprobe-records")
    expect(.missing, "interrupted: repeat its command", reading: scratch.file("empty"))
    for (text, says) in [
      ("{", "run.json: is not JSON"), ("{\"tool\": \"other\"}", "another program"),
      ("{\"tool\": \"vitprobe\"}", "found no list \"outputs\""),
      ("{\"tool\": \"vitprobe\", \"outputs\": [{\"name\": \"../x\"}]}", "no plain file"),
      ("{\"tool\": \"vitprobe\", \"outputs\": []}", "holds no table"),
    ] {
      scratch.write(text, as: "empty/run.json")
      expect(.damaged, says, reading: scratch.file("empty"))
    }
    expect(.damaged, "vitprobe merge", reading: try finish("part", shard: "1/2"))
    let path = try finish("damaged")
    scratch.write("model,value\nvit\n", as: "damaged/variance.csv")
    expect(.damaged, "variance.csv: line 2", reading: path)
  }
}
