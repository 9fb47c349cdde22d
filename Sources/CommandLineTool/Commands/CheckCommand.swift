import ArgumentParser
import Checkpoints
import VitProbe

/// `vitprobe check`
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Is a file sound? Reads headers and ranges only, never a payload.")

  @Argument(
    help: ArgumentHelp("Checkpoints, feature files, Hugging Face folders.", valueName: "FILE"))
  var file: [String]

  @Flag(name: [.short, .long], help: "Print nothing; the exit code tells.")
  var quiet = false

  func run() throws {
    var worst: VitProbeError?
    for path in file {
      do {
        try Checkpoint.check(path)
        if !quiet { Terminal.data("\(path): ok\n") }
      } catch {
        let failure = VitProbeError(error)
        if !quiet { Terminal.data("\(path): bad\n") }
        Terminal.error(failure.message)
        // A damaged file says more than a missing one.
        if worst == nil || failure.kind == .badData { worst = failure }
      }
    }
    if let worst { throw ExitCode(worst.kind.rawValue) }
  }
}
