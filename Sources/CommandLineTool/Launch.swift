import Glibc
import VitProbe

/// How the program was started: alone, or as one of several processes by a launcher of MPI.
enum Launch {
  /// Processes that the launcher started, as Open MPI or MPICH tell them; 1 without a launcher.
  static var processes: Int {
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].compactMap(number).first ?? 1
  }

  /// Which of them this one is, from 0.
  private static var place: Int {
    ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].compactMap(number).first ?? 0
  }

  private static func number(_ variable: String) -> Int? {
    getenv(variable).flatMap { Int(String(cString: $0)) }
  }

  /// Joins the processes that share one run.
  ///
  /// - Throws: ``VitProbeError`` `.usage` if there are several that cannot.
  static func join() throws -> any Ranks {
    #if MPI
      // srun tells a process its place and nothing else that is of use here.
      guard number("OMPI_COMM_WORLD_SIZE") != nil || number("PMIX_RANK") != nil else {
        try refuse("they were not started by Open MPI, which this program is built with")
        return SingleRank()
      }
      let ranks = try MPIRanks()
      if ranks.rank > 0 { Terminal.configure(.quiet) }
      return ranks
    #else
      try refuse(
        "this program is built without MPI; build it with swift build -c release --traits MPI")
      return SingleRank()
    #endif
  }

  /// Refuses to be one of several processes that would all do the same.
  static func refuse(_ reason: String) throws {
    guard processes > 1 else { return }
    throw LaunchRefusal(
      message: "\(processes) processes were started for one run: \(reason)",
      isSaid: leavesItToTheFirst())
  }

  /// Whether another process says what all of them would say. It is given the time: the launcher ends
  /// all as soon as one has failed.
  static func leavesItToTheFirst() -> Bool {
    guard place > 0, !CommandLine.arguments.contains(where: { $0.hasPrefix("--shard") }) else {
      return false
    }
    sleep(1)
    return true
  }

  /// What to type to start the same again.
  static func words(_ ranks: any Ranks) -> [String] {
    ranks.count > 1 ? ["mpirun", "-n", "\(ranks.count)"] : []
  }

  /// Waits for the others to end as well.
  static func leave() {
    #if MPI
      MPIRanks.leave()
    #endif
  }

  /// Ends the others, which wait for something that does not come.
  static func abort(code: Int32) {
    #if MPI
      MPIRanks.abort(code: code)
    #endif
  }
}

/// A run that several processes cannot share.
struct LaunchRefusal: Error {
  let message: String
  /// Whether another process says it.
  let isSaid: Bool
}
