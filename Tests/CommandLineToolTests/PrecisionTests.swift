import StrictJSON
import TestSupport
import Testing

/// `--compute`: who takes it, who refuses it, and that results say so.
@Suite struct PrecisionTests {
  private let inputs = Inputs()
  private let emulated = ["--compute", "bf16-emulated"]

  private func run(_ arguments: [String]) throws -> Program.Result {
    try Program.run(arguments, in: inputs.scratch.path)
  }

  private func table(_ path: String) -> [[String]] {
    String(decoding: Scratch.read(inputs.scratch.file(path)) ?? [], as: UTF8.self)
      .split(separator: "\n").map {
        $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      }
  }

  private func manifest(_ folder: String) throws -> JSONValue {
    try JSONValue(parsing: Scratch.read(inputs.scratch.file("\(folder)/run.json")) ?? [])
  }

  @Test func tablesAndManifestsSayHowProductsWereComputed() throws {
    let arguments =
      ["run", Inputs.vit, "--data", inputs.images(24), "--batch-size", "8", "-q"]
      + ["--analyses", "cka,fourier,variance,attention"]
    #expect(try run(arguments + ["-o", "exact"]).code == 0)
    let result = try run(arguments + emulated + ["-o", "coarse"])
    #expect(result.code == 0, "\(result.errors)")
    let names = inputs.scratch.names(in: "coarse").filter { $0.hasSuffix(".csv") }
    #expect(
      names.count >= 4 && inputs.scratch.names(in: "exact") == inputs.scratch.names(in: "coarse"))
    for name in names {
      let (exact, coarse) = (table("exact/\(name)"), table("coarse/\(name)"))
      #expect(coarse[0] == exact[0] + ["compute"], "\(name)")
      #expect(coarse.dropFirst().allSatisfy { $0.last == "bf16-emulated" }, "\(name)")
      #expect(
        coarse.count == exact.count && coarse.map { $0.dropLast() } != exact.map { $0[...] },
        "\(name)")
    }
    let documents = try (manifest("exact"), manifest("coarse"))
    func compute(_ document: JSONValue) -> String? {
      document["configuration"]?["subjects"]?.arrayValue?[0]["compute"]?.stringValue
    }
    #expect(compute(documents.0) == "float32" && compute(documents.1) == "bf16-emulated")
    let notes = documents.1["notes"]?.arrayValue?.compactMap(\.stringValue) ?? []
    #expect(notes.contains { $0.contains("bf16-emulated") && $0.contains("8 significant bits") })
    // Figures are drawn again from tables with the column.
    #expect(try run(["report", "coarse", "-q"]).code == 0)
  }

  /// The same bytes from any number of threads, from shards, and from records that an interrupted run left; results of
  /// another precision are not gone on with.
  @Test func bytesDependOnThePrecisionAlone() throws {
    let arguments = [
      "variance", Inputs.vit, "--data", inputs.images(32), "--batch-size", "8", "-q",
    ]
    for (folder, more) in [("one", ["--threads", "1"]), ("two", ["--threads", "2"])] {
      #expect(try run(arguments + emulated + more + ["-o", folder]).code == 0)
    }
    #expect(inputs.results("one") == inputs.results("two"))
    for shard in 1...2 {
      let part = try run(arguments + emulated + ["--shard", "\(shard)/2", "-o", "s\(shard)"])
      #expect(part.code == 0, "\(part.errors)")
    }
    #expect(try run(["merge", "s1", "s2", "-o", "merged", "-q"]).code == 0)
    #expect(inputs.results("merged") == inputs.results("one"))
    let other = try run(arguments + ["-o", "one"])
    #expect(other.code == 73 && other.errors.contains("other settings"), "\(other.errors)")
    #expect(try run(arguments + ["--shard", "2/2", "-o", "s3"]).code == 0)
    let mixed = try run(["merge", "s1", "s3", "-o", "mixed"])
    #expect(mixed.code == 65 && mixed.errors.contains("compute"), "\(mixed.errors)")
  }

  /// Features that were captured in bf16 say so wherever they are analysed.
  @Test func capturedFeaturesCarryThePrecision() throws {
    let data = inputs.images(16)
    let capture = try run(
      ["capture", Inputs.vit, "--data", data, "--batch-size", "8", "-q", "-o", "c"] + emulated)
    #expect(capture.code == 0, "\(capture.errors)")
    let file = try #require(inputs.scratch.names(in: "c").first { $0.hasSuffix(".safetensors") })
    #expect(try run(["variance", "c/\(file)", "-q", "-o", "features"]).code == 0)
    #expect(
      table("features/variance.csv").allSatisfy { ["compute", "bf16-emulated"].contains($0.last) })
    // Beside a model that computes exactly, each is named.
    let both = try run(
      [
        "cka", "a=c/\(file)", "b=" + Inputs.vit.dropFirst(2), "--data", data, "--batch-size", "8",
        "-q", "-o", "both",
      ])
    #expect(both.code == 0, "\(both.errors)")
    let text = String(
      decoding: Scratch.read(inputs.scratch.file("both/cka.csv")) ?? [], as: UTF8.self)
    #expect(text.contains("\"a: bf16-emulated, b: float32\""))
  }

  @Test func whatDifferentiatesRefuses() throws {
    inputs.scratch.write((0..<8).map { "\($0 % 7)\n" }.joined(), as: "labels.txt")
    let data = ["--data", inputs.images(8), "--labels", "labels.txt", "--batch-size", "4"]
    for arguments in [
      ["hessian", Inputs.vit],
      ["landscape", Inputs.vit, "--norm", "hessian", "--line", "--grid", "3"],
    ] {
      let result = try run(arguments + data + emulated + ["-o", "out"])
      #expect(result.code == 64 && result.errors.contains("second derivative"), "\(result.errors)")
      #expect(inputs.scratch.names(in: "out").isEmpty)
    }
    let unknown = try run(["variance", Inputs.vit, "--compute", "fp16"] + data)
    #expect(unknown.code == 64 && unknown.errors.contains("bf16"), "\(unknown.errors)")
    let lesion = try run(["lesion", Inputs.vit, "-q", "-o", "lesion"] + data + emulated)
    #expect(lesion.code == 0, "\(lesion.errors)")
    #expect(
      table("lesion/lesion.csv").allSatisfy { ["compute", "bf16-emulated"].contains($0.last) })
  }

  /// The processor's own instructions give the bytes of the emulation; without them nothing is computed.
  @Test func aProcessorWithoutItRefuses() throws {
    let arguments = [
      "variance", Inputs.vit, "--data", inputs.images(16), "--batch-size", "8", "-q",
    ]
    let lesser = try Program.run(
      arguments + ["--compute", "bf16", "-o", "lesser"], in: inputs.scratch.path,
      environment: ["VITPROBE_KERNELS": "sse2"])
    #expect(lesser.code == 64 && lesser.errors.contains("bf16-emulated"), "\(lesser.errors)")
    #expect(inputs.scratch.names(in: "lesser").isEmpty)
    #expect(try run(arguments + emulated + ["-o", "emulated"]).code == 0)
    let own = try run(arguments + ["--compute", "bf16", "-o", "own"])
    guard own.code != 64 else {
      #expect(own.errors.contains("has no AVX512-BF16"))
      return
    }
    #expect(own.code == 0, "\(own.errors)")
    #expect(
      table("own/variance.csv").map { $0.dropLast() }
        == table("emulated/variance.csv").map { $0.dropLast() })
  }
}
