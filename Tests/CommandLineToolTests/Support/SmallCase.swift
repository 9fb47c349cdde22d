import Checkpoints
import StrictJSON
import TestSupport
import Testing

@testable import CommandLineTool

/// A situation as small files, with the arguments and what is right: a folder of `Fixtures/cases`, which
/// `Fixtures/make_cases.py` makes.
struct SmallCase: CustomTestStringConvertible, Sendable {
  let folder: String
  let testDescription: String
  let arguments: [String]
  /// What the first tensor of `features.safetensors` is.
  let values: (shape: [Int], floats: [Double])?
  /// The exit code, and what a refusal says.
  let code: Int32
  let says: [String]
  /// What stderr or stdout, and `run.json`, both hold.
  let notes: [String]
  /// Pieces of text of files of the output.
  let cells: [(file: String, texts: [String])]

  private static let root =
    #filePath.split(separator: "/", omittingEmptySubsequences: false)
    .dropLast(2).joined(separator: "/") + "/Fixtures/cases"

  /// Every case of a kind, by name; none if their files are missing.
  static func all(of kind: String) -> [SmallCase] {
    Scratch.entries("\(root)/\(kind)").sorted().compactMap { SmallCase(kind: kind, name: $0) }
  }

  private init?(kind: String, name: String) {
    folder = "\(Self.root)/\(kind)/\(name)"
    testDescription = name
    guard let bytes = Scratch.read(folder + "/case.json"),
      let record = try? JSONValue(parsing: bytes)
    else { return nil }
    func texts(_ value: JSONValue?) -> [String] {
      (value?.arrayValue ?? []).compactMap(\.stringValue)
    }
    arguments = texts(record["arguments"])
    values = record["values"].map {
      (
        (record["shape"]?.arrayValue ?? []).compactMap(\.intValue),
        ($0.arrayValue ?? []).compactMap(\.doubleValue)
      )
    }
    code = Int32(record["code"]?.intValue ?? 0)
    says = texts(record["says"])
    notes = texts(record["notes"])
    cells = (record["cells"]?.objectValue ?? []).map { ($0.name, texts($0.value)) }
  }

  /// What is wrong with the program's answer; nothing if it is right.
  func failures() throws -> [String] {
    let output = Scratch()
    let hasFolder = !["inspect", "check", "convert", "models"].contains(arguments.first)
    let result = try Program.run(
      arguments + (hasFolder ? ["-o", output.file("out")] : []), in: folder)
    var failures: [String] = []
    if result.code != code { failures.append("exit code \(result.code), not \(code)") }
    for text in says where !result.errors.contains(text) {
      failures.append("the refusal does not say \(text)")
    }
    guard result.code == 0 else {
      return failures.isEmpty ? [] : failures + [result.errors]
    }
    // The manifest has the libraries' words for settings.
    let record = SettingFlags.naming(Self.text(output.file("out/run.json")))
    for note in notes {
      if !(result.errors + result.output).contains(note) { failures.append("no note: \(note)") }
      if !record.contains(note) { failures.append("run.json lacks \(note)") }
    }
    for (file, texts) in cells {
      let content = Self.text(output.file("out/" + file))
      for text in texts where !content.contains(text) {
        failures.append("\(file) lacks \(text): \(content.prefix(400))")
      }
    }
    if let values {
      let features = try Checkpoint.open(output.file("out/features.safetensors"))
      if let tensor = features.tensors.first {
        failures += try Self.differences(tensor, values.shape, values.floats)
      } else {
        failures.append("no features")
      }
    }
    return failures.isEmpty ? [] : failures + [result.errors]
  }

  private static func text(_ path: String) -> String {
    String(decoding: Scratch.read(path) ?? [], as: UTF8.self)
  }

  /// Numbers are right within 1e-4 of the largest magnitude.
  private static func differences(
    _ tensor: TensorEntry, _ shape: [Int], _ expected: [Double]
  ) throws -> [String] {
    let found = try tensor.floats().map(Double.init)
    guard tensor.shape == shape, found.count == expected.count else {
      return ["\(tensor.name) has the shape \(tensor.shape), not \(shape)"]
    }
    let largest = expected.map(abs).max() ?? 0
    let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? 0
    return difference <= 1e-4 * largest
      ? [] : ["\(tensor.name) is off by \(difference / largest) of the largest magnitude"]
  }
}
