import Glibc
import Synchronization
import VitProbe

/// Signals that ask a run to end: the first lets the work in hand be finished and saved, the second
/// ends the program at once. Slurm and `kill` send SIGTERM, a terminal SIGINT.
enum Interrupts {
  private static let count = Atomic<Int>(0)

  /// Whether a run should end.
  static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

  /// Catches the signals from now on. Before, they end the program as they end any.
  static func catchSignals() {
    // A handler must not be the first to touch a global.
    count.store(0, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in Interrupts.receive() }
    action.sa_flags = SA_RESTART
    for number in [SIGINT, SIGTERM] { sigaction(number, &action, nil) }
  }

  /// Only calls that are safe in a signal handler.
  private static func receive() {
    if count.add(1, ordering: .relaxed).oldValue > 0 { _exit(130) }
    let text: StaticString = "\nfinishing the work in hand; once more to stop at once\n"
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  }

  /// Says what is left to do, and ends the command with 75 if it can be gone on with.
  static func end(_ interruption: Interruption) -> VitProbeError {
    guard interruption.isKept else {
      return VitProbeError(.interrupted, "\(interruption); nothing was kept")
    }
    let arguments = CommandLine.arguments.filter { $0 != "--resume" } + ["--resume"]
    return VitProbeError(
      .stoppedEarly,
      "\(interruption); to go on: \(arguments.map(quoted).joined(separator: " "))")
  }

  /// A word as a shell reads it back.
  static func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "-_./:=@,+%".utf8.contains(byte)
      }
    }
    if plain, !word.isEmpty { return word }
    var text = "'"
    for character in word { text += character == "'" ? "'\\''" : String(character) }
    return text + "'"
  }
}
