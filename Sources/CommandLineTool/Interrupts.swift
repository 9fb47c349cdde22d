import Glibc
import Synchronization
import VitProbe

/// Signals that ask a run to end: the first lets the work in hand be finished and saved, the second
/// ends the program at once. Slurm and `kill` send SIGTERM, a terminal SIGINT.
enum Interrupts {
  private static let count = Atomic<Int>(0)
  /// When the first came, in milliseconds.
  private static let first = Atomic<Int>(0)

  /// How long the work in hand may take, in seconds; 0 while that is not known.
  private static let expected = Atomic<Int>(0)

  /// Takes note of how long a piece of work takes, for who is going to wait for one.
  static func expect(seconds: Double) {
    expected.store(Int(min(max(seconds, 0), 1e6).rounded(.up)), ordering: .relaxed)
  }

  /// Whether a run should end.
  static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

  /// Catches the signals from now on. Before, they end the program as they end any.
  ///
  /// - Parameter ranks: whether `mpirun` stands between, which passes on SIGUSR1 as it is, and ends
  ///   all within seconds of any other.
  static func catchSignals(throughLauncher ranks: Bool = false) {
    // A handler must not be the first to touch a global.
    _ = (isRequested, first.load(ordering: .relaxed), expected.load(ordering: .relaxed))
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { Interrupts.receive($0) }
    action.sa_flags = SA_RESTART
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] + (ranks ? [SIGUSR1] : []) {
      sigaction(number, &action, nil)
      sigaddset(&signals, number)
    }
    // A parent may have blocked them, as the worker threads of some launchers do.
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Leaves it to another process to end this one.
  static func ignoreSignals() {
    for number in [SIGINT, SIGTERM, SIGUSR1] { signal(number, SIG_IGN) }
  }

  /// Only calls that are safe in a signal handler.
  private static func receive(_ signal: Int32) {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    if count.add(1, ordering: .relaxed).oldValue > 0 {
      // One request of a batch system may come twice, from its daemon and through its launcher.
      if signal == SIGTERM, now - first.load(ordering: .relaxed) < 1000 { return }
      _exit(130)
    }
    first.store(now, ordering: .relaxed)
    say("\nfinishing the work in hand")
    let seconds = expected.load(ordering: .relaxed)
    if seconds > 0 {
      say(", which may take ")
      say(seconds)
      say(" s")
    }
    say("; once more to stop at once\n")
  }

  private static func say(_ text: StaticString) {
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  }

  private static func say(_ number: Int) {
    var place = 1
    while number / place >= 10 { place *= 10 }
    while place > 0 {
      var digit = UInt8(ascii: "0") + UInt8(number / place % 10)
      _ = write(STDERR_FILENO, &digit, 1)
      place /= 10
    }
  }

  /// Runs what may be stopped or may fail, and tells the user how to go on then.
  static func guarding<Result>(
    _ log: RecordLog?, launchedBy launcher: [String] = [], _ body: () throws -> Result
  ) throws -> Result {
    do {
      return try body()
    } catch let interruption as Interruption {
      guard interruption.isKept else {
        throw VitProbeError(.interrupted, "\(interruption); nothing was kept")
      }
      let arguments = launcher + CommandLine.arguments.filter { $0 != "--resume" } + ["--resume"]
      throw VitProbeError(
        .stoppedEarly,
        "\(interruption); to go on: \(arguments.map(quoted).joined(separator: " "))")
    } catch {
      if log?.isKept == true {
        Terminal.note("note: what was done so far is kept; --resume goes on from it")
      }
      throw error
    }
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
