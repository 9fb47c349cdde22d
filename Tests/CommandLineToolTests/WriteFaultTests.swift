import Glibc
import TestSupport
import Testing

/// Disks that are full, folders that may not be written to, readers that leave.
@Suite struct WriteFaultTests {
  private let inputs = Inputs()

  private func arguments(_ folder: String) -> [String] {
    [
      "run", Inputs.vit, "--data", inputs.images(64), "--batch-size", "8", "--bootstrap", "20",
      "-o",
      folder,
    ]
  }

  private func run(_ arguments: [String], fileSizeLimit: Int? = nil) throws -> Program.Result {
    try Program.run(arguments, in: inputs.scratch.path, fileSizeLimit: fileSizeLimit)
  }

  private func results(_ folder: String) -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in inputs.scratch.names(in: folder) where name != "run.json" {
      files[name] = Scratch.read(inputs.scratch.file("\(folder)/\(name)"))
    }
    return files
  }

  /// A limit on the size of a file stands for a disk that is full: at the records, at a figure, at
  /// the manifest. What was computed is there when there is room again.
  @Test func aFullDiskLeavesNoResultAndLosesNone() throws {
    #expect(try run(arguments("whole")).code == 0)
    let expected = results("whole")
    var failures = 0
    for limit in [1, 2, 4, 8, 16, 24] {
      let folder = "full-\(limit)"
      let result = try run(arguments(folder), fileSizeLimit: limit)
      if result.code == 0 {
        #expect(results(folder) == expected)
        continue
      }
      failures += 1
      #expect(result.code == 74 || result.code == 73, "\(result.errors)")
      #expect(result.errors.contains("\(folder)/.vitprobe-"), "\(result.errors)")
      #expect(result.output.isEmpty)
      #expect(
        inputs.scratch.names(in: folder).allSatisfy { $0 == ".vitprobe-records" },
        "\(inputs.scratch.names(in: folder))")
      let again = try run(arguments(folder) + ["--resume"])
      #expect(again.code == 0, "\(again.errors)")
      #expect(results(folder) == expected)
    }
    #expect(failures >= 3)
  }

  @Test func aFullDiskLeavesEarlierResults() throws {
    #expect(try run(arguments("out")).code == 0)
    let before = inputs.scratch.names(in: "out").map {
      Scratch.read(inputs.scratch.file("out/\($0)"))
    }
    let result = try run(arguments("out"), fileSizeLimit: 8)
    #expect(result.code == 74, "\(result.errors)")
    let names = inputs.scratch.names(in: "out").filter { $0 != ".vitprobe-records" }
    #expect(names.map { Scratch.read(inputs.scratch.file("out/\($0)")) } == before)
  }

  @Test(arguments: ["variance", "merge"])
  func aDeviceThatIsFullIsAnError(command: String) throws {
    var arguments = ["variance", Inputs.vit, "--data", inputs.images(16), "-o", "-"]
    if command == "merge" {
      #expect(try run(Array(arguments.dropLast()) + ["s", "--shard", "1/1"]).code == 0)
      arguments = ["merge", "s", "-o", "-"]
    }
    let result = try Program.run(
      arguments, in: inputs.scratch.path, outputPath: "/dev/full")
    #expect(result.code == 74)
    #expect(result.errors.contains("standard output"))
  }

  @Test func aReaderThatLeavesEndsAMergeQuietly() throws {
    let data = inputs.images(16)
    #expect(
      try run(["variance", Inputs.vit, "--data", data, "-o", "s", "--shard", "1/1"]).code == 0)
    let result = try Program.run(
      ["merge", "s", "-o", "-", "-q"], in: inputs.scratch.path, isOutputClosed: true)
    #expect(result.code == 0 && result.errors.isEmpty)
  }

  /// Nothing can be made in /proc, whoever one is.
  @Test func aFolderThatCannotBeMadeIsSaidBeforeAnythingIsComputed() throws {
    let result = try run(arguments("/proc/vitprobe"))
    #expect(result.code == 73)
    #expect(result.errors.contains("/proc/vitprobe"))
    let merged = try run(["convert", "x.npy", "/proc/x.safetensors"])
    #expect(merged.code != 0)
  }

  @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
  func aFolderThatMayOnlyBeReadStaysAsItIs() throws {
    let folder = inputs.scratch.folder("locked")
    chmod(folder, 0o500)
    defer { chmod(folder, 0o700) }
    for place in ["locked", "locked/deeper"] {
      let result = try run(arguments(place))
      #expect(result.code == 73)
      #expect(result.errors.contains(place))
    }
    #expect(inputs.scratch.names(in: "locked").isEmpty)
  }
}
