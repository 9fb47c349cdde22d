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
    let stream = try run(arguments + ["-o", "-", "-q"])
    #expect(Array(stream.output.utf8) == Scratch.read(inputs.scratch.file("out/\(name).csv")))
  }

  @Test func whatCannotBeDoneHasItsCode() throws {
    let data = labelled()
    for (arguments, code, text) in [
      (["lesion", Inputs.resnet, "--heads"] + data, Int32(64), "no attention heads"),
      (["lesion", Inputs.vit, "--layers", "blocks.7*"] + data, 64, "matches no residual branch"),
      (["lesion", Inputs.vit, "--build-up"] + data, 64, "no convolution"),
      (["lesion", Inputs.vit, "--by", "half"] + data, 64, "--by"),
      (["lesion", Inputs.vit, "--data", "x.npy"], 65, "no image that is looked at has a label"),
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
