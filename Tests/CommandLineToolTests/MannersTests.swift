import ArgumentParser
import Glibc
import StrictJSON
import TestSupport
import Testing

@testable import CommandLineTool

/// What a user gets to read who mistypes, asks for help, or lets a program read.
@Suite struct MannersTests {
  private let inputs = Inputs()

  private func run(_ arguments: [String]) throws -> Program.Result {
    try Program.run(arguments, in: inputs.scratch.path)
  }

  /// A slip and what was meant.
  @Test func whatWasMeantIsAsked() throws {
    let data = ["--data", inputs.images(8)]
    for (arguments, meant) in [
      (["ckaa", Inputs.vit], "Did you mean cka"),
      (["models", "deit_tny"], "Did you mean deit_tiny_"),
      (["models", "vitt"], "Did you mean vit"),
      (["run", Inputs.vit, "--analyses", "forier"] + data, "Did you mean fourier?"),
      (["cka", Inputs.resnet, "--layers", "layr1.*"] + data, "Did you mean layer1.0"),
      (["cka", Inputs.vit, "--taps", "all", "--layers", "*.mlp_ress"] + data, "blocks.0.mlp_res"),
      (
        [
          "hessian", Inputs.vit, "--batch-size", "4", "--params", "blcks.0.*", "--labels",
          labels(8),
        ]
          + data, "Did you mean blocks.0."
      ),
      (["cka", Inputs.vit, "--batchsize", "4"] + data, "--batch-size"),
    ] {
      let result = try run(arguments)
      #expect(result.code == 64, "\(arguments)")
      #expect(result.errors.contains(meant), "\(meant) in: \(result.errors)")
    }
  }

  private func labels(_ count: Int) -> String {
    inputs.scratch.write((0..<count).map { "\($0 % 7)\n" }.joined(), as: "labels.txt")
    return "labels.txt"
  }

  @Test func refusalsSayWhatIsTheCase() throws {
    let data = ["--data", inputs.images(8)]
    for (arguments, text) in [
      (["cka", Inputs.vit, "--threads", "-3"], "--threads -3: at least 1 is needed"),
      (["hessian", Inputs.vit, "--l2", "-0.5"], "--l2 -0.5: a number of at least 0 is needed"),
      (["cka", Inputs.vit, "--limit", "3"], "--limit 3 of the 8 images of x.npy is too few"),
      (["cka", Inputs.vit, "--max-memory", "4"], "a number without a unit is of bytes"),
      (
        ["cka", Inputs.vit, "--max-memory", "4MiB"],
        "more than --max-memory 4MiB; the program and the parameters alone need"
      ),
      (["cka", "NA=\(Inputs.vit.dropFirst(2))"], "take for a missing value; write A=vit("),
      (["cka", Inputs.vit, Inputs.vit], "write A=vit(image=32"),
      (["run", Inputs.vit, "-o", "-"], "-o - streams one table"),
      (["variance", Inputs.vit, "-o", "-", "--json"], "give one of them"),
    ] {
      let result = try run(arguments + data)
      #expect(result.code == 64, "\(arguments)")
      #expect(result.errors.contains(text), "\(text) in: \(result.errors)")
    }
    let twice = try run(["cka", "demo:vit", "demo:vit"])
    #expect(twice.errors.contains("write A=demo:vit B=demo:vit"), "\(twice.errors)")
  }

  /// An option has its place in a command of one analysis by the name that it has in `run`, too.
  @Test func optionsHaveTheirNamesOfRun() throws {
    let data = ["--data", inputs.images(8), "--format", "csv", "-q"]
    let options = ["--fourier-variant", "radial", "--layers", "blocks.0.*"]
    #expect(try run(["fourier", Inputs.vit, "-o", "one"] + options + data).code == 0)
    #expect(
      try run(["run", Inputs.vit, "--analyses", "fourier", "-o", "two"] + options + data).code == 0)
    let short = ["--variant", "radial", "--layers", "blocks.0.*"]
    #expect(try run(["fourier", Inputs.vit, "-o", "three"] + short + data).code == 0)
    let tables = ["one", "two", "three"].map {
      Scratch.read(inputs.scratch.file("\($0)/fourier.csv"))
    }
    #expect(tables[0] != nil && tables[0] == tables[1] && tables[0] == tables[2])
  }

  @Test func helpHasExamplesAndExitCodes() throws {
    for command in VitprobeCommand.commandNames + [""] {
      let result = try run((command.isEmpty ? [] : [command]) + ["--help"])
      #expect(result.code == 0)
      let text = result.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      #expect(text.contains("Examples: $ vitprobe \(command)"), "\(command): \(text.prefix(400))")
      for code in [0, 1, 64, 65, 66, 70, 73, 74, 75, 130] {
        #expect(text.contains(" \(code) "), "\(command): \(code)")
      }
    }
  }

  @Test func completionsAreOffered() throws {
    _ = inputs.images(8, as: "digits.npy")
    _ = inputs.scratch.folder("deep")
    /// As the script of a shell asks.
    func offered(_ command: String, _ argument: String, _ word: String) throws -> [Substring] {
      let result = try run([
        "---completion", command, "--", argument, "2", "\(word.count)", "vitprobe", command, word,
      ])
      #expect(result.code == 0, "\(result.errors)")
      return result.output.split(separator: "\n")
    }
    let subjects = try offered("cka", "positional@0", "de")
    #expect(subjects.contains("demo:vit") && subjects.contains("deit_tiny_patch16_224@"))
    #expect(subjects.contains("deep/") && !subjects.contains("digits.npy"))
    #expect(try offered("cka", "positional@0", "A=di") == ["A=digits.npy"])
    #expect(try offered("hessian", "positional@0", "resnet18@d").contains("resnet18@digits.npy"))
    #expect(
      try offered("run", "--analyses", "cka,") == [
        "cka,fourier", "cka,variance", "cka,attention", "cka,relations",
      ])
    for shell in ["bash", "zsh", "fish"] {
      let script = try run(["--generate-completion-script", shell])
      #expect(script.code == 0 && script.output.contains("---completion"), "\(shell)")
      // Variants for models, kinds of spectra for fourier, filters of the resize.
      for word in ["deit_tiny_patch16_224", "radial", "bicubic"] {
        #expect(script.output.contains(word), "\(shell): \(word)")
      }
    }
  }

  // MARK: JSON

  private func document(_ arguments: [String], code: Int32) throws -> JSONValue {
    let result = try run(arguments)
    #expect(result.code == code, "\(arguments): \(result.errors)")
    let document = try JSONValue(parsing: Array(result.output.utf8))
    #expect(document["schema"] == .integer(1), "\(arguments)")
    return document
  }

  @Test func errorsAreJSON() throws {
    let data = ["--data", inputs.images(8)]
    for (arguments, code, kind, text) in [
      (["cka", "none.pth"] + data, Int32(66), "no_input", "none.pth"),
      (["cka", Inputs.vit, "--layers", "x"] + data, 64, "usage", "--layers"),
      (["cka", Inputs.vit, "--threads", "0"] + data, 64, "usage", "--threads 0"),
      (["cka", Inputs.vit, "--no-such"] + data, 64, "usage", "--no-such"),
      (["ckaa", Inputs.vit], 64, "usage", "Did you mean cka"),
      (["models", "nothing"], 64, "usage", "nothing"),
      (
        ["cka", Inputs.vit, "--dry-run", "--max-memory", "1MB"] + data, 64, "usage", "--max-memory"
      ),
    ] {
      let error = try #require(try document(arguments + ["--json"], code: code)["error"])
      #expect(error["code"] == .integer(Int(code)))
      #expect(error["kind"] == .string(kind))
      #expect(error["message"]?.stringValue?.contains(text) == true, "\(error)")
    }
  }

  @Test func filesAreCheckedInJSON() throws {
    let data = inputs.images(8)
    _ = try run(["capture", Inputs.vit, "--data", data, "-o", "f", "-q"])
    let path = "f/features.safetensors"
    let bytes = try #require(Scratch.read(inputs.scratch.file(path)))
    inputs.scratch.write(Array(bytes.dropLast(9)), as: "cut.safetensors")
    let files = try #require(
      try document(["check", path, "cut.safetensors", "none.pth", "--json"], code: 65)["files"]?
        .arrayValue)
    #expect(files.map { $0["ok"]?.boolValue } == [true, false, false])
    #expect(files.map { $0["code"]?.intValue } == [0, 65, 66])
    #expect(files[0]["message"] == .null)
    #expect(files[1]["message"]?.stringValue?.contains("cut.safetensors") == true)
  }

  @Test func plansAreJSON() throws {
    let data = ["--data", inputs.images(8), "--labels", labels(8), "--dry-run", "--json"]
    let plan = try document(["run", Inputs.vit, Inputs.resnet] + data, code: 0)
    let subject = try #require(plan["subjects"]?.arrayValue?.first)
    #expect(subject["label"] == "v")
    #expect(subject["preprocessing"]?["mean"]?.arrayValue?.isEmpty == false)
    #expect(plan["taps"]?["cka"]?["v"] == ["blocks.0.mlp_res", "blocks.1.mlp_res"])
    #expect(plan["taps"]?["fourier"]?["r"]?.arrayValue?.isEmpty == false)
    #expect(plan["peak_memory_bytes"]?.intValue ?? 0 > 1 << 20)
    for command in [["lesion"], ["capture"], ["hessian", "--batch-size", "4"]] {
      let plan = try document(command + [Inputs.vit] + data, code: 0)
      #expect(plan["subjects"]?.arrayValue?.first?["preprocessing"] != .null, "\(command)")
      #expect(plan["data"] == "x.npy")
    }
    let hessian = try document(["hessian", Inputs.vit, "--batch-size", "4"] + data, code: 0)
    #expect(hessian["products"] == .integer(2 * (30 + 5 + 2)))
    let twice = try document(
      [
        "variance", Inputs.vit, "--data", inputs.images(4, as: "y.npy"), "--data", "x.npy",
        "--dry-run", "--json",
      ], code: 0)
    #expect(twice["runs"]?.arrayValue?.map { $0["data"] } == ["y.npy", "x.npy"])
  }

  @Test func modelsAreJSONAndFitALine() throws {
    let families = try #require(
      try document(["models", "--json"], code: 0)["families"]?.arrayValue)
    let resnet = try #require(families.first { $0["family"] == "resnet" })
    #expect(resnet["variants"]?.arrayValue?.contains("resnet50") == true)
    let taps = try document(["models", "resnet18", "--json"], code: 0)["taps"]?.arrayValue
    #expect(taps?.last?["depth"]?.doubleValue == 1)
    let variants = try document(["models", "vit", "--json"], code: 0)["variants"]?.arrayValue
    #expect(variants?.first?["parameters"]?.intValue ?? 0 > 1000)

    for arguments in [
      [], ["vit"], ["resnet"], ["resnet50"], ["resnet18", "deit_tiny_patch16_224"],
    ] {
      let text = try run(["models"] + arguments).output
      for line in text.split(separator: "\n") where !line.contains("(") {
        #expect(line.count <= 100, "\(line)")
      }
    }
    #expect(try run(["models"]).output.contains("deit_tiny_patch16_224"))
    // 4.09 and 25.6 are what the authors' table has.
    let details = try run(["models", "resnet50"]).output
    #expect(details.contains("4.09 GMAC (4089184256)"), "\(details.prefix(600))")
    #expect(details.contains("25.6 M (25557032)"))
  }

  // MARK: Interruption

  /// A minibatch takes thousands of products here; a signal is obeyed after the one in hand.
  @Test func aSolverStopsWithinAProduct() throws {
    let data = inputs.images(96)
    let arguments = [
      "hessian", Inputs.vit, "--data", data, "--labels", labels(96), "--batch-size", "96",
      "--steps", "4000", "-o", "out",
    ]
    let process = try Program.start(arguments, in: inputs.scratch.path)
    #expect(process.waits(toSay: "products with a Hessian planned"))
    // In the middle of a solver that takes minutes.
    usleep(1_000_000)
    process.send(SIGINT)
    let result = try process.wait()
    #expect(result.code == 130, "\(result.errors)")
    #expect(result.errors.contains("finishing the work in hand"))
    #expect(result.errors.contains("stopped after 0 of 1 minibatches"))
  }

  // MARK: Keys

  /// Rows on the same layer have the same keys in every table, whatever each analysis looks at.
  @Test func tablesJoinOnTheirKeys() throws {
    let data = ["--data", inputs.images(16), "--labels", labels(16), "--format", "csv", "-q"]
    #expect(
      try run(
        [
          "run", Inputs.vit, Inputs.resnet, "--analyses", "cka,fourier,variance,attention", "-o",
          "r",
        ] + data
      ).code == 0)
    #expect(try run(["lesion", Inputs.vit, Inputs.resnet, "-o", "l"] + data).code == 0)
    #expect(
      try run(
        ["variance", Inputs.vit, Inputs.resnet, "--taps", "all", "--layers", "*1*", "-o", "v"]
          + data
      ).code == 0)
    #expect(
      try run(["capture", Inputs.vit, "--layers", "blocks.1.*", "-o", "c"] + data.dropLast(3))
        .code == 0)
    #expect(
      try run(
        ["variance", "c/features.safetensors", "-o", "f", "--taps", "all", "--format", "csv", "-q"])
        .code == 0)
    let keys = ["data", "layer_index", "kind", "block", "sequence", "depth"]
    var known: [String: [String]] = [:]
    var rows = 0
    for table in [
      "r/cka_curve", "r/fourier", "r/variance", "r/attention", "l/lesion", "v/variance",
      "f/variance",
    ] {
      let text = String(
        decoding: Scratch.read(inputs.scratch.file(table + ".csv")) ?? [], as: UTF8.self)
      let lines = text.split(separator: "\n").map {
        $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      }
      for line in lines.dropFirst() {
        let row = Dictionary(zip(lines[0], line), uniquingKeysWith: { first, _ in first })
        guard row["layer_name"] != "none" else { continue }
        let values = try keys.map { try #require(row[$0], "\($0) of \(table)") }
        let name = "\(row["model"] ?? "") \(row["layer_name"] ?? "")"
        #expect(known[name, default: values] == values, "\(table): \(name)")
        known[name] = values
        rows += 1
      }
    }
    #expect(rows > 100)
    // Five states of the ViT: the embedding, and two half-blocks of each block.
    #expect(known["v blocks.0.mlp_res"]?.suffix(3) == ["0", "2", "0.5"])
    #expect(known["v blocks.1.mlp_res"]?.suffix(3) == ["1", "4", "1.0"])
    #expect(known["v embed"]?.suffix(3) == ["", "0", "0.0"])
    #expect(known["v blocks.1.attn_map"]?.suffix(3) == ["", "", "0.75"])
  }
}
