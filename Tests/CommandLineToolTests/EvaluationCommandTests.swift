import Glibc
import StrictJSON
import TestSupport
import Testing

/// Commands that ask variants of a network.
@Suite struct EvaluationCommandTests {
  private let inputs = Inputs()

  private func labelled() -> [String] {
    inputs.scratch.write((0..<12).map { "\($0 % 7)\n" }.joined(), as: "labels.txt")
    return ["--data", inputs.images(12), "--labels", "labels.txt", "--batch-size", "4"]
  }

  private func run(_ arguments: [String]) throws -> Program.Result {
    try Program.run(arguments, in: inputs.scratch.path)
  }

  @Test(arguments: [
    ["lesion", "--heads"], ["lesion", Inputs.resnet, "--build-up"],
    ["robustness", "--frequencies", "0.2,0.8"],
    ["robustness", "--tests", "frequency,corruptions", "--severities", "2"],
    ["robustness", "--tests", "fourier,gradient", "--map-size", "3"],
    ["landscape", "--norm", "hessian", "--params", "head.*", "--line", "--grid", "3"],
    ["landscape", "--grid", "3"], ["landscape", "--line", "--grid", "3", "--batches", "3"],
    ["landscape", "--grid", "3", "--batchnorm", "recompute", "--format", "csv,svg,npz,vts"],
    ["trajectory", Inputs.vit.replacing(":1", with: ":2"), "--grid", "4"],
    [
      "trajectory", Inputs.vit.replacing(":1", with: ":2"),
      Inputs.vit.replacing(":1", with: ":3"), "--grid", "3",
    ],
    ["landscape", "--to", Inputs.vit.replacing("v=", with: "w=").replacing(":1", with: ":2")],
  ])
  func resultsAreWrittenAndStreamed(command: [String]) throws {
    let name = command[0]
    let arguments = command + [Inputs.vit] + labelled()
    let planned = try run(arguments + ["--dry-run", "-o", "planned"])
    #expect(planned.code == 0 && planned.output.contains("peak memory"), "\(planned.errors)")
    #expect(inputs.scratch.names(in: "planned").isEmpty)
    let result = try run(arguments + ["-o", "out", "--json"])
    #expect(result.code == 0, "\(result.errors)")
    let summary = try JSONValue(parsing: Array(result.output.utf8))
    #expect(summary["images"] == .integer(12) && summary["analyses"]?[name] != nil)
    let names = inputs.scratch.names(in: "out")
    #expect(names.contains("\(name).csv") && names.contains("run.json"))
    #expect(names.contains { $0.hasSuffix(".svg") })
    let folder = inputs.scratch.file("out")
    try FilledFolder.expectPageToDrawTheSame(folder)
    try FilledFolder.expectFilesToBeDocumented(folder, of: name)
    let stream = try run(arguments + ["-o", "-", "-q"])
    #expect(Array(stream.output.utf8) == Scratch.read(inputs.scratch.file("out/\(name).csv")))
  }

  /// Killed at moments of no choosing; shared out over minibatches and variants, one shard killed as well; merged.
  @Test(arguments: [
    ["landscape", "--grid", "3"], ["robustness", "--tests", "frequency,contrast,gradient"],
    ["lesion", "--heads"],
    ["trajectory", Inputs.vit.replacing(":1", with: ":2"), "--grid", "9"],
  ])
  func killsAndShardsChangeNothing(command: [String]) throws {
    let arguments = command + [Inputs.vit, "-q"] + labelled().dropLast() + ["6"]
    let start = ContinuousClock.now
    let whole = try run(arguments + ["-o", "whole"])
    let duration = start.duration(to: .now) / .microseconds(1)
    #expect(whole.code == 0, "\(whole.errors)")
    var state: UInt64 = 20_221_129

    /// Kills the run once it has some records, after a while; then lets it end.
    func finishKilled(_ folder: String, _ more: [String]) throws {
      let process = try Program.start(
        arguments + more + ["-o", folder, "--resume"], in: inputs.scratch.path)
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      usleep(useconds_t(duration * Double(state >> 40) / Double(1 << 24)))
      process.send(SIGKILL)
      #expect([0, -SIGKILL].contains(try process.wait().code))
      let rest = try run(arguments + more + ["-o", folder, "--resume"])
      #expect(rest.code == 0, "\(rest.errors)")
    }
    try finishKilled("out", [])
    #expect(inputs.results("out") == inputs.results("whole"))
    try finishKilled("s1", ["--shard", "1/4"])
    for shard in 2...4 {
      let part = try run(arguments + ["--shard", "\(shard)/4", "-o", "s\(shard)"])
      #expect(part.code == 0, "\(part.errors)")
    }
    let merged = try run(["merge", "s3", "s1", "s4", "s2", "-o", "merged", "-q"])
    #expect(merged.code == 0, "\(merged.errors)")
    #expect(inputs.results("merged") == inputs.results("whole"))
    let gap = try run(["merge", "s1", "s2", "s3", "-o", "gap"])
    #expect(gap.code == 65 && gap.errors.contains("--allow-partial"), "\(gap.errors)")
  }

  /// What is kept of each place is small and is announced, and the plan's number is not exceeded.
  @Test func memoryIsWhatThePlanSays() throws {
    func arguments(_ places: Int) -> [String] {
      ["landscape", Inputs.vit, "--line", "--grid", "\(places)", "--threads", "2"] + labelled()
    }
    func plan(_ arguments: [String]) throws -> JSONValue {
      try JSONValue(parsing: Array(run(arguments + ["--dry-run", "--json"]).output.utf8))
    }
    func look(_ places: Int) throws -> (records: Int, announced: Int, used: Double) {
      let arguments = arguments(places)
      let members = try plan(arguments)
      let result = try run(arguments + ["-v", "-o", "p\(places)"])
      #expect(result.code == 0, "\(result.errors)")
      let words = try #require(result.errors.split(separator: "\n").last).split(separator: " ")
      let place = try #require(words.firstIndex(of: "MiB"))
      return (
        try #require(members["record_bytes"]?.intValue),
        try #require(members["peak_memory_bytes"]?.intValue),
        try #require(Double(words[place - 1]))
      )
    }
    let (few, many) = (try look(3), try look(99))
    // Three minibatches of each place, and of the network as it is. Further ones leave their records on disk.
    #expect(many.records * 4 == few.records * 100 && few.records < 4 * 1024)
    let one = try #require(plan(arguments(3) + ["--batches", "1"])["record_bytes"]?.intValue)
    #expect(few.records - one == 4 * 2 * 24)
    #expect(many.announced - few.announced == many.records - few.records)
    #expect(many.used * 1_048_576 <= Double(many.announced), "\(many)")
  }

  @Test func whatCannotBeDoneHasItsCode() throws {
    let data = labelled()
    let wide = Inputs.vit.replacing("dim=24", with: "dim=12").replacing("v=", with: "w=")
    let deep = Inputs.vit.replacing("depth=2", with: "depth=3").replacing("v=", with: "w=")
    for (arguments, code, text) in [
      (["lesion", Inputs.resnet, "--heads"] + data, Int32(64), "no attention heads"),
      (["lesion", Inputs.vit, "--layers", "blocks.7*"] + data, 64, "matches no residual branch"),
      (["lesion", Inputs.vit, "--build-up"] + data, 64, "no convolution"),
      (["lesion", Inputs.vit, "--by", "half"] + data, 64, "--by"),
      (["lesion", Inputs.vit, "--data", "x.npy"], 65, "no image that is looked at has a label"),
      (
        ["robustness", Inputs.vit, "--data", "x.npy"], 65, "no image that is looked at has a label"
      ),
      (["landscape", Inputs.vit, "--data", "x.npy"], 65, "no image that is looked at has a label"),
      (
        ["trajectory", Inputs.vit.replacing(":1", with: ":2"), Inputs.vit, "--data", "x.npy"], 65,
        "no image that is looked at has a label"
      ),
      (
        ["landscape", Inputs.vit, "--norm", "hessian", "--data", "x.npy"], 65, "has no label"
      ),
      (["lesion", "none.pth"] + data, 66, "none.pth"),
      (["robustness", Inputs.vit, "--eps=-1"] + data, 64, "--eps"),
      (["robustness", Inputs.vit, "--frequencies", "0.1,2"] + data, 64, "--frequencies"),
      (["robustness", Inputs.vit, "--half-width", "0"] + data, 64, "--half-width"),
      (["robustness", Inputs.vit, "--tests", "fog"] + data, 64, "--tests"),
      (["robustness", Inputs.vit, "--tests", "contrast,corruptions"] + data, 64, "twice"),
      (["robustness", Inputs.vit, "--severities", "0"] + data, 64, "--severities"),
      (["robustness", Inputs.vit, "--tests", "gradient,gradient"] + data, 64, "twice"),
      (
        ["robustness", Inputs.vit, "--tests", "fourier", "--map-size", "4"] + data, 64,
        "--map-size"
      ),
      (
        ["robustness", Inputs.vit, "--tests", "fourier", "--map-size", "33"] + data, 64,
        "at most 31"
      ),
      (
        ["robustness", Inputs.vit, "--tests", "fourier", "--map-norm=-1"] + data, 64, "--map-norm"
      ),
      (["landscape", Inputs.vit, "--norm", "checkpoint"] + data, 64, "--to SUBJECT"),
      (["landscape", Inputs.vit, "--extent", "1,1"] + data, 64, "--extent"),
      (["landscape", Inputs.vit, "--grid", "1"] + data, 64, "--grid"),
      (["landscape", Inputs.vit, "--params", "none.*"] + data, 64, "matches no parameter"),
      (
        ["landscape", Inputs.vit, "--to", Inputs.resnet] + data, 65, "there is no line from v to r"
      ),
      // A direction of another shape: another width, another depth.
      (
        ["landscape", Inputs.vit, "--to", wide] + data, 65,
        "there is no line from v to w: cls_token is [1, 1, 24] in the first and [1, 1, 12] in the second"
      ),
      (["landscape", Inputs.vit, "--to", deep] + data, 65, "they have"),
      (["landscape", deep, "--to", Inputs.vit] + data, 65, "missing in the second"),
      (["trajectory", wide, Inputs.vit] + data, 65, "there is no trajectory from v to w"),
      (["landscape", Inputs.vit, "--batchnorm", "interpolate"] + data, 64, "--to SUBJECT"),
      (["trajectory", Inputs.vit] + data, 64, "at least two snapshots"),
      (["trajectory", Inputs.resnet, Inputs.vit] + data, 65, "there is no trajectory from v to r"),
      (["trajectory", Inputs.vit, Inputs.vit, "--grid", "2"] + data, 64, "--grid"),
      (["trajectory", Inputs.vit, Inputs.vit] + data, 65, "the same weights"),
      (["robustness", Inputs.vit, "--data", "x.npy", "--data", "y.npy"], 64, "one --data"),
    ] {
      let result = try run(arguments + ["-o", "bad"])
      #expect(result.code == code && result.errors.contains(text), "\(arguments): \(result.errors)")
    }
    #expect(inputs.scratch.names(in: "bad").isEmpty)
  }
}

extension String {
  fileprivate func replacing(_ part: String, with other: String) -> String {
    let parts = split(separator: part, omittingEmptySubsequences: false)
    return parts.joined(separator: other)
  }
}
