import Glibc
import Synchronization
import Tensors

/// Progress on stderr: a bar with rate and time left on a terminal, a plain line every 30 s elsewhere.
final class ProgressBar: Sendable {
  private struct State {
    var last = 0.0
    var updates = 0
  }
  private let state = Mutex(State())
  private let start = ContinuousClock.now
  private let unit: String
  private let isEnabled: Bool
  private let isTerminal: Bool
  private let isColored: Bool

  init(unit: String, isEnabled: Bool) {
    self.unit = unit
    self.isEnabled = isEnabled && !Terminal.isQuiet
    let dumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
    isTerminal = isatty(STDERR_FILENO) == 1 && !dumb
    isColored = isTerminal && getenv("NO_COLOR") == nil
  }

  /// Seconds since it was made.
  var elapsed: Double { (ContinuousClock.now - start) / .seconds(1) }

  func update(_ done: Int, of total: Int) {
    let elapsed = elapsed
    // Threads work side by side: each piece takes as many times longer than the pieces follow each other.
    let each = state.withLock { state in
      state.updates += 1
      return elapsed / Double(state.updates) * Double(Threads.count)
    }
    Interrupts.expect(seconds: each)
    guard isEnabled, total > 0 else { return }
    let due = state.withLock { state in
      let due = elapsed - state.last >= (isTerminal ? 0.1 : 30)
      if due { state.last = elapsed }
      return due
    }
    guard due, done > 0 else { return }
    let rate = Double(done) / elapsed
    let left = Double(total - done) / rate
    let numbers =
      "\(done)/\(total) \(unit), \(Self.short(rate)) \(unit)/s, \(Self.time(left)) left"
    if isTerminal {
      // A line that the terminal breaks could not be taken back.
      let room = (Terminal.width(of: STDERR_FILENO) ?? 80) - 1
      let width = min(24, room - numbers.count - 1)
      guard width >= 4 else { return Terminal.bar(String(numbers.prefix(room))) }
      let filled = width * done / total
      let full = String(repeating: "━", count: filled)
      let rest = String(repeating: "╌", count: width - filled)
      Terminal.bar((isColored ? "\u{1B}[36m\(full)\u{1B}[0m" : full) + rest + " " + numbers)
    } else {
      Terminal.note(numbers)
    }
  }

  func finish() { if isTerminal { Terminal.endBar() } }

  static func short(_ value: Double) -> String {
    if value >= 100 { return "\(Int(value.rounded()))" }
    return "\((value * 10).rounded() / 10)"
  }

  static func time(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded(.up))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

/// A bar for each unit that work is counted in, one after the other.
final class ProgressBars: Sendable {
  private let bars = Mutex<[String: ProgressBar]>([:])
  private let start = ContinuousClock.now
  private let isEnabled: Bool

  init(isEnabled: Bool) { self.isEnabled = isEnabled }

  /// Seconds since they were made.
  var elapsed: Double { (ContinuousClock.now - start) / .seconds(1) }

  func update(_ unit: String, _ done: Int, of total: Int) {
    let bar = bars.withLock { bars in
      if let bar = bars[unit] { return bar }
      for other in bars.values { other.finish() }
      let bar = ProgressBar(unit: unit, isEnabled: isEnabled)
      bars[unit] = bar
      return bar
    }
    bar.update(done, of: total)
  }

  /// Clears what is shown.
  func finish() { for bar in bars.withLock({ Array($0.values) }) { bar.finish() } }
}
