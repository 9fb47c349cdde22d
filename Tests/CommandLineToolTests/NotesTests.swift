import Checkpoints
import StrictJSON
import TestSupport
import Testing

/// What is said of the trust that numbers deserve stands in `run.json` and in tables, whatever is said on
/// the terminal.
@Suite struct NotesTests {
  private let inputs = Inputs()
  private static let vit = "v=vit(image=32,patch=8,dim=12,depth=1,heads=2,classes=3)@random:1"

  /// The document of a run that said nothing.
  private func manifest(_ arguments: [String], _ folder: String) throws -> JSONValue {
    let result = try Program.run(
      arguments + ["-q", "--no-progress", "-o", folder], in: inputs.scratch.path)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.isEmpty, "\(result.errors)")
    return try JSONValue(parsing: Scratch.read(inputs.scratch.file("\(folder)/run.json")) ?? [])
  }

  private func notes(_ manifest: JSONValue) -> String {
    (manifest["notes"]?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: "\n")
  }

  private func text(_ name: String) -> String {
    String(decoding: Scratch.read(inputs.scratch.file(name)) ?? [], as: UTF8.self)
  }

  /// Float images that nobody normalised, one of them without a label.
  private func arrays() throws -> String {
    let name = "x.safetensors"
    var writer = try SafetensorsWriter(
      creating: inputs.scratch.file(name),
      tensors: [
        .init(name: "x", dtype: .float32, shape: [8, 3, 32, 32]),
        .init(name: "y", dtype: .int32, shape: [8, 1]),
      ], metadata: [:])
    let values = (0..<8 * 3072).map { Float($0 % 251) / 250 }
    try values.withUnsafeBytes { try writer.append($0, to: 0) }
    let labels: [Int32] = [0, 1, 2, 0, 1, 2, 0, -1]
    try labels.withUnsafeBytes { try writer.append($0, to: 1) }
    try writer.finish()
    return name
  }

  @Test func everyCommandWritesItsNotes() throws {
    let data = ["--data", try arrays(), "--batch-size", "4"]
    let expected = ["lie in 0...1,", "squeezed", "1 of 8 images", "no label"]
    func check(_ manifest: JSONValue, _ name: String) {
      for part in expected {
        #expect(notes(manifest).contains(part), "\(name): \(notes(manifest))")
      }
    }
    check(try manifest(["variance", Self.vit] + data, "variance"), "variance")
    #expect(text("variance/metrics.csv").contains("\nv,x.safetensors,7,"))
    check(try manifest(["capture", Self.vit] + data, "capture"), "capture")
    let hessian = ["hessian", Self.vit, "--batches", "1", "--steps", "2", "--top", "1"] + data
    let manifest = try manifest(hessian, "hessian")
    check(manifest, "hessian")
    #expect(notes(manifest).contains("have not converged"), "\(notes(manifest))")
    for shard in ["1", "2"] {
      check(
        try self.manifest(["variance", Self.vit, "--shard", shard + "/2"] + data, "part" + shard),
        "shard")
    }
    check(try self.manifest(["merge", "part1", "part2"], "merged"), "merge")
    #expect(text("merged/variance.csv") == text("variance/variance.csv"))
  }

  /// Sixteen-bit grey in class folders of unknown names: notes, a status, a refusal, and the user's word.
  @Test func foldersOfUnknownClasses() throws {
    for (place, name) in ["cat", "dog", "owl"].enumerated() {
      _ = inputs.scratch.folder("data")
      _ = inputs.scratch.folder("data/\(name)")
      for image in 0..<4 {
        let pixels = (0..<2 * 1024).map { UInt8(truncatingIfNeeded: $0 * (7 + place) + image) }
        inputs.scratch.write(
          Array("P5 32 32 65535\n".utf8) + pixels, as: "data/\(name)/\(image).pgm")
      }
      inputs.scratch.write("", as: "data/\(name)/list.txt")
    }
    let data = ["--data", "data", "--batch-size", "4", "--mean", "0.5", "--std", "0.5"]
    let unknown = try manifest(["variance", Self.vit] + data, "v")
    for part in ["16-bit grey", "3 .txt", "cat, dog, owl", "`classIndex`"] {
      #expect(notes(unknown).contains(part), "\(notes(unknown))")
    }
    #expect(text("v/metrics.csv").hasSuffix("\nv,data,0,,,,,labels_unmapped\n"))
    let classes = unknown["configuration"]?["classes"]?["v"]
    #expect(classes?["basis"]?.stringValue == "labels_unmapped")

    let hessian = ["hessian", Self.vit, "--batches", "1", "--steps", "3", "--top", "1"] + data
    let refused = try Program.run(hessian, in: inputs.scratch.path)
    #expect(refused.code == 65)
    #expect(refused.errors.contains("--labels-as-sorted"))
    let sorted = try manifest(hessian + ["--labels-as-sorted"], "h")
    #expect(notes(sorted).contains("16-bit grey") && notes(sorted).contains("assumed"))
    for table in ["eigs", "summary"] {
      #expect(text("h/hessian_\(table).csv").contains("labels_as_sorted"))
    }
    inputs.scratch.write(#"{"owl": 0, "cat": 1, "dog": 2}"#, as: "index.json")
    let mapped = try manifest(
      ["variance", Self.vit, "--class-index", "index.json"] + data, "m")
    #expect(mapped["configuration"]?["classes"]?["v"]?["classes"]?["owl"]?.intValue == 0)
    #expect(text("m/metrics.csv").contains("\nv,data,12,"))
    for wrong in [
      ["--mean", "123.7,116.3,103.5"], ["--std", "58"], ["--std", "0"], ["--mean", "-0.1"],
      ["--class-index", "index.json", "--labels-as-sorted"],
    ] {
      let result = try Program.run(
        ["variance", Self.vit, "--data", "data"] + wrong, in: inputs.scratch.path)
      #expect(result.code == 64, "\(wrong): \(result.errors)")
    }
  }
}
