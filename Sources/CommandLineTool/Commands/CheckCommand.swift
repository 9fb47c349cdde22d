import ArgumentParser
import Checkpoints
import StrictJSON
import VitProbe

/// `vitprobe check`
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Is a file sound? Reads headers and ranges only, never a payload.",
    discussion: HelpText.examples([
      .init("check *.safetensors", "a line a file; the exit code is of the worst")
    ]))

  @Argument(
    help: ArgumentHelp("Checkpoints, feature files, Hugging Face folders.", valueName: "FILE"),
    completion: .file())
  var file: [String]

  @Flag(name: [.short, .long], help: "Print nothing; the exit code tells.")
  var quiet = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if quiet, json { throw ValidationError("-q and --json exclude each other") }
  }

  func run() throws {
    var worst: VitProbeError?
    var found: [JSONValue] = []
    for path in file {
      var failure: VitProbeError?
      do { try Checkpoint.check(path) } catch { failure = VitProbeError(error) }
      if json {
        found.append(
          [
            "file": .string(path), "ok": .bool(failure == nil),
            "code": .integer(Int(failure?.kind.rawValue ?? 0)),
            "message": failure.map { .string(SettingFlags.naming($0.message)) } ?? .null,
          ])
      } else if !quiet {
        Terminal.data("\(path): \(failure == nil ? "ok" : "bad")\n")
      }
      guard let failure else { continue }
      Terminal.error(failure.message)
      // A damaged file says more than a missing one.
      if worst == nil || failure.kind == .badData { worst = failure }
    }
    if json { Terminal.json([.init("files", .array(found))]) }
    if let worst { throw ExitCode(worst.kind.rawValue) }
  }
}
