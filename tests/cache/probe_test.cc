#include "cache/probe.h"

#include <gtest/gtest.h>

#include <string>

#include "cache/block_key.h"
#include "storage/registry.h"
#include "tests/cache/support.h"

namespace stoker::cache {
namespace {

constexpr std::uint64_t kProbeSlot = 64U << 10U;

ObjectSet Numbered(std::uint64_t count) {
  return {.count = count, .name_of = [](std::uint64_t number) {
            return "object" + std::to_string(number);
          }};
}

// Takes part in virtual time.
class Attached {
 public:
  explicit Attached(core::Clock& clock) : clock_(clock) { clock_.Attach(); }
  ~Attached() { clock_.Detach(); }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

 private:
  core::Clock& clock_;
};

// The store gives 100 MiB/s, whoever asks: of virtual time nothing is lost.
TEST(ProbeStore, MeasuresTheBandwidthOfASimulatedStore) {
  core::VirtualClock clock;
  const Attached attached(clock);
  const auto store =
      storage::OpenBackend("model:?bandwidth=100MiB,null:").value();
  const auto probe = ProbeStore(*store, Numbered(100), {.depth = 4}, clock);
  ASSERT_TRUE(probe.ok()) << probe.status().ToString();
  EXPECT_GE(probe.value().took, std::chrono::milliseconds(300));
  EXPECT_LE(probe.value().took, std::chrono::milliseconds(350));
  EXPECT_NEAR(probe.value().bytes_per_s() / (100U << 20U), 1, 1e-6);
}

// 2 requests of 64 KiB at once, each after 10 ms: 12.8 MB/s and some more.
TEST(ProbeStore, MeasuresWhatLatencyLeavesOfIt) {
  core::VirtualClock clock;
  const Attached attached(clock);
  const auto store = storage::OpenBackend("model:?latency=10ms,null:").value();
  const auto probe = ProbeStore(
      *store, Numbered(100), {.depth = 2, .request_bytes = 64U << 10U}, clock);
  ASSERT_TRUE(probe.ok());
  EXPECT_NEAR(probe.value().bytes_per_s(), 2 * 65536 / 0.010, 1);
}

TEST(ProbeStore, EndsWhereNothingTakesTime) {
  core::VirtualClock clock;
  const Attached attached(clock);
  const auto store = storage::OpenBackend("null:").value();
  const auto probe = ProbeStore(*store, Numbered(1), {}, clock);
  ASSERT_TRUE(probe.ok());
  EXPECT_EQ(probe.value().bytes_per_s(),
            std::numeric_limits<double>::infinity());
}

TEST(ProbeStore, SaysWhatTheStoreSays) {
  core::SystemClock clock;
  const auto store = storage::OpenBackend("mem:").value();
  EXPECT_EQ(ProbeStore(*store, Numbered(1), {}, clock).status().code(),
            core::Code::kNotFound);
}

TEST(ProbeStore, ReadsObjectsThatAreShorterThanARequest) {
  core::SystemClock clock;
  const auto store = storage::OpenBackend("mem:").value();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(storage::WriteObject(*store, "object" + std::to_string(i),
                                     std::string(1000, 'x'), clock)
                    .ok());
  }
  const auto probe = ProbeStore(
      *store, Numbered(3),
      {.span = std::chrono::milliseconds(5), .most_bytes = 50'000}, clock);
  ASSERT_TRUE(probe.ok());
  EXPECT_GT(probe.value().bytes, 0U);
  EXPECT_EQ(probe.value().bytes % 1000, 0U);
}

TEST(ProbeDevice, LeavesTheCacheAsItWas) {
  core::SystemClock clock;
  auto tier = testing::MemoryTier(
      testing::Options(64, Policy::kNever, kProbeSlot), clock);
  Index& index = *tier->units()[0].index;
  const Claim claim = index.ClaimSlot(testing::Key(1), 5000);
  ASSERT_EQ(claim.outcome, ClaimOutcome::kMine);
  ASSERT_TRUE(index.Publish(claim, {.state = SlotState::kValid,
                                    .key = testing::Key(1),
                                    .generation = claim.generation,
                                    .length = 5000}));
  const SlotCounts before = index.Count();
  const auto probe = ProbeDevice(
      *tier,
      {.request_bytes = 16U << 10U, .span = std::chrono::milliseconds(5)},
      clock);
  ASSERT_TRUE(probe.ok()) << probe.status().ToString();
  // 63 slots are free, half of them may be written, each of them twice.
  EXPECT_GE(probe.value().write.bytes, 4 * kProbeSlot);
  EXPECT_LE(probe.value().write.bytes, (2 * 31 + 4) * kProbeSlot);
  EXPECT_GT(probe.value().read.bytes, 0U);
  EXPECT_EQ(index.Count(), before);
  EXPECT_EQ(index.Peek(testing::Key(1)), Look::kHit);
}

TEST(ProbeDevice, ReadsBlocksWhereNothingIsFreeAndEvictsNone) {
  core::SystemClock clock;
  auto tier =
      testing::MemoryTier(testing::Options(4, Policy::kLru, kProbeSlot), clock);
  Index& index = *tier->units()[0].index;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const Claim claim = index.ClaimSlot(testing::Key(i), kProbeSlot);
    ASSERT_TRUE(index.Publish(claim, {.state = SlotState::kValid,
                                      .key = testing::Key(i),
                                      .generation = claim.generation,
                                      .length = kProbeSlot}));
  }
  const auto probe =
      ProbeDevice(*tier, {.span = std::chrono::milliseconds(2)}, clock);
  ASSERT_TRUE(probe.ok());
  EXPECT_EQ(probe.value().write.bytes, 0U);
  EXPECT_GT(probe.value().read.bytes, 0U);
  EXPECT_EQ(index.Count().valid, 4U);
  EXPECT_EQ(index.counters().evictions, 0U);
}

TEST(SampleObjects, TellsWhatIsThereOfThem) {
  core::SystemClock clock;
  CacheOptions options;
  options.directories = {"memory"};
  options.buffer_bytes = 8 * kProbeSlot;
  const auto backend = MakeCacheBackend(
      testing::MemoryTier(testing::Options(64, Policy::kNever, kProbeSlot),
                          clock),
      options, storage::OpenBackend("mem:").value());
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(storage::WriteObject(*backend, "object" + std::to_string(i),
                                     std::string(100'000, 'x'), clock)
                    .ok());
  }
  const auto sample = [&] {
    return SampleObjects(*TierOf(*backend), *StoreOf(*backend),
                         StoreName(StoreOf(*backend)->uri()), Numbered(4), 100,
                         clock)
        .value();
  };
  EXPECT_EQ(sample().mean_bytes, 100'000);
  EXPECT_EQ(sample().cached, 0);
  ASSERT_TRUE(storage::ReadObject(*backend, "object2", clock).ok());
  const core::TimePoint deadline = clock.Now() + std::chrono::seconds(30);
  while (CountersOf(*backend)->fills.load() < 2) {
    ASSERT_LT(clock.Now(), deadline);
    clock.SleepUntil(clock.Now() + std::chrono::milliseconds(1));
  }
  EXPECT_EQ(sample().cached, 0.25);
}

// 10 slots of 64 KiB and 5 of 16 KiB.
TEST(ShareThatFits, CountsSlotsOfBothSizes) {
  core::SystemClock clock;
  IndexOptions options = testing::Options(10, Policy::kNever, kProbeSlot);
  options.geometry.classes[1] = {.slot_bytes = 16U << 10U, .slots = 5};
  const auto tier = testing::MemoryTier(
      options, clock,
      storage::MakeMemoryDevice(11 * kProbeSlot + (64U << 10U)));
  // Whole blocks: 10 of 20.
  EXPECT_DOUBLE_EQ(ShareThatFits(*tier, 20, kProbeSlot), 0.5);
  EXPECT_DOUBLE_EQ(ShareThatFits(*tier, 5, 2 * kProbeSlot), 1);
  // Short ones take 5 small slots and 10 large ones: 15 of 30.
  EXPECT_DOUBLE_EQ(ShareThatFits(*tier, 30, 4096), 0.5);
  // A whole block and a short one of 10 objects: all of the one, half of the
  // other.
  EXPECT_DOUBLE_EQ(ShareThatFits(*tier, 10, kProbeSlot + 16384),
                   (65536 + 0.5 * 16384) / (65536 + 16384));
}

}  // namespace
}  // namespace stoker::cache
