#include "metrics/collect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "metrics/step_gather.h"
#include "tests/metrics/epochs.h"
#include "tests/support/temp_dir.h"

namespace stoker::metrics {
namespace {

using testing::FourStepEpoch;

constexpr int kRanks = 3;

RunFacts Facts() {
  RunFacts facts;
  facts.model = "unet3d";
  facts.num_accelerators = kRanks;
  facts.steps_per_epoch = 4;
  return facts;
}

// Another value in each field.
CheckpointOp SaveOf(std::uint32_t rank) {
  return {.kind = CheckpointKind::kRestore,
          .step = 10 + rank,
          .start = testing::AtMillis(11),
          .first_byte = testing::AtMillis(12),
          .last_byte = testing::AtMillis(13),
          .synced = testing::AtMillis(14),
          .end = testing::AtMillis(15),
          .files = 16,
          .payload_bytes = 17,
          .file_bytes = 18,
          .model_part = core::Nanos(19),
          .optimizer_part = core::Nanos(20),
          .fsync = core::Nanos(21),
          .content = core::Nanos(22),
          .checksum = core::Nanos(23),
          .stalled = core::Nanos(24),
          .cpu = core::Nanos(25),
          .verified_bytes = 26,
          .cached_known = true,
          .cached_bytes = 27,
          .device_known = true,
          .device_bytes = 28};
}

// What a rank brings; its number is in every field that can tell it.
core::Result<RunRecord> CollectAsRank(comm::Communicator& comm,
                                      const std::string& folder) {
  core::Result<RankRecorder> recorder = RankRecorder::Make(Facts(), folder);
  if (!recorder.ok()) return recorder.status();
  const auto rank = static_cast<std::uint32_t>(comm.rank());
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    EpochRecord record = FourStepEpoch(epoch, rank);
    record.train_loader.files_opened = 100 * epoch + rank;
    record.train_loader.unexpected_sizes = 7 + rank;
    record.blocks[0].steps.back().bytes = 1000 + rank;
    if (epoch == 2) record.saves = {SaveOf(rank), CheckpointOp{}};
    STOKER_TRY(recorder.value().AddEpoch(std::move(record)));
  }
  RankFacts facts;
  facts.op_stream_hash = 0xABCD000000000000ULL + rank;
  facts.pool_bytes = 1000 + rank;
  facts.engine = "engine of " + std::to_string(rank);
  facts.anchor = {.wall = WallTime(testing::Millis(5)),
                  .run = testing::AtMillis(rank)};
  HostFacts host;
  host.hostname = "host of " + std::to_string(rank);
  host.cpu_count = 8 + rank;
  host.memory_bytes = 1ULL << 40;
  host.meminfo = {{"MemTotal", "1 kB"}};
  return Collect(comm, Facts(), facts, host, recorder.value());
}

TEST(Collect, RankZeroHoldsEveryRank) {
  const testing::TempDir folder;
  core::VirtualClock clock;
  std::array<core::Result<RunRecord>, kRanks> records = {
      core::Status{}, core::Status{}, core::Status{}};
  comm::RunThreads(kRanks, clock, nullptr, [&](comm::Communicator& comm) {
    records.at(static_cast<std::size_t>(comm.rank())) =
        CollectAsRank(comm, folder.str());
  });

  ASSERT_TRUE(records[0].ok()) << records[0].status().ToString();
  const RunRecord& record = records[0].value();
  EXPECT_EQ(record.state, RunState::kComplete);
  EXPECT_EQ(record.facts.model, "unet3d");
  ASSERT_EQ(record.ranks.size(), 3U);
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    const RankRecord& of = record.ranks[rank];
    EXPECT_EQ(of.facts.rank, rank);
    EXPECT_EQ(of.facts.op_stream_hash, 0xABCD000000000000ULL + rank);
    EXPECT_EQ(of.facts.pool_bytes, 1000U + rank);
    EXPECT_EQ(of.facts.engine, "engine of " + std::to_string(rank));
    EXPECT_EQ(of.facts.anchor.run, testing::AtMillis(rank));
    EXPECT_EQ(of.facts.anchor.wall, WallTime(testing::Millis(5)));
    ASSERT_EQ(of.epochs.size(), 2U);
    EXPECT_EQ(of.epochs[1].epoch, 2U);
    EXPECT_EQ(of.epochs[1].train_loader.files_opened, 200U + rank);
    EXPECT_EQ(of.epochs[1].train_loader.unexpected_sizes, 7U + rank);
    EXPECT_EQ(of.epochs[1].start, testing::AtMillis(rank));
    EXPECT_EQ(of.epochs[1].cpu.system, testing::Millis(300));
    EXPECT_EQ(of.epochs[1].cpu.main, testing::Millis(50));
    EXPECT_EQ(of.epochs[1].train_loader.checking, testing::Millis(250));
    ASSERT_EQ(of.epochs[1].blocks.size(), 1U);
    const BlockSums& sums = of.epochs[1].blocks[0].sums;
    EXPECT_EQ(sums.total_bytes, 3 * 700U + 1000 + rank);
    EXPECT_EQ(sums.total_load, testing::Millis(1900));  // 1.6 + 3 · 0.1 s
    EXPECT_DOUBLE_EQ(UtilisationPercent(sums), 75.0);
  }
  ASSERT_TRUE(records[2].ok());
  EXPECT_TRUE(records[2].value().ranks.empty());
}

TEST(Collect, CheckpointsComeWithEveryField) {
  const testing::TempDir folder;
  core::VirtualClock clock;
  core::Result<RunRecord> record = core::Status{};
  comm::RunThreads(kRanks, clock, nullptr, [&](comm::Communicator& comm) {
    core::Result<RunRecord> mine = CollectAsRank(comm, folder.str());
    if (comm.rank() == 0) record = std::move(mine);
  });

  ASSERT_TRUE(record.ok()) << record.status().ToString();
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    const std::vector<EpochSummary>& epochs = record.value().ranks[rank].epochs;
    EXPECT_TRUE(epochs[0].saves.empty());
    ASSERT_EQ(epochs[1].saves.size(), 2U);
    EXPECT_EQ(epochs[1].saves[0], SaveOf(rank));
    EXPECT_EQ(epochs[1].saves[1], CheckpointOp{});
  }
}

TEST(Collect, HostsComeFromTheirFirstRanks) {
  const testing::TempDir folder;
  core::VirtualClock clock;
  core::Result<RunRecord> record = core::Status{};
  comm::RunThreads(
      kRanks, clock, nullptr,
      [&](comm::Communicator& comm) {
        core::Result<RunRecord> mine = CollectAsRank(comm, folder.str());
        if (comm.rank() == 0) record = std::move(mine);
      },
      2);

  // Ranks 0 and 1 on the first host, 2 on the second.
  ASSERT_TRUE(record.ok()) << record.status().ToString();
  ASSERT_EQ(record.value().hosts.size(), 2U);
  const HostFacts& first = record.value().hosts[0];
  const HostFacts& second = record.value().hosts[1];
  EXPECT_EQ(first.hostname, "host of 0");
  EXPECT_EQ(first.cpu_count, 8U);
  EXPECT_EQ(first.ranks, 2U);
  EXPECT_EQ(second.hostname, "host of 2");
  EXPECT_EQ(second.ranks, 1U);
  EXPECT_EQ(second.memory_bytes, 1ULL << 40);
  EXPECT_EQ(second.meminfo.at(0).second, "1 kB");
  EXPECT_EQ(record.value().ranks[1].facts.local_rank, 1U);
  EXPECT_EQ(record.value().ranks[2].facts.node, 1U);
}

// Joins as a rank of another program would: with a message of other content.
TEST(Collect, ForeignMessageIsCorruptionNamingTheRank) {
  const testing::TempDir folder;
  core::VirtualClock clock;
  core::Result<RunRecord> record = core::Status{};
  comm::RunThreads(kRanks, clock, nullptr, [&](comm::Communicator& comm) {
    if (comm.rank() == 1) {
      const comm::Bytes foreign = comm::ToBytes("something else");
      EXPECT_TRUE(comm.Gather(foreign, 0).ok());
      return;
    }
    core::Result<RunRecord> mine = CollectAsRank(comm, folder.str());
    if (comm.rank() == 0) record = std::move(mine);
  });
  ASSERT_FALSE(record.ok());
  EXPECT_EQ(record.status().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(record.status().message()),
              ::testing::HasSubstr("rank 1"));
}

TEST(GatherSteps, RankZeroSeesEveryStep) {
  core::VirtualClock clock;
  core::Result<std::vector<EpochRecord>> all = core::Status{};
  comm::RunThreads(kRanks, clock, nullptr, [&](comm::Communicator& comm) {
    EpochRecord mine = FourStepEpoch(7);
    mine.blocks[0].steps[3].bytes = static_cast<std::uint64_t>(comm.rank());
    core::Result<std::vector<EpochRecord>> got = GatherSteps(comm, mine);
    if (comm.rank() == 0) {
      all = std::move(got);
    } else {
      EXPECT_TRUE(got.ok() && got.value().empty());
    }
  });
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  ASSERT_EQ(all.value().size(), 3U);
  for (std::size_t rank = 0; rank < 3; ++rank) {
    const EpochRecord& epoch = all.value()[rank];
    EXPECT_EQ(epoch.epoch, 7U);
    ASSERT_EQ(epoch.blocks.at(0).steps.size(), 4U);
    EXPECT_EQ(epoch.blocks[0].steps[0].proc, testing::Millis(2000));
    EXPECT_EQ(epoch.blocks[0].steps[3].bytes, rank);
    EXPECT_EQ(epoch.blocks[0].steps[3].checking, testing::Millis(3));
  }
}

}  // namespace
}  // namespace stoker::metrics
