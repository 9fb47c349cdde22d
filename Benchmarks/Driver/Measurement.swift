import Glibc

/// What a job has to report: a time, and named numbers beside it.
struct Measurement {
  private var fields: [(name: String, value: String)] = []

  /// The median of `repeats` runs of `body` after one that is not counted.
  init(repeats: Int, _ body: () throws -> Void) rethrows {
    try body()
    let before = processorSeconds()
    self.init(seconds: try (0..<repeats).map { _ in try elapsed(body) })
    add("processor_seconds", (processorSeconds() - before) / Double(repeats))
  }

  /// The median of given times.
  init(seconds: [Double]) {
    add("seconds", seconds.sorted()[seconds.count / 2])
    fields.append(("repeats", "[" + seconds.map { "\($0)" }.joined(separator: ",") + "]"))
  }

  /// The time, for rates.
  var seconds: Double { fields.first.flatMap { Double($0.value) } ?? .nan }

  mutating func add(_ name: String, _ value: Double) {
    fields.append((name, value.isFinite ? "\(value)" : "null"))
  }

  /// What was computed in that time, in floating-point operations: the share of the machine's limit follows.
  mutating func add(work: Double) {
    add("gflop", work * 1e-9)
    add("gflop_per_s", work / seconds * 1e-9)
  }

  mutating func add(_ name: String, text: String) { fields.append((name, "\"\(text)\"")) }

  var json: String {
    "{" + fields.map { "\"\($0.name)\": \($0.value)" }.joined(separator: ", ") + "}"
  }
}

/// What all threads of the process have taken of processors so far: of account where others take their share.
func processorSeconds() -> Double {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return [usage.ru_utime, usage.ru_stime].reduce(0) {
    $0 + Double($1.tv_sec) + Double($1.tv_usec) * 1e-6
  }
}

/// Seconds that `body` takes.
func elapsed(_ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  let start = clock.now
  try body()
  let parts = (clock.now - start).components
  return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
}
