// Only in a build without MPI.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "comm/mpi_communicator.h"

namespace stoker::comm {
namespace {

TEST(MakeMpi, WithoutMpiSaysHowToGetIt) {
  const auto comm = MakeMpi(nullptr);
  ASSERT_FALSE(comm.ok());
  EXPECT_EQ(comm.status().code(), core::Code::kUnsupported);
  EXPECT_THAT(std::string(comm.status().message()),
              ::testing::HasSubstr("-DSTOKER_MPI=ON"));
}

}  // namespace
}  // namespace stoker::comm
