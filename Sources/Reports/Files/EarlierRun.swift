import DurableFiles
import StrictJSON

/// What the `run.json` in a folder says of the run that wrote it.
struct EarlierRun {
  /// Which run; nil if the document does not say.
  let identity: RunIdentity?
  /// The files that it wrote.
  let outputs: [Manifest.Output]

  /// The names of the files, `run.json` included.
  var names: Set<String> { Set(outputs.map(\.name)).union([Manifest.fileName]) }

  /// The most bytes of a document.
  static let limit = 1 << 26

  /// Reads the document; nil if there is none, or none of this program.
  init?(in folder: String) {
    guard
      let bytes = try? RegularFile.contents(
        PathKind.join(folder, Manifest.fileName), limit: Self.limit),
      let document = try? JSONValue(parsing: bytes),
      document["tool"]?.stringValue == Manifest.tool, let listed = document["outputs"]?.arrayValue
    else { return nil }
    identity = document["run"].flatMap(RunIdentity.init)
    outputs = listed.compactMap { output in
      // A name that is a path would let a foreign document remove files elsewhere.
      guard let name = output["name"]?.stringValue, OutputFolder.isPlainName(name) else {
        return nil
      }
      return Manifest.Output(
        name: name, sha256: output["sha256"]?.stringValue ?? "",
        size: output["size"]?.intValue ?? 0)
    }
  }
}
