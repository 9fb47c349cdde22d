import Diagnostics
import Reports
import TestSupport
import Testing

/// A selection of layers does not change what is asked of them, and a dry run refuses what a run refuses.
@Suite struct SelectionTests {
  private let inputs = Inputs()

  private func rows(_ path: String) -> [[String: String]] {
    let text = String(decoding: Scratch.read(inputs.scratch.file(path)) ?? [], as: UTF8.self)
    let lines = text.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return lines.dropFirst().map {
      Dictionary(zip(lines[0], $0), uniquingKeysWith: { first, _ in first })
    }
  }

  private func fourier(_ folder: String, _ more: String...) throws -> (
    depths: [String: String], summary: [Substring]
  ) {
    let result = try Program.run(
      ["fourier", "demo:vit", "--limit", "16", "--format", "csv", "-o", folder] + more,
      in: inputs.scratch.path)
    #expect(result.code == 0, "\(result.errors)")
    let table = rows("\(folder)/fourier.csv")
    let line = result.output.split(separator: "\n").first { $0.hasPrefix("vit ") } ?? ""
    return (
      Dictionary(
        table.map { ($0["layer_name"] ?? "", $0["depth"] ?? "") },
        uniquingKeysWith: { first, _ in first }),
      line.split(separator: " ")
    )
  }

  @Test func globsKeepStepsAndDepths() throws {
    let whole = try fourier("whole")
    let blocks = try fourier("blocks", "--layers", "blocks.*")
    // The steps of the same half-blocks; the step from the embedding goes with the embedding.
    #expect(whole.depths.count == 13 && blocks.depths.count == 12)
    for (name, depth) in blocks.depths { #expect(whole.depths[name] == depth, "\(name)") }
    let (all, some) = (whole.summary, blocks.summary)
    #expect(all.count == 7 && some.count == 7)
    // First, last, mean step over self-attention, mean step over the others.
    #expect(all[3] == some[3] && all[5] == some[5])
    let steps = try [all[4], some[4]].map { try #require(Double($0)) }
    #expect(steps.allSatisfy { $0 < 0 } && abs(steps[0] - steps[1]) < 0.1)

    // Every other half-block: no step is one.
    let attention = try fourier("attention", "--layers", "*.attn_res")
    #expect(attention.depths.count == 6 && attention.summary[4...5] == ["–", "–"])
    // Branches among residuals.
    let mixed = try fourier("mixed", "--taps", "all", "--layers", "blocks.*")
    #expect(mixed.depths.count > 12 && mixed.summary[4...5] == ["–", "–"])
  }

  @Test func dryRunsRefuseWhatRunsRefuse() throws {
    let data = inputs.images(8)
    let cases: [(Int32, String, [String])] = [
      (
        65, "32 x 32 pixels, but v takes 16 x 16",
        ["cka", "v=vit(image=16,patch=8,dim=24,depth=2,heads=3,classes=7)@random"]
      ),
      (65, "has no label", ["hessian", Inputs.vit, "--batch-size", "4"]),
      (64, "--max-memory", ["fourier", Inputs.vit, "--max-memory", "1MB"]),
      (64, "n - 3", ["cka", Inputs.vit, "--batch-size", "3"]),
    ]
    for (code, text, arguments) in cases {
      for more in [[], ["--dry-run"]] {
        let result = try Program.run(
          arguments + more + ["--data", data, "-o", "o"], in: inputs.scratch.path)
        #expect(result.code == code && result.errors.contains(text), "\(arguments): \(result)")
        #expect(!inputs.scratch.names().contains("o"))
      }
    }
  }

  @Test func limitsAreSaid() throws {
    let data = inputs.images(8)
    let result = try inputs.run("cka", Inputs.vit, "--data", data, "--limit", "5", "--dry-run")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.contains("x.npy: 5 of 8 images"))
    #expect(result.output.contains("5 of 8"))
  }

  @Test func theBiasedEstimatorTakesThreeImages() throws {
    let data = inputs.images(9)
    let result = try inputs.run(
      "cka", Inputs.vit, "--data", data, "--estimator", "biased", "--batch-size", "3", "-o", "b",
      "--format", "csv")
    #expect(result.code == 0, "\(result.errors)")
    let table = rows("b/cka.csv")
    #expect(!table.isEmpty && table.allSatisfy { $0["n_images"] == "9" && $0["n_batches"] == "3" })
    #expect(table.allSatisfy { $0["status"] == "ok" })
    let alone = try inputs.run(
      "cka", Inputs.vit, "--data", data, "--estimator", "biased", "--batch-size", "1", "-o", "c")
    #expect(alone.code == 64 && alone.errors.contains("biased estimator of HSIC divides by n - 1"))
  }
}
