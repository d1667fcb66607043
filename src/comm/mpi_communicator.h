#pragma once

// Ranks as MPI processes. mpi.h is included by the .cc alone.

#include <memory>

#include "comm/communicator.h"

namespace stoker::comm {

// True if this process was started by mpirun, mpiexec or srun with PMI(x) (by
// the environment they set); no MPI call is made.
bool StartedByMpi();

// Initialises MPI (FUNNELED) and joins MPI_COMM_WORLD; called once, by the
// main thread. Waits in real time. `cancel` may be null, else must outlive the
// communicator. kUnsupported when built without MPI or with one that cannot
// run beside threads; kIoError if MPI itself fails.
//
// The destructor waits for all ranks (kCollectiveTimeout) and finalises MPI. If
// a call of this rank failed, the run was aborted, or the ranks do not all
// come, it does neither, so that it cannot hang: then ExitMpiJob must end the
// process. Abort reaches the ranks of this host at once, those of other hosts
// by ExitMpiJob or their time limits.
core::Result<std::unique_ptr<Communicator>> MakeMpi(
    const core::CancelFlag* cancel);

// Ends this process and, where MPI is up, the whole MPI job: flushes stdio,
// sleeps for `grace`, in which other ranks may finish their own reports, and
// calls MPI_Abort. No destructor and no atexit handler runs. Only for the top
// of the program, on its main thread, after a run failed.
[[noreturn]] void ExitMpiJob(int exit_code, core::Nanos grace);

}  // namespace stoker::comm
