import Glibc
import Reports
import StrictJSON
import Synchronization
import VitProbe

/// The only place that writes to stdout and stderr: data go to one, talk to the other.
enum Terminal {
  /// How much is said on stderr.
  enum Verbosity: Int, Sendable {
    case quiet, normal, verbose
  }
  private static let verbosity = Mutex(Verbosity.normal)
  /// Whether a progress bar stands on the current line.
  private static let barIsShown = Atomic<Bool>(false)

  static func configure(_ value: Verbosity) { verbosity.withLock { $0 = value } }

  /// Writes data. A reader that has gone away ends the program quietly, as it does any filter.
  static func data(_ text: String) { write(text, to: STDOUT_FILENO) }

  /// The version of the form of what `--json` prints (`docs/output.md`).
  private static let schema = 1
  private static let hasPrintedJSON = Atomic<Bool>(false)

  /// Writes what `--json` asks for, one object: its members, after the version of its form.
  static func json(_ members: [JSONValue.Member]) {
    let said: Set = ["notes", "warnings", "not_recognised"]
    hasPrintedJSON.store(true, ordering: .relaxed)
    data(
      JSONValue.object(
        [.init("schema", .integer(schema))]
          + members.map { member in
            guard said.contains(member.name) else { return member }
            return .init(member.name, member.value.namingFlags)
          }
      ).pretty)
  }

  /// Says why the command fails: in a line on stderr, and where `--json` was given and nothing was
  /// printed yet, in its object too.
  static func failure(_ failure: VitProbeError) {
    error(failure.message)
    object(failure.kind, failure.message)
  }

  /// The object of a failure, where `--json` was given.
  static func object(_ kind: VitProbeError.Kind, _ message: String) {
    let words = CommandLine.arguments.dropFirst().prefix { $0 != "--" }
    guard words.contains("--json"), !hasPrintedJSON.load(ordering: .relaxed) else { return }
    json([
      .init(
        "error",
        [
          "code": .integer(Int(kind.rawValue)), "kind": .string(kind.name),
          "message": .string(SettingFlags.naming(message)),
        ])
    ])
  }

  static func error(_ message: String) { line("error: " + message) }

  static func note(_ message: String) {
    if verbosity.withLock({ $0.rawValue >= Verbosity.normal.rawValue }) { line(message) }
  }

  static func detail(_ message: String) {
    if verbosity.withLock({ $0 == .verbose }) { line(message) }
  }

  /// Says how long a command took, and how much memory.
  static func cost(seconds: Double) {
    var text = "\(ProgressBar.short(seconds)) s"
    if let peak = peakMiB() { text += ", \(ProgressBar.short(peak)) MiB of memory at most" }
    detail(text)
  }

  /// The most memory that the process had at once, as Linux tells it.
  private static func peakMiB() -> Double? {
    guard let file = fopen("/proc/self/status", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard text.hasPrefix("VmHWM:") else { continue }
      let number = text.split { !$0.isNumber }.first
      return number.flatMap { Double($0) }.map { $0 / 1024 }
    }
    return nil
  }

  /// Characters in a line of the terminal that `descriptor` writes to; nil if it is none.
  static func width(of descriptor: Int32 = STDOUT_FILENO) -> Int? {
    guard isatty(descriptor) == 1 else { return nil }
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  static var isQuiet: Bool { verbosity.withLock { $0 == .quiet } }

  private static func line(_ message: String) {
    let clear = barIsShown.exchange(false, ordering: .relaxed) ? "\r\u{1B}[K" : ""
    // Names from files must not move the cursor or pose as the program's own words.
    write(clear + SettingFlags.naming(message).displayable + "\n", to: STDERR_FILENO)
  }

  static func bar(_ text: String) {
    barIsShown.store(true, ordering: .relaxed)
    write("\r\u{1B}[K" + text, to: STDERR_FILENO)
  }

  static func endBar() {
    if barIsShown.exchange(false, ordering: .relaxed) { write("\r\u{1B}[K", to: STDERR_FILENO) }
  }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 {
        bytes = bytes.dropFirst(written)
      } else if errno == EPIPE {
        if descriptor == STDOUT_FILENO { exit(0) }
        return
      } else if errno != EINTR {
        if descriptor == STDOUT_FILENO {
          let reason = String(cString: strerror(errno))
          error("cannot write to standard output: \(reason)")
          exit(74)
        }
        return
      }
    }
  }
}

extension JSONValue {
  /// Messages, or lists of them, with options in the place of settings.
  fileprivate var namingFlags: JSONValue {
    switch self {
    case .string(let text): .string(SettingFlags.naming(text))
    case .array(let elements): .array(elements.map(\.namingFlags))
    default: self
    }
  }
}
