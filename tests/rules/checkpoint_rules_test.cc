#include "rules/checkpoint_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "core/units.h"
#include "tests/rules/support.h"

namespace stoker::rules {
namespace {

using testing::FindingOf;
using ::testing::HasSubstr;
using Overrides = std::vector<std::string>;

// A run that keeps every rule.
CheckpointClaim Closed() {
  return {.model = "llama3-70b",
          .ranks = 64,
          .model_ranks = 8,
          .hosts = 8,
          .least_ranks_per_host = 8,
          .saves = 10,
          .restores = 10,
          .clear_needed = false};
}

// The level of one rule, which must also be the verdict.
Verdict LevelOf(const CheckpointClaim& claim, std::string_view rule) {
  const Judgement judgement = Judge(claim);
  const Finding& finding = FindingOf(judgement, rule);
  EXPECT_EQ(finding.level, judgement.verdict) << rule;
  EXPECT_EQ(finding.remedy.empty(), finding.level == Verdict::kClosed) << rule;
  return finding.level;
}

TEST(JudgeCheckpoint, UntouchedWorkloadIsClosed) {
  const Judgement judgement = Judge(Closed());

  EXPECT_EQ(judgement.verdict, Verdict::kClosed);
  EXPECT_EQ(judgement.findings.size(), 13U);  // each rule says so
}

TEST(JudgeCheckpoint, EachModelHasItsRanks) {
  struct Row {
    const char* model;
    std::uint32_t ranks;
  };
  for (const Row& row : {Row{"llama3-8b", 8}, Row{"llama3-70b", 64},
                         Row{"llama3-405b", 512}, Row{"llama3-1t", 1024}}) {
    CheckpointClaim claim = Closed();
    claim.model = row.model;
    claim.ranks = row.ranks;
    EXPECT_EQ(ClosedRanks(row.model), row.ranks);
    EXPECT_EQ(LevelOf(claim, "num_processes"), Verdict::kClosed);
    claim.ranks = 2 * row.ranks;
    EXPECT_EQ(LevelOf(claim, "num_processes"), Verdict::kOpen);
  }
}

TEST(JudgeCheckpoint, OtherRanksThanMultiplesAreInvalid) {
  CheckpointClaim claim = Closed();
  claim.ranks = 63;

  EXPECT_EQ(LevelOf(claim, "num_processes"), Verdict::kInvalid);
}

TEST(JudgeCheckpoint, SubsetsHaveEightRanksAndAreNotOfTheSmallest) {
  CheckpointClaim claim = Closed();
  claim.subset = true;
  claim.ranks = 8;
  EXPECT_EQ(LevelOf(claim, "num_processes"), Verdict::kClosed);

  claim.ranks = 16;
  EXPECT_EQ(LevelOf(claim, "num_processes"), Verdict::kInvalid);

  claim.model = "llama3-8b";
  claim.ranks = 8;
  EXPECT_EQ(LevelOf(claim, "num_processes"), Verdict::kInvalid);
}

TEST(WritesSubset, OfFewerRanksThanClosedAsksFor) {
  EXPECT_TRUE(WritesSubset("llama3-70b", 8));
  EXPECT_TRUE(WritesSubset("llama3-1t", 1023));
  EXPECT_FALSE(WritesSubset("llama3-70b", 64));
  EXPECT_FALSE(WritesSubset("llama3-8b", 4));
  EXPECT_FALSE(WritesSubset("llama3-tiny", 4));
}

TEST(JudgeCheckpoint, OtherModelsCannotBeSubmitted) {
  CheckpointClaim claim = Closed();
  claim.model = "llama3-tiny";

  EXPECT_EQ(LevelOf(claim, "model"), Verdict::kInvalid);
}

TEST(JudgeCheckpoint, HostsHaveAtLeastFourRanks) {
  CheckpointClaim claim = Closed();
  claim.least_ranks_per_host = 4;
  EXPECT_EQ(LevelOf(claim, "ranks_per_host"), Verdict::kClosed);

  claim.least_ranks_per_host = 3;
  EXPECT_EQ(LevelOf(claim, "ranks_per_host"), Verdict::kInvalid);
}

TEST(JudgeCheckpoint, TenAreWrittenAndTenReadTogetherOrApart) {
  const auto level = [](std::uint64_t saves, std::uint64_t restores) {
    CheckpointClaim claim = Closed();
    claim.saves = saves;
    claim.restores = restores;
    return LevelOf(claim, "num_checkpoints");
  };

  EXPECT_EQ(level(10, 10), Verdict::kClosed);
  EXPECT_EQ(level(10, 0), Verdict::kClosed);
  EXPECT_EQ(level(0, 10), Verdict::kClosed);
  EXPECT_EQ(level(10, 9), Verdict::kInvalid);
  EXPECT_EQ(level(11, 10), Verdict::kInvalid);
}

TEST(JudgeCheckpoint, OnlyTheFolderMayBeChanged) {
  const Overrides folder = {"++workload.checkpoint.checkpoint_folder=/mnt/x"};
  const Overrides layers = {"checkpoint.verify=full", "model.num_layers=3"};
  CheckpointClaim claim = Closed();
  claim.overrides = folder;
  EXPECT_EQ(LevelOf(claim, "allowed_params"), Verdict::kClosed);

  claim.overrides = layers;
  const Judgement judgement = Judge(claim);
  EXPECT_EQ(judgement.verdict, Verdict::kInvalid);
  EXPECT_EQ(judgement.findings[5].actual, "model.num_layers");
  EXPECT_THAT(judgement.findings[5].remedy, HasSubstr("as the workload"));
}

TEST(JudgeCheckpoint, CachesAreClearedWhereMemoryIsLarge) {
  CheckpointClaim claim = Closed();
  claim.clear_needed = true;
  EXPECT_EQ(LevelOf(claim, "clear_caches"), Verdict::kInvalid);
  EXPECT_THAT(FindingOf(Judge(claim), "clear_caches").remedy,
              HasSubstr("--between drop-caches"));

  claim.clears = true;
  EXPECT_EQ(LevelOf(claim, "clear_caches"), Verdict::kClosed);
}

TEST(JudgeCheckpoint, PartsOfTheirOwnLeaveClearingToTheUser) {
  CheckpointClaim claim = Closed();
  claim.clear_needed = true;
  claim.restores = 0;
  EXPECT_EQ(LevelOf(claim, "clear_caches"), Verdict::kClosed);

  claim.saves = 0;
  claim.restores = 10;
  EXPECT_EQ(LevelOf(claim, "clear_caches"), Verdict::kClosed);
  EXPECT_THAT(FindingOf(Judge(claim), "clear_caches").actual,
              HasSubstr("before this run"));
}

TEST(JudgeCheckpoint, MemoryMustBeKnownButForAPlan) {
  CheckpointClaim claim = Closed();
  claim.clear_needed.reset();
  EXPECT_EQ(LevelOf(claim, "clear_caches"), Verdict::kInvalid);

  claim.memory_needed = false;
  EXPECT_EQ(LevelOf(claim, "clear_caches"), Verdict::kClosed);
}

TEST(JudgeCheckpoint, EachConditionIsSaidByItsRule) {
  const auto broken = [](std::string_view rule, auto change) {
    CheckpointClaim claim = Closed();
    change(claim);
    EXPECT_EQ(LevelOf(claim, rule), Verdict::kInvalid);
  };

  broken("fsync", [](CheckpointClaim& claim) { claim.fsync = false; });
  broken("format", [](CheckpointClaim& claim) { claim.raw = true; });
  broken("foreign", [](CheckpointClaim& claim) { claim.foreign = true; });
  broken("keep", [](CheckpointClaim& claim) { claim.keeps_all = false; });
  broken("compat", [](CheckpointClaim& claim) { claim.compat_v2_0 = true; });
  broken("io", [](CheckpointClaim& claim) { claim.reference_io = true; });
  broken("storage", [](CheckpointClaim& claim) { claim.real_storage = false; });
}

// The examples of the rules: clients of 1 TiB, eight of them. 70B writes
// 978,406,572,032 / 8 = 122.3 GB a client, three times that is 0.37 TB; 405B
// 566 GB and more, three times that is 1.7 TB.
TEST(ClearNeeded, ComparesThreeTimesWhatAHostWrites) {
  EXPECT_TRUE(ClearNeeded(core::kTiB, 978406572032 / 8));
  EXPECT_FALSE(ClearNeeded(core::kTiB, 566'000'000'000));
  EXPECT_FALSE(ClearNeeded(300, 100));
  EXPECT_TRUE(ClearNeeded(301, 100));
}

TEST(ClearNeeded, OneHostIsEnough) {
  const std::array<std::uint64_t, 3> bytes{200, 100, 200};

  EXPECT_TRUE(ClearNeeded(301, bytes));
  EXPECT_FALSE(ClearNeeded(300, bytes));
}

}  // namespace
}  // namespace stoker::rules
