#include "checkpoint/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/checkpoint/scenario.h"

namespace stoker::checkpoint {
namespace {

using testing::Content;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::OpenOrDie;
using testing::Replace;
using testing::Scenario;

constexpr const char* kFolder = "global_epoch1_step1";
constexpr const char* kRank1File =
    "global_epoch1_step1/zero_pp_rank_0_mp_rank_1_optim_states.pt";

TEST(FindStepFolders, AreSortedByNumber) {
  Scenario scenario(OpenOrDie("mem:"));
  for (const std::uint64_t step : {10U, 9U, 2U}) {
    ASSERT_TRUE(scenario.Save(step).ok());
  }
  const auto folders = FindStepFolders(*scenario.backend);
  ASSERT_TRUE(folders.ok());
  EXPECT_THAT(folders.value(),
              ElementsAre("global_epoch1_step2", "global_epoch1_step9",
                          "global_epoch1_step10"));
}

TEST(VerifyCheckpoint, AWholeOneHasNoProblems) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto verified = VerifyCheckpoint(scenario.context, kFolder);
  ASSERT_TRUE(verified.ok()) << verified.status().ToString();
  EXPECT_TRUE(verified.value().whole);
  // Two stages of two ranks: embedding and a block, a block with output layer
  // and norm: (2 + 3 layers) * 2 ranks, and 4 optimizer files.
  EXPECT_EQ(verified.value().files, 14U);
  EXPECT_THAT(verified.value().problems, ElementsAre());
}

TEST(VerifyCheckpoint, TellsEveryBadFileAndEveryStranger) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  std::string changed = Content(*scenario.backend, kRank1File);
  changed[changed.size() / 2] ^= 1;
  Replace(*scenario.backend, kRank1File, changed);
  ASSERT_TRUE(
      scenario.backend
          ->Remove("global_epoch1_step1/layer_0-model_0_model_states.pt")
          .ok());
  Replace(*scenario.backend, "global_epoch1_step1/note", "x");
  const auto verified = VerifyCheckpoint(scenario.context, kFolder);
  ASSERT_TRUE(verified.ok()) << verified.status().ToString();
  EXPECT_FALSE(verified.value().whole);
  EXPECT_THAT(verified.value().problems,
              ElementsAre(HasSubstr("layer_0-model_0"),
                          HasSubstr("mp_rank_1_optim_states.pt")));
  EXPECT_THAT(verified.value().strangers, ElementsAre("note"));
}

TEST(VerifyCheckpoint, AnInterruptedSaveIsNotWhole) {
  Scenario scenario(OpenOrDie("fault:?op=write&nth=3&error=EIO,mem:"));
  ASSERT_FALSE(scenario.Save(1).ok());
  const auto verified = VerifyCheckpoint(scenario.context, kFolder);
  ASSERT_TRUE(verified.ok());
  EXPECT_FALSE(verified.value().whole);
  EXPECT_THAT(verified.value().problems, ElementsAre(HasSubstr("interrupted")));
}

TEST(DeleteCheckpoint, RemovesWhatTheManifestNamesOnly) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  ASSERT_TRUE(scenario.Save(2).ok());
  Replace(*scenario.backend, "global_epoch1_step1/note", "x");
  const auto deleted =
      DeleteCheckpoint(*scenario.backend, kFolder, scenario.clock);
  ASSERT_TRUE(deleted.ok()) << deleted.status().ToString();
  EXPECT_EQ(deleted.value().files, 14U);
  EXPECT_EQ(deleted.value().strangers, 1U);
  EXPECT_EQ(Content(*scenario.backend, "global_epoch1_step1/note"), "x");
  const auto other = VerifyCheckpoint(scenario.context, "global_epoch1_step2");
  EXPECT_TRUE(other.ok() && other.value().whole);
}

TEST(DeleteCheckpoint, GoesOnWhereItWasInterrupted) {
  Scenario scenario(OpenOrDie("fault:?op=remove&nth=4&error=EIO,mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  ASSERT_FALSE(
      DeleteCheckpoint(*scenario.backend, kFolder, scenario.clock).ok());
  const auto verified = VerifyCheckpoint(scenario.context, kFolder);
  EXPECT_TRUE(verified.ok() && !verified.value().whole);
  const auto deleted =
      DeleteCheckpoint(*scenario.backend, kFolder, scenario.clock);
  ASSERT_TRUE(deleted.ok()) << deleted.status().ToString();
  EXPECT_EQ(deleted.value().strangers, 0U);
}

TEST(DeleteCheckpoint, AFolderThatNothingNamesStays) {
  Scenario scenario(OpenOrDie("mem:"));
  Replace(*scenario.backend, kRank1File, "somebody's");
  const auto deleted =
      DeleteCheckpoint(*scenario.backend, kFolder, scenario.clock);
  EXPECT_EQ(deleted.status().code(), core::Code::kNotFound);
  EXPECT_EQ(Content(*scenario.backend, kRank1File), "somebody's");
}

}  // namespace
}  // namespace stoker::checkpoint
