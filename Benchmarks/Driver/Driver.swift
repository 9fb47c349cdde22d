import Glibc
import Tensors

/// Runs one job in steady state, warm, and prints one line of JSON: the median time of its repeats,
/// the peak resident memory of the process, and a few values to check that the work was done.
///
///     driver JOB [name=value ...]
///
/// Every job takes `threads` (2) and `repeats` (3). What is timed is what the peers' scripts time: no
/// start of the process, no making of weights and images.
@main
enum Driver {
  static let jobs: [String: @Sendable (Arguments) throws -> Measurement] = [
    "gemm": gemmJob, "grams": gramsJob, "forward": forwardJob, "run": runJob,
    "analysis": analysisJob, "hvp": hessianProductJob, "eigenvalues": eigenvaluesJob,
    "read": readingJob, "open": openingJob,
  ]

  static func main() {
    let words = CommandLine.arguments.dropFirst()
    guard let name = words.first, let job = jobs[name] else {
      print("usage: driver " + jobs.keys.sorted().joined(separator: "|") + " [name=value ...]")
      exit(64)
    }
    do {
      let arguments = try Arguments(words.dropFirst())
      Threads.configure(count: try arguments.integer("threads", 2))
      var measurement = try job(arguments)
      try arguments.checkAllUsed()
      measurement.add("kernels", text: Threads.kernels)
      measurement.add("peak_rss_mib", peakResidentMiB())
      print(measurement.json)
    } catch {
      let message = "driver: \(error)\n"
      write(STDERR_FILENO, message, message.utf8.count)
      exit(1)
    }
  }
}

/// The most memory the process has had resident, in MiB.
func peakResidentMiB() -> Double {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return Double(usage.ru_maxrss) / 1024
}
