// What holds of a cache whatever its processes do and wherever they die: its
// readers, its writers and its evictors at once, with real bytes.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/verify.h"
#include "core/aligned_buffer.h"
#include "core/random.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cache {
namespace {

using testing::Child;

#ifdef STOKER_SANITIZED
constexpr int kRounds = 2;
#else
constexpr int kRounds = 4;
#endif
constexpr int kDeathsPerRound = 8;
constexpr std::size_t kWorkers = 4;
constexpr std::uint64_t kInvariantSlot = 64U << 10U;
constexpr std::uint64_t kQuota = 3U << 20U;  // 47 slots
constexpr std::uint64_t kObjects = 6;
constexpr std::uint64_t kObjectBytes = 10 * kInvariantSlot + 999;

// Of all processes, and of those that come after them.
struct Witness {
  std::atomic<std::uint64_t> wrong = 0;
  std::atomic<std::uint64_t> errors = 0;
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<std::int64_t> longest_ns = 0;
  // The last writing of each worker that was begun, and that was acknowledged.
  std::array<std::atomic<std::uint64_t>, kWorkers> begun{};
  std::array<std::atomic<std::uint64_t>, kWorkers> acknowledged{};
};

std::string BytesOf(std::uint64_t object, std::uint64_t bytes) {
  std::string content(bytes, 0);
  core::FillCounterStream(object, 0,
                          std::as_writable_bytes(std::span(content)));
  return content;
}
// Writing `number` of a worker: each has a length of its own.
std::string Writing(std::size_t worker, std::uint64_t number) {
  return BytesOf(1000 * (worker + 1) + number, 50'000 + 7919 * (number % 11));
}
std::string WrittenName(std::size_t worker) {
  return "written" + std::to_string(worker);
}

class Invariants : public ::testing::TestWithParam<Policy> {
 protected:
  Invariants()
      : witness_(new(::mmap(nullptr, sizeof(Witness), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Witness()) {
    STOKER_CHECK(Directory::Format(cache_path(), {.quota_bytes = kQuota,
                                                  .slot_bytes = kInvariantSlot,
                                                  .small_slot_bytes = 0})
                     .ok());
    id_ = Directory::Open(cache_path()).value()->id();
    const auto store = storage::OpenBackend(store_uri()).value();
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      contents_.push_back(BytesOf(i, kObjectBytes));
      STOKER_CHECK(storage::WriteObject(*store, "o" + std::to_string(i),
                                        contents_.back(), clock_)
                       .ok());
    }
  }
  ~Invariants() override {
    Index::Forget(id_);
    ::munmap(witness_, sizeof(Witness));
  }
  std::string cache_path() const { return dir_.str() + "/cache"; }
  std::string store_uri() const { return "file://" + dir_.str() + "/store"; }

  std::unique_ptr<storage::Backend> Open(const std::string& run) {
    CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kInvariantSlot;
    options.policy = GetParam();
    options.write = Write::kBack;
    auto tier = OpenTier(options, run, clock_);
    STOKER_CHECK(tier.ok());
    return MakeCacheBackend(std::move(tier).value(), options,
                            storage::OpenBackend(store_uri()).value());
  }

  // Reads at random, and now and then writes an object of its own, for ever.
  int Work(std::size_t worker, std::uint64_t seed) {
    const auto backend = Open("run");
    auto queue = backend->NewReadQueue({.depth = 1}, clock_).value();
    const auto buffer =
        core::AlignedBuffer::Make(4 * kInvariantSlot, false).value();
    core::CounterRandom random(core::StreamKey(seed, worker));
    std::array<storage::ObjectId, kObjects> objects{};
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      objects[i] = backend->Resolve("o" + std::to_string(i));
    }
    while (true) {
      if (random.Below(40) == 0) {
        if (!WriteOne(*backend, worker)) {
          witness_->errors.fetch_add(1);
          return 1;
        }
        continue;
      }
      const std::uint64_t object = random.Below(kObjects);
      const std::uint64_t from = random.Below(kObjectBytes);
      const std::uint64_t bytes = std::min<std::uint64_t>(
          1 + random.Below(3 * kInvariantSlot), kObjectBytes - from);
      const storage::ReadOp op{.object = objects[object],
                               .offset = from,
                               .buffer = buffer.bytes().first(bytes)};
      storage::ReadDone done;
      const core::TimePoint start = clock_.Now();
      if (!queue->Submit(std::span(&op, 1)).ok() ||
          !queue->Reap(std::span(&done, 1), 1, core::kNever).ok() ||
          !done.status.ok() || done.bytes != bytes) {
        witness_->errors.fetch_add(1);
        return 1;
      }
      const std::int64_t took = (clock_.Now() - start).count();
      std::int64_t longest = witness_->longest_ns.load();
      while (longest < took &&
             !witness_->longest_ns.compare_exchange_weak(longest, took)) {
      }
      const auto expected =
          std::as_bytes(std::span(contents_[object])).subspan(from, bytes);
      witness_->wrong.fetch_add(std::ranges::equal(op.buffer, expected) ? 0
                                                                        : 1);
      witness_->reads.fetch_add(1);
    }
  }
  bool WriteOne(storage::Backend& backend, std::size_t worker) {
    const std::uint64_t number = witness_->begun[worker].load() + 1;
    witness_->begun[worker].store(number);
    const core::Status written = storage::WriteObject(
        backend, WrittenName(worker), Writing(worker, number), clock_,
        {.durable = true});
    if (written.ok()) {
      witness_->acknowledged[worker].store(number);
    }
    return written.ok();
  }

  // All workers are gone.
  void Check(storage::Backend& backend, bool rebooted) {
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      const auto read =
          storage::ReadObject(backend, "o" + std::to_string(i), clock_);
      EXPECT_TRUE(read.ok() && read.value() == contents_[i]) << i;
    }
    for (std::size_t w = 0; w < kWorkers; ++w) {
      CheckWritten(backend, w);
    }
    Tier& tier = *TierOf(backend);
    Index& index = *tier.units()[0].index;
    EXPECT_EQ(index.Count().all(), index.geometry().slots());
    const auto verified = VerifyBlocks(tier, clock_);
    ASSERT_TRUE(verified.ok());
    // After a reboot a record may tell of what its slot held before.
    if (!rebooted) {
      EXPECT_EQ(verified.value().damaged, 0U);
    }
    std::uint64_t taken = 0;
    for (const auto& file : std::filesystem::directory_iterator(cache_path())) {
      struct stat status{};
      ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
      taken += 512ULL * static_cast<std::uint64_t>(status.st_blocks);
    }
    EXPECT_LE(taken, kQuota);
  }
  // What was acknowledged last, or one of those begun since, whole.
  void CheckWritten(storage::Backend& backend, std::size_t worker) {
    const std::uint64_t last = witness_->acknowledged[worker].load();
    const auto read = storage::ReadObject(backend, WrittenName(worker), clock_);
    if (!read.ok()) {
      EXPECT_EQ(read.status().code(), core::Code::kNotFound)
          << read.status().ToString();
      EXPECT_EQ(last, 0U) << worker;
      return;
    }
    bool known = false;
    for (std::uint64_t n = std::max<std::uint64_t>(last, 1);
         n <= witness_->begun[worker].load(); ++n) {
      known = known || read.value() == Writing(worker, n);
    }
    EXPECT_TRUE(known) << worker << ": " << read.value().size() << " bytes";
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  CacheId id_;
  std::vector<std::string> contents_;
  Witness* witness_;
};

TEST_P(Invariants, HoldUnderRandomReadsWritesDeathsAndReboots) {
  core::CounterRandom random(core::StreamKey(11));
  std::uint64_t seed = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<Child>> workers;
    for (std::size_t w = 0; w < kWorkers; ++w) {
      workers.push_back(std::make_unique<Child>(
          [this, w, mine = ++seed] { return Work(w, mine); }));
    }
    for (int death = 0; death < kDeathsPerRound; ++death) {
      const auto pause = std::chrono::milliseconds(10 + random.Below(60));
      clock_.SleepUntil(clock_.Now() + pause);
      const std::size_t w = random.Below(kWorkers);
      workers[w]->Kill();
      workers[w] = std::make_unique<Child>(
          [this, w, mine = ++seed] { return Work(w, mine); });
    }
    // All at once: nobody is left to take anything back.
    for (const auto& worker : workers) {
      worker->Signal(SIGKILL);
    }
    for (const auto& worker : workers) {
      EXPECT_EQ(worker->Wait(), 128 + SIGKILL);
    }
    const bool rebooted = round % 2 == 1;
    if (rebooted) {
      Index::Forget(id_);
    }
    // Twice: recovering what was recovered changes nothing.
    std::optional<SlotCounts> before;
    for (int i = 0; i < 2; ++i) {
      const auto backend = Open("run");
      Check(*backend, rebooted && i == 0);
      const SlotCounts counts = TierOf(*backend)->units()[0].index->Count();
      if (before.has_value()) {
        EXPECT_EQ(before->dirty, counts.dirty);
        EXPECT_EQ(before->table, counts.table);
      }
      before = counts;
    }
  }
  EXPECT_EQ(witness_->wrong.load(), 0U);
  EXPECT_EQ(witness_->errors.load(), 0U);
  EXPECT_GT(witness_->reads.load(), 0U);
  // The lease of a fetch is half a second, a dead writer's slots come back
  // within five seconds: nobody waits for much longer than that.
  EXPECT_LT(witness_->longest_ns.load(),
            std::chrono::nanoseconds(std::chrono::seconds(60)).count());
  const auto backend = Open("run");
  ASSERT_TRUE(
      backend->Drain({.patience = std::chrono::seconds(60)}, clock_).ok());
  EXPECT_EQ(TierOf(*backend)->units()[0].index->Count().dirty, 0U);
  const auto store = storage::OpenBackend(store_uri()).value();
  for (std::size_t w = 0; w < kWorkers; ++w) {
    CheckWritten(*store, w);
  }
}

INSTANTIATE_TEST_SUITE_P(Cache, Invariants,
                         ::testing::Values(Policy::kNever, Policy::kLru,
                                           Policy::kS3Fifo),
                         [](const auto& policy) {
                           return std::string(PolicyName(policy.param));
                         });

}  // namespace
}  // namespace stoker::cache
