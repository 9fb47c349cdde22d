import Checkpoints
import TestSupport
import Testing

/// What a user who made a mistake gets to see: one message, and the exit code of its kind.
@Suite struct FailureTests {
  private let inputs = Inputs()

  private func expect(
    _ code: Int32, saying texts: [String], _ arguments: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let result = try Program.run(arguments, in: inputs.scratch.path)
    #expect(result.code == code, "\(result.errors)", sourceLocation: sourceLocation)
    #expect(result.output.isEmpty, sourceLocation: sourceLocation)
    for text in texts {
      #expect(
        result.errors.contains(text), "\(text) in: \(result.errors)",
        sourceLocation: sourceLocation)
    }
  }

  @Test func missingFiles() throws {
    let data = inputs.images(8)
    try expect(66, saying: ["none.pth", "no such file"], ["cka", "none.pth", "--data", data])
    try expect(66, saying: ["none.npy"], ["fourier", Inputs.vit, "--data", "none.npy"])
    try expect(64, saying: ["--data"], ["variance", Inputs.vit])
  }

  @Test func truncatedCheckpoint() throws {
    let path = inputs.scratch.file("whole.safetensors")
    var writer = try SafetensorsWriter(creating: path, tensors: [.init(name: "a", shape: [64])])
    try [Float](repeating: 1, count: 64).withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try writer.finish()
    let bytes = try #require(Scratch.read(path))
    inputs.scratch.write(Array(bytes.dropLast(9)), as: "cut.safetensors")
    try expect(
      65, saying: ["cut.safetensors"],
      ["run", "cut.safetensors", "--data", inputs.images(8)])
  }

  @Test func wrongArchitectureForTheWeights() throws {
    // Enough of a ViT to be recognised as one.
    let path = inputs.scratch.file("vit.safetensors")
    let shapes: [(String, [Int])] = [
      ("cls_token", [1, 1, 8]), ("pos_embed", [1, 17, 8]),
      ("patch_embed.proj.weight", [8, 3, 8, 8]),
      ("patch_embed.proj.bias", [8]), ("blocks.0.norm1.weight", [8]), ("blocks.0.norm1.bias", [8]),
      ("blocks.0.attn.qkv.weight", [24, 8]), ("blocks.0.attn.qkv.bias", [24]),
      ("blocks.0.attn.proj.weight", [8, 8]), ("blocks.0.attn.proj.bias", [8]),
      ("blocks.0.norm2.weight", [8]), ("blocks.0.norm2.bias", [8]),
      ("blocks.0.mlp.fc1.weight", [32, 8]), ("blocks.0.mlp.fc1.bias", [32]),
      ("blocks.0.mlp.fc2.weight", [8, 32]), ("blocks.0.mlp.fc2.bias", [8]), ("norm.weight", [8]),
      ("norm.bias", [8]), ("head.weight", [3, 8]), ("head.bias", [3]),
    ]
    var writer = try SafetensorsWriter(
      creating: path, tensors: shapes.map { .init(name: $0.0, shape: $0.1) })
    for (index, shape) in shapes.enumerated() {
      let values = [Float](repeating: 0.01, count: shape.1.reduce(1, *))
      try values.withUnsafeBufferPointer { try writer.append($0, to: index) }
    }
    try writer.finish()
    try expect(
      65, saying: ["vit.safetensors", "resnet50"],
      ["cka", "resnet50@vit.safetensors", "--data", inputs.images(8)])
    try expect(
      65, saying: ["vit.safetensors", "dim=8"],
      ["cka", "vit_tiny_patch16_224@vit.safetensors", "--data", inputs.images(8)])
  }

  @Test func namesFromFilesDoNotDriveTheTerminal() throws {
    let path = inputs.scratch.file("names.safetensors")
    let name = "\u{1B}]0;title\u{7}\u{1B}[2Jlayer"
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: [.init(name: "a", shape: [4, 2]), .init(name: name, shape: [4, 2])],
      metadata: [
        "label": name, "taps": #"[{"name":"a"}]"#, "format": "vitprobe-features",
      ])
    for index in 0..<2 {
      try [Float](repeating: 1, count: 8).withUnsafeBufferPointer {
        try writer.append($0, to: index)
      }
    }
    try writer.finish()
    let result = try inputs.run("cka", "names.safetensors", "-o", "out")
    #expect(result.errors.contains("layer"))
    for text in [result.output, result.errors] {
      #expect(!text.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{7}" })
    }
  }

  @Test func unknownArchitecture() throws {
    try expect(
      64, saying: ["vit_tiny_patch16_225", "vit_tiny_patch16_224"],
      ["cka", "vit_tiny_patch16_225@random", "--data", inputs.images(8)])
  }

  @Test func tooFewImages() throws {
    try expect(
      65, saying: ["3 image(s)", "at least 4"], ["cka", Inputs.vit, "--data", inputs.images(3)])
  }

  @Test func anArchitectureWithoutWeights() throws {
    for name in ["vit_tiny_patch16_224", "a=resnet18"] {
      try expect(
        64, saying: [name, "architecture without weights", "@random"],
        ["cka", name, "--data", inputs.images(8)])
    }
  }

  /// Before hours are spent on the models before it.
  @Test func imagesThatDoNotFitTheLastModel() throws {
    let data = inputs.images(32)
    inputs.scratch.write((0..<32).map { "\($0 % 7)\n" }.joined(), as: "labels.txt")
    let small = Inputs.vit.replacing("image=32", with: "image=16").replacing("v=", with: "s=")
    try expect(
      65, saying: ["x.npy#0: 32 x 32 pixels, but s takes 16 x 16"],
      ["hessian", Inputs.vit, small, "--data", data, "--labels", "labels.txt", "-o", "h"])
    #expect(!inputs.scratch.names().contains("h"))
  }

  @Test func optionsWithoutMeaning() throws {
    let data = inputs.images(8)
    for (arguments, text) in [
      (["hessian", Inputs.vit, "--taps", "all"], "--taps"),
      (["hessian", Inputs.vit, "--layers", "*"], "--layers"),
      (["hessian", Inputs.vit, "--on-bad-image", "skip"], "--on-bad-image"),
      (["cka", Inputs.vit, "--crop-pct", "87.5"], "--crop-pct"),
      (["cka", Inputs.vit, "--crop-pct", "0"], "--crop-pct"),
      (["cka", Inputs.vit, "--data", data], "twice"),
      (["run", Inputs.vit, "--analyses", "dreams"], "vitprobe run --help"),
    ] {
      try expect(64, saying: [text], arguments + ["--data", data])
    }
  }

  @Test func layersThatDoNotExist() throws {
    try expect(
      64, saying: ["nothing.*", "matches no layer"],
      ["fourier", Inputs.vit, "--layers", "nothing.*", "--data", inputs.images(8)])
    // Globs choose among the layers of the analysis, which are blocks; others have to be asked for.
    try expect(
      64, saying: ["blocks.*.attn_res", "--taps all"],
      ["cka", Inputs.vit, "--layers", "blocks.*.attn_res", "--data", inputs.images(8)])
    // One for each of two models is fine, one for neither or a model without any is not.
    let models = [Inputs.vit, Inputs.resnet, "--data", inputs.images(8)]
    func dryRun(_ globs: String...) -> [String] {
      ["cka", "--taps", "all", "--dry-run"] + models + globs.flatMap { ["--layers", $0] }
    }
    let both = try Program.run(
      dryRun("blocks.*.attn_res", "layer?.?", "!layer2.*"), in: inputs.scratch.path)
    #expect(both.code == 0, "\(both.errors)")
    #expect(both.output.contains("2 taps, blocks.0.attn_res … blocks.1.attn_res"))
    #expect(both.output.contains("1 taps, layer1.0 … layer1.0"))
    try expect(64, saying: ["nothing.*"], dryRun("blocks.*", "layer?.?", "nothing.*"))
    try expect(64, saying: ["no layer of r is left", "conv1"], dryRun("blocks.*"))
  }

  @Test func foldersOfOthersStay() throws {
    let folder = inputs.scratch.folder("mine")
    inputs.scratch.write("precious", as: "mine/thesis.txt")
    try expect(
      73, saying: ["mine", "thesis.txt", "--force"],
      ["variance", Inputs.vit, "--data", inputs.images(8), "-o", folder])
    #expect(inputs.scratch.names(in: "mine") == ["thesis.txt"])
  }

  @Test func unknownAnalysesAndRepeatedOnes() throws {
    let data = inputs.images(8)
    for (names, text) in [("cka,dreams", "dreams"), ("cka,cka", "twice"), ("", "no analysis")] {
      let result = try inputs.run("run", Inputs.vit, "--analyses", names, "--data", data)
      #expect(result.code == 64)
      #expect(result.errors.contains(text))
    }
  }

  @Test func corruptImages() throws {
    _ = inputs.scratch.folder("data")
    for index in 0..<9 {
      inputs.scratch.write(Bitmaps.png(32, seed: UInt8(index)), as: "data/\(index).png")
    }
    inputs.scratch.write(Array(Bitmaps.png(32, seed: 9).dropLast(40)), as: "data/bad.png")
    inputs.scratch.write([0xFF, 0xD8, 0xFF, 0xE0, 0, 16], as: "data/bad.jpg")
    try expect(65, saying: ["bad."], ["variance", Inputs.vit, "--data", "data", "-o", "a"])
    let result = try inputs.run(
      "variance", Inputs.vit, "--data", "data", "-o", "b", "--on-bad-image", "skip", "-q",
      "--batch-size", "4")
    #expect(result.code == 1)
    let manifest = String(
      decoding: Scratch.read(inputs.scratch.file("b/run.json")) ?? [], as: UTF8.self)
    #expect(manifest.contains("bad.png") && manifest.contains("bad.jpg"))
    #expect(manifest.contains("\"n_images\": 9"))

    let capture = try inputs.run(
      "capture", Inputs.vit, "--data", "data", "-o", "c", "--on-bad-image", "skip")
    #expect(capture.code == 1)
    #expect(
      try Checkpoint.open(inputs.scratch.file("c/features.safetensors"))["embed"]?.shape[0] == 9)
  }

  /// A limit on the size of files stands for a full disk.
  @Test func aFullDiskLeavesNothing() throws {
    let data = inputs.images(64)
    let result = try Program.run(
      ["capture", Inputs.vit, "--data", data, "-o", "full"], in: inputs.scratch.path,
      fileSizeLimit: 100)
    #expect(result.code == 74)
    #expect(result.errors.contains("features.safetensors"))
    #expect(inputs.scratch.names() == ["x.npy"])
  }

  @Test func featuresOfDifferentImages() throws {
    let one = inputs.images(8, as: "one.npy")
    let two = inputs.images(12, as: "two.npy")
    #expect(try inputs.run("capture", Inputs.vit, "--data", one, "-o", "a", "-q").code == 0)
    #expect(try inputs.run("capture", Inputs.resnet, "--data", two, "-o", "b", "-q").code == 0)
    try expect(
      65, saying: ["one.npy#0"],
      ["cka", "a/features.safetensors", "b/features.safetensors", "-o", "c"])
    try expect(
      64, saying: ["a Hessian needs a model's weights"],
      ["hessian", "a/features.safetensors", "-o", "c"])
    try expect(
      64, saying: ["ARCH@"], ["cka", "resnet18@a/features.safetensors", "-o", "c"])
  }
}
