import Glibc
import Reports
import StrictJSON
import TestSupport
import Testing

/// Runs that are shared out, and what merge makes of them.
@Suite struct ShardTests {
  private let inputs = Inputs()

  private func run(_ arguments: [String]) throws -> Program.Result {
    try Program.run(arguments, in: inputs.scratch.path)
  }

  @Test(arguments: ["run", "hessian"], [2, 3])
  func shardsMergeToTheBytesOfOneRun(command: String, count: Int) throws {
    inputs.scratch.write((0..<35).map { "\($0 % 7)\n" }.joined(), as: "labels.txt")
    var arguments = [
      command, Inputs.vit, "--data", inputs.images(35), "--labels", "labels.txt", "--batch-size",
      "8",
    ]
    arguments += command == "run" ? ["--bootstrap", "20"] : ["--steps", "5"]
    #expect(try run(arguments + ["-o", "whole", "-q"]).code == 0)
    for index in 1...count {
      let result = try run(arguments + ["-o", "s\(index)", "--shard", "\(index)/\(count)"])
      #expect(result.code == 0, "\(result.errors)")
      #expect(
        inputs.scratch.names(in: "s\(index)") == ["part-\(index)-of-\(count).vpart", "run.json"])
    }
    // Neither data nor labels are needed any more.
    unlink(inputs.scratch.file("x.npy"))
    unlink(inputs.scratch.file("labels.txt"))
    let folders = (1...count).reversed().map { "s\($0)" }
    let merged = try run(["merge"] + folders + ["-o", "merged", "--json"])
    #expect(merged.code == 0, "\(merged.errors)")
    #expect(inputs.results("merged") == inputs.results("whole"))
    #expect(
      inputs.results("whole").keys.contains(command == "run" ? "metrics.csv" : "hessian_eigs.csv"))
    let summary = try JSONValue(parsing: Array(merged.output.utf8))
    #expect(summary["images"] == .integer(35) && summary["total"] == .integer(35))
    // Images, checkpoint and settings are known to the manifest as they are to that of a run.
    let manifests = try ["whole", "merged"].map {
      try JSONValue(parsing: Scratch.read(inputs.scratch.file("\($0)/run.json")) ?? [])
    }
    for key in ["inputs", "outputs", "seed", "estimators", "n_images", "kernels"] {
      #expect(manifests[0][key] == manifests[1][key], "\(key)")
    }
    let stream = try run(["merge"] + folders + ["-o", "-", "-q"])
    if command == "run" {
      #expect(stream.code == 64 && stream.output.isEmpty && stream.errors.contains("cka, fourier"))
    } else {
      #expect(Array(stream.output.utf8) == inputs.results("whole")["hessian_eigs.csv"])
    }

    let gap = try run(["merge"] + folders.dropLast() + ["-o", "gap"])
    #expect(gap.code == 65 && gap.errors.contains("--allow-partial"))
    #expect(inputs.scratch.names(in: "gap").isEmpty)
    let partial = try run(["merge"] + folders.dropLast() + ["-o", "gap", "--allow-partial"])
    #expect(partial.code == 0 && partial.errors.contains("of 35 images"))
    let twice = try run(["merge", "s1/part-1-of-\(count).vpart", "s1", "-o", "gap"])
    #expect(twice.code == 64)
  }

  /// Shards may read copies of the same files in other folders, as jobs on a cluster do.
  @Test func copiesInOtherFoldersAreTheSameInputs() throws {
    let data = inputs.images(24)
    let copy = inputs.scratch.folder("copy") + "/x.npy"
    inputs.scratch.write(Scratch.read(inputs.scratch.file(data)) ?? [], as: "copy/x.npy")
    let arguments = ["variance", Inputs.vit, "--batch-size", "4", "-q"]
    #expect(try run(arguments + ["--data", data, "-o", "whole"]).code == 0)
    #expect(try run(arguments + ["--data", data, "-o", "a", "--shard", "1/2"]).code == 0)
    #expect(try run(arguments + ["--data", copy, "-o", "b", "--shard", "2/2"]).code == 0)
    let merged = try run(["merge", "a", "b", "-o", "c"])
    #expect(merged.code == 0, "\(merged.errors)")
    #expect(inputs.results("c") == inputs.results("whole"))
    // A shard that is done is done.
    let again = try run(arguments + ["--data", data, "-o", "a", "--shard", "1/2", "--resume"])
    #expect(again.code == 0, "\(again.errors)")
    #expect(try run(["merge", "a", "b", "-o", "d", "-q"]).code == 0)
    #expect(inputs.results("d") == inputs.results("whole"))
  }

  /// Skipped images are the same ones, and do not move the others to other minibatches.
  @Test func skippedImagesMerge() throws {
    _ = inputs.scratch.folder("data")
    for index in 0..<14 {
      let bytes = Bitmaps.png(32, seed: UInt8(index))
      inputs.scratch.write(
        index == 5 ? Array(bytes.dropLast(40)) : bytes, as: "data/\(index + 10).png")
    }
    let arguments = [
      "variance", Inputs.vit, "--data", "data", "--batch-size", "4", "--on-bad-image", "skip", "-q",
    ]
    #expect(try run(arguments + ["-o", "whole"]).code == 1)
    for index in 1...2 {
      let result = try run(arguments + ["-o", "s\(index)", "--shard", "\(index)/2"])
      #expect(result.code == (index == 2 ? 1 : 0), "\(result.errors)")
    }
    #expect(try run(["merge", "s1", "s2", "-o", "merged"]).code == 1)
    #expect(inputs.results("merged") == inputs.results("whole"))
    let manifest = Scratch.read(inputs.scratch.file("merged/run.json")) ?? []
    #expect(String(decoding: manifest, as: UTF8.self).contains("15.png"))
  }

  @Test func partsThatAreNoneAreNamed() throws {
    inputs.scratch.write("vitprobe records 1\nrubbish", as: "a.vpart")
    inputs.scratch.write("PK", as: "b.vpart")
    for (part, code, text) in [
      ("a.vpart", 65, "header"), ("b.vpart", 65, "not a file of records"),
      ("none.vpart", 66, "no such file"),
    ] {
      let result = try run(["merge", part, "-o", "m"])
      #expect(result.code == code && result.errors.contains(part) && result.errors.contains(text))
    }
    #expect(try run(["merge"]).code == 64)
    let data = inputs.images(8)
    for shard in ["0/2", "3/2", "slurm", "x"] {
      let result = try run(["variance", Inputs.vit, "--data", data, "--shard", shard])
      #expect(result.code == 64 && result.errors.contains("--shard"), "\(result.errors)")
    }
  }
}
