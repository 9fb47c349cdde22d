#include <mpi.h>
#include <stddef.h>

// What mpi.h defines as macros does not reach Swift, so the few calls in use are wrapped here. Open MPI
// ends all processes where a call fails.

/// Joins the other processes; the calling thread makes all later calls. Returns MPI_SUCCESS.
static inline int mpi_shim_start(void) {
  int level;
  return MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
}

/// Whether this process has joined the others, and not left them yet.
static inline int mpi_shim_is_running(void) {
  int begun = 0, ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  return begun && !ended;
}

static inline int mpi_shim_rank(void) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

static inline int mpi_shim_count(void) {
  int count = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &count);
  return count;
}

static inline void mpi_shim_broadcast(double *values, int count) {
  MPI_Bcast(values, count, MPI_DOUBLE, 0, MPI_COMM_WORLD);
}

/// Adds up on rank 0, in place there.
static inline void mpi_shim_sum(double *values, int count) {
  if (mpi_shim_rank() == 0)
    MPI_Reduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  else
    MPI_Reduce(values, NULL, count, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
}

static inline void mpi_shim_abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }
