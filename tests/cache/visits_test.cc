#include "cache/visits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "cache/cache_backend.h"
#include "core/random.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/storage/support.h"

namespace stoker::cache {
namespace {

using testing::Key;
using testing::MemoryTier;
using testing::Options;

constexpr std::uint32_t kVisitBytes = 1U << 20U;

// Time that goes on by a nanosecond with each look at it.
class CountingClock final : public core::Clock {
 public:
  core::TimePoint Now() const override {
    return core::TimePoint(core::Nanos(++looks_));
  }
  void SleepUntil(core::TimePoint /*deadline*/) override {}
  bool WaitUntil(std::condition_variable& /*changed*/,
                 std::unique_lock<std::mutex>& /*lock*/,
                 core::TimePoint /*deadline*/) override {
    return false;
  }
  void NotifyAll(std::condition_variable& /*changed*/) override {}
  void Attach() override {}
  void Detach() override {}

 private:
  mutable std::int64_t looks_ = 0;
};

std::vector<std::uint64_t> Sizes(std::initializer_list<std::uint64_t> blocks) {
  std::vector<std::uint64_t> sizes;
  for (const std::uint64_t count : blocks) {
    sizes.push_back(count * kVisitBytes);
  }
  return sizes;
}

TEST(HitsOf, InCyclicOrderLruIsAStepAtAllAndNeverEvictAStraightLine) {
  // 64 blocks, five times in the same order: 4/5 of the visits are repeated. A
  // cache of n blocks that keeps the first to come hits n of 64 in each later
  // round; one that evicts the least recently used hits none below 64.
  CountingClock clock;
  VisitLog log(1000);
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t block = 0; block < 64; ++block) {
      log.Note(Key(block), kVisitBytes, clock);
    }
  }
  const auto sizes = Sizes({8, 16, 32, 63, 64, 128});
  const HitsOfSizes hits = HitsOf({log.sample()}, sizes);
  EXPECT_DOUBLE_EQ(hits.all, 320.0 * kVisitBytes);
  EXPECT_DOUBLE_EQ(hits.repeated, 256.0 * kVisitBytes);
  const std::vector<double> lru{0, 0, 0, 0, 1, 1};
  const std::vector<double> never{8 / 64.0,  16 / 64.0, 32 / 64.0,
                                  63 / 64.0, 1,         1};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_NEAR(hits.lru[i] / hits.repeated, lru[i], 1e-9) << i;
    EXPECT_NEAR(hits.never_evict[i] / hits.repeated, never[i], 1e-9) << i;
  }
}

TEST(HitsOf, RanksThatShareACacheAreReadTogether) {
  // Two ranks deal the blocks anew each round, so that no rank alone reads any
  // block again in the next; together they do as one that reads all.
  CountingClock clock;
  VisitLog first(1000);
  VisitLog second(1000);
  for (std::uint64_t round = 0; round < 4; ++round) {
    for (std::uint64_t block = 0; block < 32; ++block) {
      VisitLog& log = (block + round) % 2 == 0 ? first : second;
      log.Note(Key(block), kVisitBytes, clock);
    }
  }
  const auto sizes = Sizes({16, 32});
  const HitsOfSizes hits = HitsOf({first.sample(), second.sample()}, sizes);
  EXPECT_DOUBLE_EQ(hits.repeated / hits.all, 0.75);
  EXPECT_NEAR(hits.lru[0] / hits.repeated, 0, 1e-9);
  EXPECT_NEAR(hits.lru[1] / hits.repeated, 1, 1e-9);
  EXPECT_NEAR(hits.never_evict[0] / hits.repeated, 0.5, 1e-9);
}

TEST(HitsOf, OfASampleAgreesWithTheFormulaOfPermutations) {
  // 40,000 blocks in a new order each of six rounds; the log has room for 4096
  // visits, so for one block of 64 at the end. LRU hits f + (1-f) ln(1-f) of
  // the repeated visits, 0.153 for f = 1/2; never-evict f. With 625 blocks of
  // the sample sizes are off by 4 %, and so is f.
  CountingClock clock;
  VisitLog log(4096);
  std::vector<std::uint64_t> order(40'000);
  std::iota(order.begin(), order.end(), 0);
  core::CounterRandom random(core::StreamKey(5));
  for (int round = 0; round < 6; ++round) {
    for (std::size_t i = order.size() - 1; i > 0; --i) {
      std::swap(order[i], order[random.Below(i + 1)]);
    }
    for (const std::uint64_t block : order) {
      log.Note(Key(block), kVisitBytes, clock);
    }
  }
  EXPECT_GT(log.sample().halvings, 4U);
  EXPECT_LE(log.sample().visits.size(), 4096U);
  const HitsOfSizes hits = HitsOf({log.sample()}, Sizes({20'000, 40'000}));
  EXPECT_NEAR(hits.all / (240'000.0 * kVisitBytes), 1, 0.1);
  EXPECT_NEAR(hits.lru[0] / hits.repeated, 0.5 + 0.5 * std::log(0.5), 0.05);
  EXPECT_NEAR(hits.never_evict[0] / hits.repeated, 0.5, 0.06);
  EXPECT_GT(hits.never_evict[1] / hits.repeated, 0.9);
}

TEST(HitsOf, NothingIsNothing) {
  const HitsOfSizes hits = HitsOf({}, Sizes({1}));
  EXPECT_EQ(hits.all, 0.0);
  EXPECT_EQ(hits.lru, std::vector<double>{0});
}

TEST(HitsOfSizes, OfTwoHostsAddUp) {
  HitsOfSizes sum{.all = 10, .repeated = 5, .lru = {1, 2}, .never_evict = {3}};
  sum.Add({.all = 1, .repeated = 1, .lru = {1, 1}, .never_evict = {1, 1}});
  EXPECT_EQ(sum.all, 11);
  EXPECT_EQ(sum.lru, (std::vector<double>{2, 3}));
  EXPECT_EQ(sum.never_evict, (std::vector<double>{4, 1}));
}

TEST(VisitLog, OfFewBlocksReadOftenEndsAndKeepsThemAll) {
  // 300 blocks: half of them would be fewer than 256.
  CountingClock clock;
  VisitLog log(900);
  for (int round = 0; round < 10; ++round) {
    for (std::uint64_t block = 0; block < 300; ++block) {
      log.Note(Key(block), kVisitBytes, clock);
    }
  }
  EXPECT_EQ(log.sample().halvings, 0U);
  EXPECT_EQ(log.sample().visits.size(), 900U);  // three rounds
  EXPECT_NE(log.sample().until, core::kNever);
  // Another rank's visits count until then only.
  VisitLog other(900);
  other.Note(Key(1000), kVisitBytes, clock);
  const HitsOfSizes hits = HitsOf({log.sample(), other.sample()}, Sizes({300}));
  EXPECT_DOUBLE_EQ(hits.all, 900.0 * kVisitBytes);
  EXPECT_NEAR(hits.lru[0] / hits.repeated, 1, 1e-9);
}

TEST(VisitSample, IsTheSameAfterItWasSent) {
  CountingClock clock;
  VisitLog log(100);
  for (std::uint64_t block = 0; block < 50; ++block) {
    log.Note(Key(block), 7 + static_cast<std::uint32_t>(block), clock);
  }
  const VisitSample sent = ParseSample(BytesOf(log.sample()));
  ASSERT_EQ(sent.visits.size(), 50U);
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(sent.visits[i].block, Key(i).low);
    EXPECT_EQ(sent.visits[i].at, log.sample().visits[i].at);
    EXPECT_EQ(sent.visits[i].bytes, 7 + i);
  }
  EXPECT_EQ(sent.until, core::kNever);
  const std::vector<std::byte> torn(17);
  EXPECT_TRUE(ParseSample(torn).visits.empty());
}

TEST(VisitSample, LimitHalvesUntilThereAreFewEnough) {
  CountingClock clock;
  VisitLog log(8000);
  for (std::uint64_t block = 0; block < 8000; ++block) {
    log.Note(Key(block), kVisitBytes, clock);
  }
  VisitSample sample = log.sample();
  sample.Limit(1000);
  EXPECT_LE(sample.visits.size(), 1000U);
  EXPECT_GE(sample.halvings, 3U);
  for (const Visit& visit : sample.visits) {
    EXPECT_EQ(visit.block % (1U << sample.halvings), 0U);
  }
}

// What a cache has seen: each block once for each time it is read, however
// small the parts.
TEST(VisitsOf, CountsABlockOnceForEachReading) {
  constexpr std::uint64_t kSlotBytes = 64U << 10U;
  core::SystemClock clock;
  CacheOptions options;
  options.directories = {"memory"};
  options.buffer_bytes = 8 * kSlotBytes;
  const auto backend = MakeCacheBackend(MemoryTier(Options(8), clock), options,
                                        storage::OpenBackend("mem:").value());
  ASSERT_TRUE(storage::WriteObject(*backend, "a",
                                   std::string(3 * kSlotBytes, 'x'), clock)
                  .ok());
  for (int pass = 0; pass < 4; ++pass) {
    const auto queue = backend->NewReadQueue({.depth = 1}, clock).value();
    const storage::ObjectId object = backend->Resolve("a");
    std::vector<std::byte> memory(10'000);
    for (std::uint64_t at = 0; at < 3 * kSlotBytes; at += memory.size()) {
      const storage::ReadOp op{
          .object = object, .offset = at, .buffer = memory};
      storage::ReadDone done;
      ASSERT_TRUE(queue->Submit(std::span(&op, 1)).ok());
      ASSERT_TRUE(queue->Reap(std::span(&done, 1), 1, core::kNever).ok());
    }
    backend->Release(object);
  }
  const VisitSample sample = VisitsOf(*backend, core::TimePoint{});
  EXPECT_EQ(sample.visits.size(), 12U);
  EXPECT_TRUE(VisitsOf(*backend, clock.Now()).visits.empty());
  const std::vector<std::uint64_t> sizes{2 * kSlotBytes, 3 * kSlotBytes};
  const HitsOfSizes hits = HitsOf({sample}, sizes);
  EXPECT_NEAR(hits.lru[0], 0, 1);
  EXPECT_NEAR(hits.lru[1] / hits.all, 0.75, 1e-9);
}

}  // namespace
}  // namespace stoker::cache
