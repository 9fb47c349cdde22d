import Glibc
import Reports
import Synchronization

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
    write(clear + message.displayable + "\n", to: STDERR_FILENO)
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
