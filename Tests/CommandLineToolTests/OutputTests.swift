import Checkpoints
import Reports
import StrictJSON
import TestSupport
import Testing

/// What commands print and write.
@Suite struct OutputTests {
  private let inputs = Inputs()

  private func text(_ name: String) -> String {
    String(decoding: Scratch.read(inputs.scratch.file(name)) ?? [], as: UTF8.self)
  }

  @Test func eachCommandWritesItsFiles() throws {
    let data = inputs.images(16)
    let expected = [
      "cka": ["cka.csv", "cka_curve.csv", "cka_curve.svg", "cka_v_v.svg", "run.json"],
      "fourier": ["fourier.csv", "fourier_depth.svg", "fourier_v.svg", "run.json"],
      "variance": ["run.json", "variance.csv", "variance.svg"],
    ]
    for (command, files) in expected {
      let result = try inputs.run(
        command, Inputs.vit, "--data", data, "-o", command, "--batch-size", "8")
      #expect(result.code == 0, "\(result.errors)")
      #expect(inputs.scratch.names(in: command) == files)
      let folder = inputs.scratch.file(command)
      try FilledFolder.expectFilesToBeDocumented(folder, of: command)
      try FilledFolder.expectNoOtherFilesToBeDocumented(folder, of: command)
      let all = files.filter { $0.hasSuffix(".csv") }.map { text("\(command)/\($0)") }
      #expect(all.allSatisfy { $0.contains("v,") })
    }
    // One pass gives what three do, and the page draws the same.
    let result = try inputs.run("run", Inputs.vit, "--data", data, "-o", "run", "--batch-size", "8")
    #expect(result.code == 0)
    #expect(inputs.scratch.names(in: "run") == Set(expected.values.joined()).sorted())
    try FilledFolder.expectPageToDrawTheSame(inputs.scratch.file("run"))
    for (command, files) in expected {
      for file in files where file != "run.json" {
        #expect(text("run/\(file)") == text("\(command)/\(file)"), "\(file)")
      }
    }
  }

  @Test func attentionWritesATableAndAFigureForEachStatistic() throws {
    let data = inputs.images(16)
    let statistics = [
      "distance", "effective_rank", "entropy", "head_similarity", "layer_similarity", "nmi",
      "similar_heads", "token_similarity",
    ]
    let files =
      (["attention.csv", "attention_offsets.csv", "attention_offsets_v.svg", "run.json"]
      + statistics.map { "attention_\($0).svg" }).sorted()
    let result = try inputs.run(
      "attention", Inputs.vit, Inputs.resnet, "--data", data, "-o", "attention", "--batch-size", "8"
    )
    #expect(result.code == 0, "\(result.errors)")
    #expect(inputs.scratch.names(in: "attention") == files)
    let folder = inputs.scratch.file("attention")
    try FilledFolder.expectFilesToBeDocumented(folder, of: "attention")
    try FilledFolder.expectNoOtherFilesToBeDocumented(folder, of: "attention")
    try FilledFolder.expectPageToDrawTheSame(folder)
    let together = try inputs.run(
      "run", Inputs.vit, Inputs.resnet, "--data", data, "-o", "run", "--batch-size", "8",
      "--analyses", "cka,fourier,variance,attention")
    #expect(together.code == 0, "\(together.errors)")
    let whole = inputs.scratch.file("run")
    try FilledFolder.expectFilesToBeDocumented(whole, of: "run")
    try FilledFolder.expectPageToDrawTheSame(whole)
    let relations = try inputs.run(
      "relations", Inputs.vit, Inputs.resnet, "--data", data, "-o", "relations")
    #expect(relations.code == 0, "\(relations.errors)")
    let third = inputs.scratch.file("relations")
    try FilledFolder.expectFilesToBeDocumented(third, of: "relations")
    try FilledFolder.expectNoOtherFilesToBeDocumented(third, of: "relations")
    try FilledFolder.expectOneLook(
      whole, models: ["v", "r"],
      staged: ["cka_curve", "fourier_depth", "variance", "attention_token_similarity"])
    #expect(text("run/attention.csv") == text("attention/attention.csv"))
    // The rank is left out where nobody asks for it.
    let short = try inputs.run(
      "attention", Inputs.vit, "--data", data, "-o", "short", "--rank-images", "0")
    #expect(short.code == 0)
    #expect(!text("short/attention.csv").contains("effective_rank"))
    for wrong in [["--rank-images", "-1"], ["--threshold", "2"]] {
      let refused = try Program.run(
        ["attention", Inputs.vit, "--data", data] + wrong, in: inputs.scratch.path)
      #expect(refused.code == 64)
    }
  }

  @Test func figuresAreSetAsAsked() throws {
    let data = inputs.images(16)
    func run(_ options: String...) throws -> (code: Int32, errors: String) {
      let result = try Program.run(
        ["variance", Inputs.vit, "--data", data, "--batch-size", "8", "-o", "v"] + options,
        in: inputs.scratch.path)
      return (result.code, result.errors)
    }
    let tables = try run("--format", "csv,svg")
    #expect(tables.code == 0, "\(tables.errors)")
    let csv = text("v/variance.csv")
    let set = try run(
      "--format", "csv,svg", "--figure-width", "single", "--no-titles", "--font", "Source Sans 3")
    #expect(set.code == 0, "\(set.errors)")
    #expect(
      inputs.scratch.names(in: "v") == ["run.json", "variance.csv", "variance.svg", "variance.txt"])
    #expect(text("v/variance.csv") == csv)
    #expect(text("v/variance.svg").contains("width=\"312\""))
    #expect(text("v/variance.svg").contains("&#39;Source Sans 3&#39;, Helvetica"))
    #expect(text("v/variance.txt").hasPrefix("Feature map variance over depth. n = 16 images"))
    let scaled = try run("--scale", "auto")
    #expect(scaled.code == 0 && scaled.errors.contains("--scale is of heat maps"))
    // PDF and PNG, or a word on what is missing before anything is computed.
    let printed = try run("--format", "csv,pdf,png")
    if printed.code == 0 {
      #expect(
        inputs.scratch.names(in: "v")
          == ["run.json", "variance.csv", "variance.pdf", "variance.png"])
    } else {
      #expect(printed.code == 64 && printed.errors.contains("apt-get install"))
    }
    for wrong in [
      ["--figure-width", "wide"], ["--figure-width", "1"], ["--figure-width", "nan"],
      ["--scale", "1,0"], ["--scale", "0"], ["--scale", "0,inf"], ["--font", "a'b"],
      ["--font", "A, B"], ["--format", "gif"],
    ] {
      let refused = try Program.run(
        ["variance", Inputs.vit, "--data", data] + wrong, in: inputs.scratch.path)
      #expect(refused.code == 64 && refused.errors.contains(wrong[0]), "\(wrong)")
    }
  }

  @Test func aStreamIsTheTableAlone() throws {
    let data = inputs.images(16)
    let result = try inputs.run("fourier", Inputs.vit, "--data", data, "-o", "-")
    #expect(result.code == 0)
    #expect(inputs.scratch.names() == ["x.npy"])
    #expect(try inputs.run("fourier", Inputs.vit, "--data", data, "-o", "f").code == 0)
    #expect(result.output == text("f/fourier.csv"))
    let other = inputs.images(16, as: "y.npy")
    let twice = try inputs.run("fourier", Inputs.vit, "--data", data, "--data", other, "-o", "-")
    #expect(twice.code == 64)
    #expect(try inputs.run("capture", Inputs.vit, "--data", data, "-o", "-").code == 64)
  }

  @Test func summariesAreJSON() throws {
    let data = inputs.images(16)
    for command in ["run", "capture"] {
      let result = try inputs.run(command, Inputs.vit, "--data", data, "--json", "-o", command)
      #expect(result.code == 0)
      let document = try JSONValue(parsing: Array(result.output.utf8))
      #expect(document["images"] == .integer(16))
      #expect(document["files"]?.arrayValue?.contains(.string("run.json")) == true)
    }
    let plan = try inputs.run("run", Inputs.vit, "--data", data, "--json", "--dry-run")
    #expect(try JSONValue(parsing: Array(plan.output.utf8))["images"] == .integer(16))
  }

  /// A folder keeps the results of another command and of other settings; the same again says so.
  @Test func nothingDisappearsWithoutAWord() throws {
    let data = inputs.images(16)
    func run(_ command: String, _ more: String...) throws -> Program.Result {
      try Program.run(
        [command, Inputs.vit, "--data", data, "--no-progress"] + more, in: inputs.scratch.path)
    }
    #expect(try run("variance", "-o", "out").code == 0)
    let before = text("out/run.json")
    for other in [["fourier"], ["variance", "--batch-size", "4"], ["variance", "--shard", "1/2"]] {
      for plan in [[], ["--dry-run"]] {
        let result = try Program.run(
          other + [Inputs.vit, "--data", data, "-o", "out"] + plan, in: inputs.scratch.path)
        #expect(result.code == 73, "\(other)")
        #expect(result.errors.contains("vitprobe variance"))
        #expect(result.errors.contains("--replace"))
      }
    }
    #expect(text("out/run.json") == before)
    let again = try run("variance", "-o", "out")
    #expect(again.code == 0)
    #expect(again.errors.contains("the results of vitprobe variance will be replaced"))
    let replaced = try run("fourier", "-o", "out", "--replace")
    #expect(replaced.code == 0)
    #expect(replaced.errors.contains("the results of vitprobe variance will be replaced"))
    #expect(!inputs.scratch.names(in: "out").contains("variance.csv"))
    // Each command has a folder of its own.
    #expect(try run("variance").code == 0)
    #expect(try run("fourier").code == 0)
    #expect(inputs.scratch.names(in: "vitprobe-out") == ["fourier", "variance"])
  }

  @Test func shardsShareAFolder() throws {
    let data = inputs.images(16)
    func run(_ more: String...) throws -> Program.Result {
      try Program.run(
        ["variance", Inputs.vit, "--data", data, "--batch-size", "4"] + more,
        in: inputs.scratch.path)
    }
    #expect(try run("-o", "whole").code == 0)
    for shard in ["1/2", "2/2", "1/2"] {
      #expect(try run("-o", "parts", "--shard", shard).code == 0, "\(shard)")
    }
    #expect(inputs.scratch.names(in: "parts").count == 3)
    #expect(try inputs.run("merge", "parts", "-o", "merged").code == 0)
    #expect(text("merged/variance.csv") == text("whole/variance.csv"))
  }

  @Test func aReaderThatLeavesEndsItQuietly() throws {
    let data = inputs.images(16)
    let result = try Program.run(
      ["fourier", Inputs.vit, "--data", data, "-o", "-", "-q"], in: inputs.scratch.path,
      isOutputClosed: true)
    #expect(result.code == 0)
    #expect(result.errors.isEmpty)
    // Results are there, and nothing is left to go on from.
    let folder = try Program.run(
      ["variance", Inputs.vit, "--data", data, "-o", "v", "-q"], in: inputs.scratch.path,
      isOutputClosed: true)
    #expect(folder.code == 0)
    #expect(inputs.scratch.names(in: "v") == ["run.json", "variance.csv", "variance.svg"])
  }

  /// A closed descriptor would be that of the next file opened.
  @Test func nothingIsPrintedIntoAFile() throws {
    let data = inputs.images(16)
    let result = try Program.run(
      ["variance", Inputs.vit, "--data", data, "-o", "v"], in: inputs.scratch.path,
      redirections: "<&- >&- 2>&-")
    #expect(result.code == 74)
    #expect(inputs.scratch.names(in: "v") == ["run.json", "variance.csv", "variance.svg"])
    #expect(text("v/variance.csv").hasPrefix("model,data,layer_index"))
    #expect(text("v/run.json").hasPrefix("{"))
  }

  @Test func thePlanSaysHowImagesArePrepared() throws {
    let data = inputs.images(16)
    let plan = try inputs.run(
      "cka", Inputs.vit, "--data", data, "--dry-run", "--image-size", "24", "--mean", "0.5",
      "--interpolation", "bicubic")
    #expect(plan.code == 0, "\(plan.errors)")
    let line = plan.output.split(separator: "\n").first { $0.hasPrefix("images: v") }
    #expect(line?.contains("short edge 24, bicubic, centre 24 x 24, mean 0.5, std") == true)
  }

  @Test(arguments: [(17, 2), (18, 2), (19, 2), (20, 3), (16, 2)])
  func fewImagesJoinTheMinibatchBefore(images: Int, batches: Int) throws {
    let result = try inputs.run(
      "cka", Inputs.vit, "--data", inputs.images(images), "-o", "c", "--batch-size", "8", "-q")
    #expect(result.code == 0, "\(result.errors)")
    let lines = text("c/cka_curve.csv").split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let column = try #require(lines.first?.firstIndex(of: "n_batches"))
    #expect(lines.count > 1)
    #expect(lines.dropFirst().allSatisfy { $0[column] == "\(batches)" })
  }

  @Test func twoDataSetsHaveAFolderEach() throws {
    let (one, two) = (inputs.images(16, as: "one.npy"), inputs.images(9, as: "two.npy"))
    let result = try inputs.run(
      "run", Inputs.vit, Inputs.resnet, "--data", one, "--data", two, "-o", "out", "-q")
    #expect(result.code == 0, "\(result.errors)")
    #expect(inputs.scratch.names(in: "out") == ["one.npy", "two.npy"])
    #expect(inputs.scratch.names(in: "out/one.npy") == inputs.scratch.names(in: "out/two.npy"))
    #expect(text("out/two.npy/run.json").contains("\"n_images\": 9"))
  }

  /// A capture stands for its model; labels come along.
  @Test func capturesStandForModels() throws {
    let data = inputs.images(19)
    inputs.scratch.write(
      (0..<19).map { "\($0 % 7)" }.joined(separator: "\n") + "\n", as: "labels.txt")
    let options = ["--batch-size", "8", "-q"]
    let direct = try Program.run(
      ["run", Inputs.vit, "--data", data, "--labels", "labels.txt", "-o", "a"] + options,
      in: inputs.scratch.path)
    #expect(direct.code == 0, "\(direct.errors)")
    let capture = try Program.run(
      [
        "capture", Inputs.vit, "--data", data, "--labels", "labels.txt", "-o", "b", "--threads",
        "1",
      ]
        + options, in: inputs.scratch.path)
    #expect(capture.code == 0, "\(capture.errors)")
    #expect(inputs.scratch.names(in: "b") == ["features.safetensors", "run.json"])
    try FilledFolder.expectFilesToBeDocumented(inputs.scratch.file("b"), of: "capture")
    for threads in ["1", "2", "3"] {
      let again = try Program.run(
        ["run", "b/features.safetensors", "-o", "c", "--threads", threads] + options,
        in: inputs.scratch.path)
      #expect(again.code == 0, "\(again.errors)")
      for file in ["cka.csv", "cka_curve.csv", "fourier.csv", "metrics.csv", "variance.csv"] {
        #expect(!text("a/\(file)").isEmpty && text("a/\(file)") == text("c/\(file)"), "\(file)")
      }
    }
  }

  /// Nothing but small records stays of a minibatch.
  @Test(arguments: ["run", "capture", "features"])
  func memoryDoesNotGrowWithTheNumberOfImages(command: String) throws {
    let data = inputs.images(64 * 16)
    func peak(_ images: Int) throws -> Double {
      var arguments = [command, Inputs.vit, "--data", data, "--limit", "\(images)"]
      if command == "features" {
        let file = try inputs.run(
          "capture", Inputs.vit, "--data", data, "--limit", "\(images)", "-o", "f\(images)", "-q")
        #expect(file.code == 0)
        arguments = ["run", "f\(images)/features.safetensors"]
      }
      let result = try Program.run(
        arguments + ["--batch-size", "16", "--threads", "2", "-v", "-o", "o\(images)"],
        in: inputs.scratch.path)
      #expect(result.code == 0, "\(result.errors)")
      let line = try #require(result.errors.split(separator: "\n").last)
      let words = line.split(separator: " ")
      let place = try #require(words.firstIndex(of: "MiB"))
      return try #require(Double(words[place - 1]))
    }
    // Two threads hold the most where they happen to meet, which takes some minibatches, and more of them on a busy machine.
    let few = max(try peak(16 * 16), try peak(16 * 16))
    let many = try peak(64 * 16)
    #expect(few > 5)
    #expect(many <= 1.05 * few, "\(few) MiB, \(many) MiB")
  }
}
