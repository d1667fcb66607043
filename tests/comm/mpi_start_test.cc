#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "comm/mpi_communicator.h"

namespace stoker::comm {
namespace {

constexpr std::array kLauncherVariables{"OMPI_COMM_WORLD_SIZE", "PMI_RANK",
                                        "PMIX_RANK"};

// NOLINTBEGIN(concurrency-mt-unsafe): these tests start no thread
void Set(const char* name) { ::setenv(name, "0", 1); }
void Unset(const char* name) { ::unsetenv(name); }
// NOLINTEND(concurrency-mt-unsafe)

void UnsetLauncherVariables() {
  for (const char* name : kLauncherVariables) {
    Unset(name);
  }
}

TEST(StartedByMpi, NotFromAShell) {
  UnsetLauncherVariables();
  EXPECT_FALSE(StartedByMpi());
}

TEST(StartedByMpi, ByEachLaunchersVariable) {
  UnsetLauncherVariables();
  for (const char* name : kLauncherVariables) {
    Set(name);
    EXPECT_TRUE(StartedByMpi()) << name;
    Unset(name);
  }
}

TEST(StartedByMpi, NotFromASlurmBatchScript) {
  UnsetLauncherVariables();
  Set("SLURM_JOB_ID");
  Set("SLURM_PROCID");
  EXPECT_FALSE(StartedByMpi());
  Unset("SLURM_JOB_ID");
  Unset("SLURM_PROCID");
}

TEST(ExitMpiJob, EndsTheProcessWithItsCodeAfterFlushing) {
  EXPECT_EXIT(
      {
        std::fputs("last words", stderr);
        ExitMpiJob(7, core::Nanos(0));
      },
      ::testing::ExitedWithCode(7), "last words");
}

}  // namespace
}  // namespace stoker::comm
