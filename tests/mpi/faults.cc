// One rank of a run that goes wrong (or waits); faults_test.py starts several
// and judges them. The way out is the one every program must take.

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "comm/mpi_communicator.h"
#include "core/cancel.h"
#include "core/check.h"
#include "core/clock.h"

namespace stoker::comm {
namespace {

using core::Code;
using core::Status;

core::CancelFlag cancel;  // set by the signal handler

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec +
                                    usage.ru_stime.tv_usec);
}

Status Barriers(Communicator& comm, int count) {
  for (int i = 0; i < count; ++i) {
    STOKER_TRY(comm.Barrier(kCollectiveTimeout));
  }
  return {};
}

// Rank 2 ends in the middle of the run, as `how` says.
Status LoseRank2(Communicator& comm, std::string_view how) {
  STOKER_TRY(comm.Barrier(kCollectiveTimeout));
  if (comm.rank() == 2) {
    if (how == "killed") {
      ::kill(::getpid(), SIGKILL);
    }
    if (how == "exited") {
      ::_exit(0);
    }
    return {Code::kIoError, "the disk of rank 2 is full"};
  }
  return comm.Barrier(kCollectiveTimeout);
}

// All wait, in each kind of call, for the rank that sleeps.
Status Wait(Communicator& comm) {
  core::SystemClock clock;
  STOKER_TRY(comm.Barrier(kCollectiveTimeout));
  const double before = CpuSeconds();
  for (int call = 0; call < 3; ++call) {
    if (comm.rank() == 0) {
      clock.SleepUntil(clock.Now() + std::chrono::milliseconds(500));
    }
    Bytes data = ToBytes("data");
    switch (call) {
      case 0:
        STOKER_TRY(comm.Barrier(kCollectiveTimeout));
        break;
      case 1:
        STOKER_TRY(comm.Broadcast(data, 0));
        break;
      default:
        STOKER_TRY(AllGather(comm, data).status());
    }
  }
  fmt::print("cpu_seconds {:.6f}\n", CpuSeconds() - before);
  return {};
}

// Until a signal comes.
Status WaitForSignal(Communicator& comm) {
  STOKER_TRY(comm.Barrier(kCollectiveTimeout));
  fmt::print("waiting {}\n", ::getpid());
  std::fflush(stdout);
  core::SystemClock clock;
  if (comm.rank() == 0) {
    while (!cancel.IsSet()) {
      clock.SleepUntil(clock.Now() + std::chrono::milliseconds(10));
    }
  }
  return comm.Barrier(kCollectiveTimeout);
}

Status Run(Communicator& comm, std::string_view what, int count) {
  if (what == "barriers") {
    return Barriers(comm, count);
  }
  if (what == "waiting") {
    return Wait(comm);
  }
  return what == "cancelled" ? WaitForSignal(comm) : LoseRank2(comm, what);
}

}  // namespace
}  // namespace stoker::comm

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  STOKER_CHECK(argc >= 2);
  std::signal(SIGTERM, [](int) { stoker::comm::cancel.Set(); });
  auto comm = stoker::comm::MakeMpi(&stoker::comm::cancel);
  STOKER_CHECK(comm.ok());
  const int count = argc > 2 ? std::atoi(argv[2]) : 0;
  const auto status = stoker::comm::Run(*comm.value(), argv[1], count);
  if (!status.ok()) {
    comm.value()->Abort(status);
    fmt::print(stderr, "rank {} ends: {}\n", comm.value()->rank(),
               status.ToString());
    stoker::comm::ExitMpiJob(3, 2s);
  }
  return 0;
}
