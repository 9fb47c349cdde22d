import DurableFiles
import StrictJSON

/// The results of a finished run, read back from its folder: `run.json` and the tables that it lists.
public struct FinishedRun: Sendable {
  /// What became of a file since the run wrote it.
  public enum State: Sendable, Equatable {
    /// It has the digest that the manifest gives.
    case asWritten
    /// It has another one.
    case changed(sha256: String)
    /// It is not there.
    case missing
  }

  /// A file that the run wrote.
  public struct File: Sendable, Equatable {
    /// As the manifest has it.
    public let output: Manifest.Output
    /// What became of it.
    public let state: State
  }

  /// The folder, as it was given.
  public let path: String
  /// `run.json`.
  public let manifest: JSONValue
  /// SHA-256 of `run.json`, in lower-case hexadecimal.
  public let digest: String
  /// Every file that the run wrote, in the order of the manifest.
  public let files: [File]
  /// The tables that are there, by the stems of their names, in the order of the manifest.
  public let tables: [(name: String, table: CSVTable)]

  /// Reads a folder.
  ///
  /// - Throws: ``ResultsError``: `.missing` where no run has finished, `.damaged` for a manifest or a table
  ///   that is not what a run writes, for parts of a sharded run, and for results without tables.
  public init(reading folder: String) throws(ResultsError) {
    func damage(_ file: String, _ message: String) -> ResultsError {
      ResultsError(.damaged, path: PathKind.join(folder, file), message: message)
    }
    try Self.checkFolder(folder)
    let name = Manifest.fileName
    guard let bytes = try Self.contents(PathKind.join(folder, name), limit: 1 << 26) else {
      let isUnfinished = !OutputFolder.allRecords(in: folder).isEmpty
      throw ResultsError(
        .missing, path: folder,
        message: "holds no run.json, so no finished run"
          + (isUnfinished
            ? "; it has records of one that was interrupted: repeat its command to finish it"
            : "; name the folder that a command of vitprobe filled"))
    }
    let document: JSONValue
    do { document = try JSONValue(parsing: bytes) } catch {
      throw damage(name, "is not JSON: \(error)")
    }
    guard document["tool"]?.stringValue == Manifest.tool else {
      throw damage(name, "is of another program; expected \"tool\": \"\(Manifest.tool)\"")
    }
    guard let listed = document["outputs"]?.arrayValue else {
      throw damage(name, "found no list \"outputs\"; run the command again")
    }
    if let shard = document["run"]?["shard"]?.stringValue {
      throw ResultsError(
        .damaged, path: folder,
        message: "holds parts of a sharded run (\(shard)); join them with vitprobe merge first")
    }
    var files: [File] = []
    var tables: [(name: String, table: CSVTable)] = []
    for entry in listed {
      guard let file = entry["name"]?.stringValue, OutputFolder.isPlainName(file),
        let digest = entry["sha256"]?.stringValue, let size = entry["size"]?.intValue,
        !files.contains(where: { $0.output.name == file })
      else {
        throw damage(
          name, "found an output that is no plain file with sha256 and size; run the command again")
      }
      let place = PathKind.join(folder, file)
      let output = Manifest.Output(name: file, sha256: digest, size: size)
      guard PathKind.at(place) == .file else {
        files.append(File(output: output, state: .missing))
        continue
      }
      let found: String
      if file.hasSuffix(".csv"),
        let bytes = try Self.contents(place, limit: CSVTable.Limits().bytes)
      {
        found = Digest.sha256(bytes)
        tables.append(
          (String(file.dropLast(4)), try CSVTable(parsing: bytes, path: place)))
      } else {
        found = try Self.digest(place)
      }
      files.append(
        File(output: output, state: found == digest ? .asWritten : .changed(sha256: found)))
    }
    guard !tables.isEmpty else {
      throw ResultsError(
        .damaged, path: folder,
        message: "holds no table of the run; run it again with csv among its formats")
    }
    path = folder
    manifest = document
    digest = Digest.sha256(bytes)
    self.files = files
    self.tables = tables
  }

  /// The table of a name, if the run wrote it and it is there.
  public func table(_ name: String) -> CSVTable? { tables.first { $0.name == name }?.table }

  private static func checkFolder(_ path: String) throws(ResultsError) {
    switch PathKind.at(path) {
    case .folder: return
    case .nothing: throw ResultsError(.missing, path: path, message: "there is no such folder")
    case .file, .other:
      throw ResultsError(
        .damaged, path: path, message: "is not a folder; name the one that a command filled")
    }
  }

  private static func contents(_ path: String, limit: Int) throws(ResultsError) -> [UInt8]? {
    do { return try RegularFile.contents(path, limit: limit) } catch {
      throw ResultsError(.unreadable, path: path, message: error.reason)
    }
  }

  private static func digest(_ path: String) throws(ResultsError) -> String {
    do { return try Digest.sha256(file: path).0 } catch {
      throw ResultsError(.unreadable, path: path, message: error.reason)
    }
  }
}
