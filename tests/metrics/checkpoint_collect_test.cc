#include "metrics/checkpoint_collect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/metrics/epochs.h"

namespace stoker::metrics {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using testing::AtMillis;
using testing::Millis;

// A host's clock: shifted against the run's, and `cost` passes before it is
// read, as on a busy host.
class HostClock final : public core::Clock {
 public:
  HostClock(core::Clock& base, core::Nanos shift, core::Nanos cost)
      : base_(base), shift_(shift), cost_(cost) {}

  core::TimePoint Now() const override {
    if (cost_ > core::Nanos{}) base_.SleepUntil(base_.Now() + cost_);
    return base_.Now() + shift_;
  }
  void SleepUntil(core::TimePoint deadline) override {
    base_.SleepUntil(deadline - shift_);
  }
  bool WaitUntil(std::condition_variable& changed,
                 std::unique_lock<std::mutex>& lock,
                 core::TimePoint deadline) override {
    return base_.WaitUntil(changed, lock, deadline - shift_);
  }
  void NotifyAll(std::condition_variable& changed) override {
    base_.NotifyAll(changed);
  }
  void Attach() override { base_.Attach(); }
  void Detach() override { base_.Detach(); }

 private:
  core::Clock& base_;
  core::Nanos shift_;
  core::Nanos cost_;
};

// Of four ranks, two on each host. The second host's clock is 7 s ahead.
std::array<ClockOffset, 4> AlignFour(core::Nanos cost_first,
                                     core::Nanos cost_second,
                                     int ranks_per_node) {
  core::VirtualClock base;
  std::array<ClockOffset, 4> offsets;
  comm::RunThreads(
      4, base, nullptr,
      [&](comm::Communicator& comm) {
        const bool second = comm.rank() >= 2;
        HostClock clock(base, second ? seconds(7) : seconds(0),
                        second ? cost_second : cost_first);
        const core::Result<ClockOffset> mine = AlignClocks(comm, clock);
        ASSERT_TRUE(mine.ok()) << mine.status().ToString();
        offsets.at(static_cast<std::size_t>(comm.rank())) = mine.value();
      },
      ranks_per_node);
  return offsets;
}

TEST(AlignClocks, InstantStampsGiveTheExactOffset) {
  const std::array<ClockOffset, 4> offsets = AlignFour({}, {}, 2);
  for (const std::size_t rank : {0U, 1U}) {
    EXPECT_EQ(offsets.at(rank).offset, core::Nanos{});
    EXPECT_EQ(offsets.at(rank).error, core::Nanos{});
  }
  for (const std::size_t rank : {2U, 3U}) {
    EXPECT_EQ(offsets.at(rank).offset, seconds(-7));
    EXPECT_EQ(offsets.at(rank).error, core::Nanos{});
  }
}

TEST(AlignClocks, ErrorBoundsWhatCannotBeKnown) {
  // Stamps cost 1 us on both hosts. All enter at 1 us and leave at 2 us by the
  // run's clock: 1 - 2 - 7 s and 2 - 1 - 7 s are the bounds.
  const std::array<ClockOffset, 4> even =
      AlignFour(microseconds(1), microseconds(1), 2);
  EXPECT_EQ(even.at(3).offset, seconds(-7));
  EXPECT_EQ(even.at(3).error, microseconds(1));
  // 3 us on the second host: it enters at 3, all leave, stamps at 4 and 6 us.
  // Bounds 1 - 6 and 4 - 3 us beside the 7 s; rounds after that are wider.
  const std::array<ClockOffset, 4> uneven =
      AlignFour(microseconds(1), microseconds(3), 2);
  EXPECT_EQ(uneven.at(2).offset, seconds(-7) - microseconds(2));
  EXPECT_EQ(uneven.at(2).error, microseconds(3));
}

TEST(AlignClocks, RanksOfOneHostShareTheirClock) {
  const std::array<ClockOffset, 4> offsets =
      AlignFour(microseconds(1), microseconds(3), 0);
  for (const ClockOffset& mine : offsets) {
    EXPECT_EQ(mine.offset, core::Nanos{});
    EXPECT_EQ(mine.error, core::Nanos{});
  }
}

// Every field has a value of its own, made of `seed`.
CheckpointOp OpOf(CheckpointKind kind, std::int64_t seed) {
  const auto count = static_cast<std::uint64_t>(seed);
  CheckpointOp op;
  op.kind = kind;
  op.step = count + 1;
  op.start = AtMillis(seed + 2);
  op.first_byte = AtMillis(seed + 3);
  op.last_byte = AtMillis(seed + 4);
  op.synced = AtMillis(seed + 5);
  op.end = AtMillis(seed + 6);
  op.files = count + 7;
  op.payload_bytes = count + 8;
  op.file_bytes = count + 9;
  op.model_part = Millis(seed + 10);
  op.optimizer_part = Millis(seed + 11);
  op.fsync = Millis(seed + 12);
  op.content = Millis(seed + 13);
  op.checksum = Millis(seed + 14);
  op.stalled = Millis(seed + 15);
  op.cpu = Millis(seed + 16);
  op.verified_bytes = count + 17;
  op.cached_known = kind == CheckpointKind::kRestore;
  op.cached_bytes = count + 18;
  op.device_known = kind == CheckpointKind::kSave;
  op.device_bytes = count + 19;
  return op;
}

void ExpectOp(const CheckpointOp& op, CheckpointKind kind, std::int64_t seed) {
  const CheckpointOp want = OpOf(kind, seed);
  EXPECT_EQ(op.kind, want.kind);
  EXPECT_EQ(op.step, want.step);
  EXPECT_EQ(op.start, want.start);
  EXPECT_EQ(op.first_byte, want.first_byte);
  EXPECT_EQ(op.last_byte, want.last_byte);
  EXPECT_EQ(op.synced, want.synced);
  EXPECT_EQ(op.end, want.end);
  EXPECT_EQ(op.files, want.files);
  EXPECT_EQ(op.payload_bytes, want.payload_bytes);
  EXPECT_EQ(op.file_bytes, want.file_bytes);
  EXPECT_EQ(op.model_part, want.model_part);
  EXPECT_EQ(op.optimizer_part, want.optimizer_part);
  EXPECT_EQ(op.fsync, want.fsync);
  EXPECT_EQ(op.content, want.content);
  EXPECT_EQ(op.checksum, want.checksum);
  EXPECT_EQ(op.stalled, want.stalled);
  EXPECT_EQ(op.cpu, want.cpu);
  EXPECT_EQ(op.verified_bytes, want.verified_bytes);
  EXPECT_EQ(op.cached_known, want.cached_known);
  EXPECT_EQ(op.cached_bytes, want.cached_bytes);
  EXPECT_EQ(op.device_known, want.device_known);
  EXPECT_EQ(op.device_bytes, want.device_bytes);
}

CacheTierRecord CacheOf(std::uint64_t rank) {
  return {.known = true,
          .staged_bytes = 10 + rank,
          .uploaded_bytes = 20 + rank,
          .drain = core::Nanos(30 + rank),
          .restored_device_bytes = 40 + rank,
          .restored_memory_bytes = 50 + rank,
          .restored_store_bytes = 60 + rank};
}

core::Result<CheckpointRecord> CollectAsRank(comm::Communicator& comm) {
  CheckpointFacts facts;
  facts.model = "llama3-8b";
  CheckpointRankRecord mine;
  const int rank = comm.rank();
  mine.pool_bytes = 1000U + static_cast<unsigned>(rank);
  mine.anchor = {.wall = WallTime(Millis(5)), .run = AtMillis(rank)};
  mine.clock_offset = Millis(-rank);
  mine.clock_error = Millis(rank);
  mine.ops = {OpOf(CheckpointKind::kSave, 100 * rank),
              OpOf(CheckpointKind::kRestore, 100 * rank + 50)};
  mine.between = {.what = "flush", .duration = Millis(20 + rank)};
  mine.cache = CacheOf(static_cast<std::uint64_t>(rank));
  HostFacts host;
  host.hostname = "host of " + std::to_string(rank);
  return CollectCheckpoints(comm, facts, mine, host);
}

TEST(CollectCheckpoints, RankZeroHoldsEveryRankAndHost) {
  core::VirtualClock clock;
  std::array<core::Result<CheckpointRecord>, 3> records = {
      core::Status{}, core::Status{}, core::Status{}};
  comm::RunThreads(
      3, clock, nullptr,
      [&](comm::Communicator& comm) {
        records.at(static_cast<std::size_t>(comm.rank())) = CollectAsRank(comm);
      },
      2);
  ASSERT_TRUE(records[0].ok()) << records[0].status().ToString();
  const CheckpointRecord& record = records[0].value();
  EXPECT_EQ(record.state, RunState::kComplete);
  EXPECT_EQ(record.facts.model, "llama3-8b");
  ASSERT_EQ(record.ranks.size(), 3U);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const CheckpointRankRecord& rank = record.ranks[i];
    EXPECT_EQ(rank.rank, i);
    EXPECT_EQ(rank.node, i / 2);
    EXPECT_EQ(rank.local_rank, i % 2);
    EXPECT_EQ(rank.pool_bytes, 1000U + i);
    EXPECT_EQ(rank.anchor.run, AtMillis(i));
    EXPECT_EQ(rank.clock_offset, Millis(-std::int64_t{i}));
    EXPECT_EQ(rank.clock_error, Millis(i));
    EXPECT_EQ(rank.between.what, "flush");
    EXPECT_EQ(rank.between.duration, Millis(20 + i));
    EXPECT_EQ(rank.cache, CacheOf(i));
    ASSERT_EQ(rank.ops.size(), 2U);
    ExpectOp(rank.ops[0], CheckpointKind::kSave, 100 * i);
    ExpectOp(rank.ops[1], CheckpointKind::kRestore, 100 * i + 50);
  }
  ASSERT_EQ(record.hosts.size(), 2U);
  EXPECT_EQ(record.hosts[0].hostname, "host of 0");
  EXPECT_EQ(record.hosts[0].ranks, 2U);
  EXPECT_EQ(record.hosts[1].hostname, "host of 2");
  EXPECT_EQ(record.hosts[1].ranks, 1U);
  ASSERT_TRUE(records[2].ok());
  EXPECT_EQ(records[2].value().facts.model, "llama3-8b");
  EXPECT_TRUE(records[2].value().ranks.empty());
}

// Joins as a rank of another program would: with a message of other content.
TEST(CollectCheckpoints, ForeignMessageIsCorruptionNamingTheRank) {
  core::VirtualClock clock;
  core::Result<CheckpointRecord> record = core::Status{};
  comm::RunThreads(3, clock, nullptr, [&](comm::Communicator& comm) {
    if (comm.rank() == 1) {
      const comm::Bytes foreign = comm::ToBytes("something else");
      EXPECT_TRUE(comm.Gather(foreign, 0).ok());
      return;
    }
    core::Result<CheckpointRecord> mine = CollectAsRank(comm);
    if (comm.rank() == 0) record = std::move(mine);
  });
  ASSERT_FALSE(record.ok());
  EXPECT_EQ(record.status().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(record.status().message()),
              ::testing::HasSubstr("rank 1"));
}

}  // namespace
}  // namespace stoker::metrics
