import Checkpoints
import TestSupport
import Testing

/// `vitprobe hessian` as a user runs it: what it writes, and what it says of mistakes.
@Suite struct HessianTests {
  private let inputs = Inputs()
  private static let model = "v=vit(image=32,patch=8,dim=12,depth=1,heads=2,classes=7)@random:1"

  /// Noise images with a file of labels.
  private func labelled(_ count: Int, highest: Int = 6) -> [String] {
    inputs.scratch.write(
      (0..<count).map { "\($0 % (highest + 1))\n" }.joined(), as: "labels.txt")
    return ["--data", inputs.images(count), "--labels", "labels.txt"]
  }

  private func run(_ arguments: [String]) throws -> Program.Result {
    try Program.run(["hessian"] + arguments, in: inputs.scratch.path)
  }

  private func expect(
    _ code: Int32, saying texts: [String], _ arguments: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let result = try run(arguments)
    #expect(result.code == code, "\(result.errors)", sourceLocation: sourceLocation)
    #expect(result.output.isEmpty, sourceLocation: sourceLocation)
    for text in texts {
      #expect(
        result.errors.contains(text), "\(text) in: \(result.errors)",
        sourceLocation: sourceLocation)
    }
    #expect(
      inputs.scratch.names(in: "vitprobe-out/hessian").isEmpty, sourceLocation: sourceLocation)
  }

  @Test func mistakesAreToldWithTheirExitCode() throws {
    let data = labelled(8) + ["--batch-size", "4"]
    try expect(
      65, saying: ["no label", "--labels"],
      [Self.model, "--data", inputs.images(8), "--batch-size", "4"])
    try expect(65, saying: ["8 images", "--batch-size"], [Self.model] + labelled(8))
    try expect(
      64, saying: ["nothing.*", "matches no parameter"],
      [Self.model, "--params", "nothing.*"] + data)
    try expect(64, saying: ["--steps 0"], [Self.model, "--steps", "0"] + data)
    try expect(64, saying: ["--smoothing 1"], [Self.model, "--smoothing", "1"] + data)
    try expect(64, saying: ["--tol nan"], [Self.model, "--tol", "nan"] + data)
    try expect(
      64, saying: ["--hutch-plus-plus"],
      [Self.model, "--trace", "2", "--hutch-plus-plus"] + data)
    try expect(64, saying: ["lanczos", "power"], [Self.model, "--solver", "qr"] + data)
    try expect(
      65, saying: ["go up to 7", "7 classes"],
      [Self.model] + labelled(8, highest: 7) + ["--batch-size", "4"])
  }

  @Test func estimateComesFirstAndDryRunsStopThere() throws {
    let result = try run([Self.model, "--batch-size", "4", "--dry-run"] + labelled(8))
    #expect(result.code == 0)
    #expect(result.errors.contains("74 products with a Hessian planned"))
    #expect(result.errors.contains("multiply-adds"))
    #expect(inputs.scratch.names(in: "vitprobe-out/hessian").isEmpty)
  }

  @Test func writesTablesAndAFigure() throws {
    let arguments =
      [Self.model, "--batch-size", "4", "--steps", "10", "--trace", "2", "--density", "1"]
      + labelled(8)
    let result = try run(arguments + ["-q"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(
      inputs.scratch.names(in: "vitprobe-out/hessian") == [
        "hessian.svg", "hessian_density.csv", "hessian_eigs.csv", "hessian_spectrum.svg",
        "hessian_summary.csv", "run.json",
      ])
    let folder = inputs.scratch.file("vitprobe-out/hessian")
    try FilledFolder.expectFilesToBeDocumented(folder, of: "hessian")
    try FilledFolder.expectNoOtherFilesToBeDocumented(folder, of: "hessian")
    try FilledFolder.expectPageToDrawTheSame(folder)
    func text(_ name: String) -> String {
      String(
        decoding: Scratch.read(inputs.scratch.file("vitprobe-out/hessian/\(name)")) ?? [],
        as: UTF8.self)
    }
    let rows = text("hessian_eigs.csv").split(separator: "\n")
    #expect(rows.count == 1 + 2 * 7)
    #expect(rows.first?.hasPrefix("model,data,checkpoint,epoch,batch_index,batch_size") == true)
    #expect(text("hessian_density.csv").contains(",slq,all,"))
    let figure = text("hessian.svg")
    #expect(figure.contains("Negative") && figure.contains("Positive"))
    #expect(!figure.lowercased().contains("nan"))
    // The main table alone, the same as in the file.
    let streamed = try run(arguments + ["-q", "-o", "-"])
    #expect(streamed.output == text("hessian_eigs.csv"))
  }

  @Test func weightsThatAreNotFiniteGiveAStatus() throws {
    // A small ViT with one NaN.
    let shapes: [(String, [Int])] = [
      ("cls_token", [1, 1, 8]), ("pos_embed", [1, 17, 8]),
      ("patch_embed.proj.weight", [8, 3, 8, 8]), ("patch_embed.proj.bias", [8]),
      ("blocks.0.norm1.weight", [8]), ("blocks.0.norm1.bias", [8]),
      ("blocks.0.attn.qkv.weight", [24, 8]), ("blocks.0.attn.qkv.bias", [24]),
      ("blocks.0.attn.proj.weight", [8, 8]), ("blocks.0.attn.proj.bias", [8]),
      ("blocks.0.norm2.weight", [8]), ("blocks.0.norm2.bias", [8]),
      ("blocks.0.mlp.fc1.weight", [32, 8]), ("blocks.0.mlp.fc1.bias", [32]),
      ("blocks.0.mlp.fc2.weight", [8, 32]), ("blocks.0.mlp.fc2.bias", [8]),
      ("norm.weight", [8]), ("norm.bias", [8]), ("head.weight", [7, 8]), ("head.bias", [7]),
    ]
    var writer = try SafetensorsWriter(
      creating: inputs.scratch.file("bad.safetensors"),
      tensors: shapes.map { .init(name: $0.0, shape: $0.1) })
    for (index, shape) in shapes.enumerated() {
      var values = [Float](repeating: 0.01, count: shape.1.reduce(1, *))
      if shape.0 == "blocks.0.mlp.fc2.bias" { values[3] = .nan }
      try values.withUnsafeBufferPointer { try writer.append($0, to: index) }
    }
    try writer.finish()
    let result = try run(
      [
        "vit(image=32,patch=8,dim=8,depth=1,heads=2,classes=7)@bad.safetensors", "--batch-size",
        "4",
      ]
        + labelled(8))
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.contains("blocks.0.mlp.fc2.bias holds NaN or infinity"))
    #expect(result.output.contains("nan_input"))
    #expect(!inputs.scratch.names(in: "vitprobe-out/hessian").contains("hessian.svg"))
  }
}
