#include "cli/workload_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace stoker::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WorkloadFilesTest : public ::testing::Test {
 protected:
  WorkloadFilesTest() {
    for (const char* name : {"b_h100.yaml", "a_b_h100.yaml", "README.md"}) {
      std::ofstream(dir_.path() / name) << "model: {name: x}\n";
    }
  }
  stoker::testing::TempDir dir_;
};

TEST_F(WorkloadFilesTest, EnvironmentNamesTheFolder) {
  ::setenv("STOKER_WORKLOADS", dir_.str().c_str(), 1);
  EXPECT_EQ(WorkloadFolder("stoker").value(), dir_.str());

  ::setenv("STOKER_WORKLOADS", "/nowhere/at/all", 1);
  EXPECT_EQ(WorkloadFolder("stoker").status().code(), core::Code::kNotFound);
}

TEST_F(WorkloadFilesTest, ListHoldsWorkloadsOnlySorted) {
  EXPECT_THAT(ListWorkloads(dir_.str()).value(),
              ElementsAre("a_b_h100", "b_h100"));
  EXPECT_FALSE(ListWorkloads("/nowhere/at/all").ok());
}

TEST_F(WorkloadFilesTest, DashesOfAModelBecomeUnderscores) {
  EXPECT_EQ(FindWorkload(dir_.str(), "a-b", "h100").value(),
            (dir_.path() / "a_b_h100.yaml").string());
}

TEST_F(WorkloadFilesTest, WithoutASuffixTheModelIsTheName) {
  EXPECT_EQ(FindWorkload(dir_.str(), "b-h100", "").value(),
            (dir_.path() / "b_h100.yaml").string());
}

TEST_F(WorkloadFilesTest, UnknownNamesGetTheNearestAndTheList) {
  const auto found = FindWorkload(dir_.str(), "a_c", "h100");

  EXPECT_EQ(found.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(found.status().message()),
              AllOf(HasSubstr("did you mean 'a_b_h100'"),
                    HasSubstr("there are: a_b_h100, b_h100")));
}

}  // namespace
}  // namespace stoker::cli
