#if MPI
  import COpenMPI
  import VitProbe

  /// The processes that `mpirun` or `srun` has started, joined by Open MPI.
  ///
  /// All calls are made from the thread that started it. A call that fails ends all processes.
  struct MPIRanks: Ranks {
    /// Which one this is, from 0.
    let rank: Int
    /// How many there are.
    let count: Int

    /// Most values in one message: 512 MB. Longer vectors go in pieces, for counts are 32 bits wide.
    private static let most = 1 << 26

    /// Joins the others, once in the life of a process.
    ///
    /// - Throws: ``VitProbeError`` `.software` if Open MPI does not start.
    init() throws(VitProbeError) {
      let code = mpi_shim_start()
      guard code == 0 else {
        throw VitProbeError(.software, "Open MPI does not start: error \(code)")
      }
      rank = Int(mpi_shim_rank())
      count = Int(mpi_shim_count())
    }

    /// Gives every rank the values of the first.
    func broadcast(_ values: inout [Double]) {
      Self.inPieces(&values) { mpi_shim_broadcast($0, $1) }
    }

    /// Gives the first rank the sum of the values of all.
    func sum(_ values: inout [Double]) {
      Self.inPieces(&values) { mpi_shim_sum($0, $1) }
    }

    /// Leaves the others, and waits until all do; nothing if none were joined.
    static func leave() {
      if mpi_shim_is_running() != 0 { MPI_Finalize() }
    }

    /// Ends all processes at once; returns if none were joined.
    static func abort(code: Int32) {
      if mpi_shim_is_running() != 0 { mpi_shim_abort(code) }
    }

    private static func inPieces(
      _ values: inout [Double], _ body: (UnsafeMutablePointer<Double>, Int32) -> Void
    ) {
      values.withUnsafeMutableBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        for first in stride(from: 0, to: buffer.count, by: most) {
          body(start + first, Int32(min(most, buffer.count - first)))
        }
      }
    }
  }
#endif
