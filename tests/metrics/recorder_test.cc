#include "metrics/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "tests/metrics/epochs.h"
#include "tests/support/temp_dir.h"

namespace stoker::metrics {
namespace {

using testing::Block;
using testing::FourStepEpoch;
using testing::Step;

RunFacts FourStepFacts() {
  RunFacts facts;
  facts.steps_per_epoch = 4;
  facts.eval_steps = 2;
  return facts;
}

RankRecorder MakeRecorder(const testing::TempDir& folder) {
  core::Result<RankRecorder> made =
      RankRecorder::Make(FourStepFacts(), folder.str());
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  return std::move(made).value();
}

// The epochs as they come back.
std::vector<EpochRecord> ReadBack(const RankRecorder& recorder) {
  std::vector<EpochRecord> epochs;
  const core::Status status = recorder.ForEachEpoch(
      [&epochs](const EpochRecord& epoch, const EpochSummary&) {
        epochs.push_back(epoch);
        return core::Status{};
      });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return epochs;
}

TEST(RankRecorder, StepsComeBackAsTheyWere) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  EpochRecord first = FourStepEpoch(1);
  first.blocks[0].steps[2] = {.load = core::Nanos(1),
                              .compute = core::Nanos(-2),
                              .proc = core::Nanos(3),
                              .barrier = core::Nanos(4),
                              .overshoot = core::Nanos(1LL << 62),
                              .samples = 0xFFFFFFFF,
                              .bytes = ~0ULL,
                              .cpu = core::Nanos(5),
                              .cpu_main = core::Nanos(6),
                              .checking = core::Nanos(7)};
  ASSERT_TRUE(recorder.AddEpoch(std::move(first)).ok());
  ASSERT_TRUE(recorder.AddEpoch(FourStepEpoch(2, 5000)).ok());

  const std::vector<EpochRecord> epochs = ReadBack(recorder);
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_EQ(epochs[0].epoch, 1U);
  ASSERT_EQ(epochs[0].blocks.size(), 1U);
  ASSERT_EQ(epochs[0].blocks[0].steps.size(), 4U);
  const StepRecord& odd = epochs[0].blocks[0].steps[2];
  EXPECT_EQ(odd.load, core::Nanos(1));
  EXPECT_EQ(odd.compute, core::Nanos(-2));
  EXPECT_EQ(odd.proc, core::Nanos(3));
  EXPECT_EQ(odd.barrier, core::Nanos(4));
  EXPECT_EQ(odd.overshoot, core::Nanos(1LL << 62));
  EXPECT_EQ(odd.samples, 0xFFFFFFFF);
  EXPECT_EQ(odd.bytes, ~0ULL);
  EXPECT_EQ(odd.cpu, core::Nanos(5));
  EXPECT_EQ(odd.cpu_main, core::Nanos(6));
  EXPECT_EQ(odd.checking, core::Nanos(7));
  EXPECT_TRUE(epochs[0].blocks[0].closed);
  EXPECT_FALSE(epochs[0].eval.has_value());
  EXPECT_EQ(epochs[1].start, testing::AtMillis(5000));
  EXPECT_EQ(epochs[1].blocks[0].start, testing::AtMillis(5100));
  EXPECT_EQ(epochs[1].cpu.user, testing::Millis(700));
  EXPECT_EQ(epochs[1].cpu.main, testing::Millis(50));
}

TEST(RankRecorder, EvaluationIsKeptAndSummed) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  EpochRecord epoch = FourStepEpoch(1);
  epoch.eval = Block(4000, 300, {Step(200, 50), Step(100, 50)});
  ASSERT_TRUE(recorder.AddEpoch(std::move(epoch)).ok());

  const std::optional<BlockSummary> kept = recorder.epochs()[0].eval;
  ASSERT_TRUE(kept.has_value());
  const BlockSums sums = kept.value_or(BlockSummary{}).sums;
  EXPECT_EQ(sums.counted_steps, 1U);  // of 2
  const std::vector<EpochRecord> epochs = ReadBack(recorder);
  ASSERT_TRUE(epochs[0].eval.has_value());
  EXPECT_EQ(epochs[0].eval.value_or(BlockRecord{}).steps.size(), 2U);
}

TEST(RankRecorder, BlocksAndCheckpointsBetweenThemComeBack) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  EpochRecord epoch = FourStepEpoch(1);
  epoch.blocks.push_back(Block(9000, 300, {Step(200, 50)}));
  epoch.saves.resize(1);
  epoch.saves[0].step = 4;
  epoch.saves[0].start = testing::AtMillis(4000);
  epoch.saves[0].end = testing::AtMillis(9000);
  const std::vector<CheckpointOp> saves = epoch.saves;
  ASSERT_TRUE(recorder.AddEpoch(std::move(epoch)).ok());

  EXPECT_EQ(recorder.epochs()[0].saves, saves);
  ASSERT_EQ(recorder.epochs()[0].blocks.size(), 2U);
  // The second block's only step is its first, and excluded.
  EXPECT_EQ(recorder.epochs()[0].blocks[1].sums.counted_steps, 0U);
  const std::vector<EpochRecord> epochs = ReadBack(recorder);
  EXPECT_EQ(epochs[0].saves, saves);
  ASSERT_EQ(epochs[0].blocks.size(), 2U);
  EXPECT_EQ(epochs[0].blocks[1].steps.size(), 1U);
}

TEST(RankRecorder, SummaryHoldsTheSums) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  EpochRecord epoch = FourStepEpoch(3);
  epoch.train_loader.bytes_discarded = 11;
  epoch.train_loader.reads.reads = 12;
  ASSERT_TRUE(recorder.AddEpoch(std::move(epoch)).ok());

  ASSERT_EQ(recorder.epochs().size(), 1U);
  const EpochSummary& summary = recorder.epochs()[0];
  EXPECT_EQ(summary.epoch, 3U);
  ASSERT_EQ(summary.blocks.size(), 1U);
  EXPECT_DOUBLE_EQ(UtilisationPercent(summary.blocks[0].sums), 75.0);
  EXPECT_EQ(summary.train_loader.bytes_discarded, 11U);
  EXPECT_EQ(summary.train_loader.reads.reads, 12U);
}

TEST(RankRecorder, MeminfoOfTheEpochsBeginningIsKept) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  recorder.BeginEpoch();
  ASSERT_TRUE(recorder.AddEpoch(FourStepEpoch(1)).ok());
  ASSERT_TRUE(recorder.AddEpoch(FourStepEpoch(2)).ok());  // none begun

  const std::vector<EpochRecord> epochs = ReadBack(recorder);
  ASSERT_FALSE(epochs[0].meminfo.empty());
  EXPECT_EQ(epochs[0].meminfo[0].first, "MemTotal");
  EXPECT_TRUE(epochs[1].meminfo.empty());
}

TEST(RankRecorder, SpillFileHasNoName) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  ASSERT_TRUE(recorder.AddEpoch(FourStepEpoch(1)).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(RankRecorder, VisitorsErrorEndsTheVisit) {
  const testing::TempDir folder;
  RankRecorder recorder = MakeRecorder(folder);
  ASSERT_TRUE(recorder.AddEpoch(FourStepEpoch(1)).ok());
  ASSERT_TRUE(recorder.AddEpoch(FourStepEpoch(2)).ok());
  int visits = 0;
  const core::Status status =
      recorder.ForEachEpoch([&visits](const EpochRecord&, const EpochSummary&) {
        ++visits;
        return core::Status(core::Code::kCancelled, "enough");
      });
  EXPECT_EQ(status.code(), core::Code::kCancelled);
  EXPECT_EQ(visits, 1);
}

TEST(RankRecorder, MissingFolderIsNamed) {
  const core::Result<RankRecorder> made =
      RankRecorder::Make(FourStepFacts(), "/nonexistent/folder");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(made.status().message()),
              ::testing::HasSubstr("/nonexistent/folder"));
}

}  // namespace
}  // namespace stoker::metrics
