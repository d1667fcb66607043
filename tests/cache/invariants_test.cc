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
#include <fstream>
#include <memory>
#include <new>
#include <span>
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
constexpr std::uint64_t kBuffers = 8;  // of each process
constexpr std::uint64_t kInvariantSlot = 64U << 10U;
constexpr std::uint64_t kQuota = 3U << 20U;  // 47 slots
constexpr std::uint64_t kObjects = 6;
constexpr std::uint64_t kObjectBytes = 10 * kInvariantSlot + 999;

// What a worker may need beyond what it had after its first reads.
constexpr std::uint64_t kMemoryGrowth = 8U << 20U;
constexpr int kReadsBeforeMemory = 20;

// Of all processes, and of those that come after them.
struct Witness {
  std::atomic<std::uint64_t> wrong = 0;
  std::atomic<std::uint64_t> errors = 0;
  std::array<char, 512> first_error{};
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<std::uint64_t> unbalanced = 0;  // tiers that do not add up
  std::atomic<std::uint64_t> grown = 0;       // workers whose memory grew
  std::atomic<std::uint64_t> fetched_bytes = 0;
  std::atomic<std::uint64_t> hedges = 0;
  std::atomic<std::uint64_t> takeovers = 0;
  std::atomic<std::int64_t> longest_ns = 0;
  // The last writing of each worker that was begun, and that was acknowledged.
  std::array<std::atomic<std::uint64_t>, kWorkers> begun{};
  std::array<std::atomic<std::uint64_t>, kWorkers> acknowledged{};
  // The last whose label was acknowledged as well.
  std::array<std::atomic<std::uint64_t>, kWorkers> labelled{};
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
// Says the number of a writing that the store has.
std::string LabelName(std::size_t worker) {
  return "label" + std::to_string(worker);
}

// Anonymous memory of this process, in bytes.
std::uint64_t AnonymousMemory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "RssAnon:") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib << 10U;
    }
  }
  return 0;
}

struct Setting {
  Policy policy = Policy::kNever;
  std::size_t directories = 1;
  std::uint64_t quota_bytes = kQuota;  // of each
  bool writes = true;
  // Workers ask for the same blocks one after the other, and each fetch takes
  // its time: they would fetch all of them at once.
  bool in_step = false;
};

// A cache in front of a folder, used by processes that die.
class CacheUnderDeaths {
 protected:
  explicit CacheUnderDeaths(const Setting& setting)
      : setting_(setting),
        witness_(new(::mmap(nullptr, sizeof(Witness), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Witness()) {
    for (std::size_t i = 0; i < setting.directories; ++i) {
      paths_.push_back(dir_.str() + "/cache" + std::to_string(i));
      STOKER_CHECK(
          Directory::Format(paths_.back(), {.quota_bytes = setting.quota_bytes,
                                            .slot_bytes = kInvariantSlot,
                                            .small_slot_bytes = 0})
              .ok());
      ids_.push_back(Directory::Open(paths_.back()).value()->id());
    }
    const auto store = storage::OpenBackend(store_uri()).value();
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      contents_.push_back(BytesOf(i, kObjectBytes));
      STOKER_CHECK(storage::WriteObject(*store, "o" + std::to_string(i),
                                        contents_.back(), clock_)
                       .ok());
    }
  }
  ~CacheUnderDeaths() {
    ForgetIndexes();
    ::munmap(witness_, sizeof(Witness));
  }
  void ForgetIndexes() const {
    for (const CacheId& id : ids_) {
      Index::Forget(id);
    }
  }
  std::string store_uri() const { return "file://" + dir_.str() + "/store"; }

  std::unique_ptr<storage::Backend> Open(const std::string& run) {
    CacheOptions options;
    options.directories = paths_;
    options.buffer_bytes = kBuffers * kInvariantSlot;
    options.policy = setting_.policy;
    options.write = setting_.writes ? Write::kBack : Write::kThrough;
    auto tier = OpenTier(options, run, clock_);
    STOKER_CHECK(tier.ok());
    const std::string slowly = setting_.in_step ? "fault:?latency=10ms," : "";
    return MakeCacheBackend(std::move(tier).value(), options,
                            storage::OpenBackend(slowly + store_uri()).value());
  }

  // Reads at random, and now and then writes an object of its own, for ever.
  int Work(std::size_t worker, std::uint64_t seed) {
    const auto backend = Open("run");
    auto queue = backend->NewReadQueue({.depth = 1}, clock_).value();
    const auto buffer =
        core::AlignedBuffer::Make(4 * kInvariantSlot, false).value();
    core::CounterRandom random(
        setting_.in_step ? core::StreamKey(1) : core::StreamKey(seed, worker));
    std::array<storage::ObjectId, kObjects> objects{};
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      objects[i] = backend->Resolve("o" + std::to_string(i));
    }
    std::uint64_t memory = 0;
    std::uint64_t reads = 0;
    while (true) {
      if (setting_.writes && random.Below(40) == 0) {
        if (const core::Status written = WriteOne(*backend, worker);
            !written.ok()) {
          return Fail(written);
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
      const storage::CacheCounts before = *backend->CacheActivity();
      const core::TimePoint start = clock_.Now();
      core::Status status = queue->Submit(std::span(&op, 1)).status();
      if (status.ok()) {
        status = queue->Reap(std::span(&done, 1), 1, core::kNever).status();
      }
      if (status.ok()) {
        status = done.status;
      }
      if (status.ok() && done.bytes != bytes) {
        status = {core::Code::kCorruption, "a short read"};
      }
      if (!status.ok()) {
        return Fail(status);
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
      Book(before, *backend->CacheActivity(), bytes);
      if (++reads == kReadsBeforeMemory) {
        memory = AnonymousMemory();
      } else if (reads % 64 == 0 && memory > 0) {
        witness_->grown.fetch_add(
            AnonymousMemory() > memory + kMemoryGrowth ? 1 : 0);
      }
    }
  }
  int Fail(const core::Status& status) {
    if (witness_->errors.fetch_add(1) == 0) {
      const std::string text = status.ToString();
      text.copy(witness_->first_error.data(), witness_->first_error.size() - 1);
    }
    return 1;
  }
  void Book(const storage::CacheCounts& before,
            const storage::CacheCounts& after, std::uint64_t delivered) {
    const auto sum = [](const storage::CacheCounts& counts) {
      return counts.hit_bytes + counts.memory_bytes + counts.store_bytes;
    };
    witness_->unbalanced.fetch_add(sum(after) - sum(before) == delivered ? 0
                                                                         : 1);
    witness_->fetched_bytes.fetch_add(after.fetched_bytes -
                                      before.fetched_bytes);
    witness_->hedges.fetch_add(after.hedges - before.hedges);
    witness_->takeovers.fetch_add(after.takeovers - before.takeovers);
  }
  core::Status WriteOne(storage::Backend& backend, std::size_t worker) {
    const std::uint64_t number = witness_->begun[worker].load() + 1;
    witness_->begun[worker].store(number);
    STOKER_TRY(storage::WriteObject(backend, WrittenName(worker),
                                    Writing(worker, number), clock_,
                                    {.durable = true}));
    witness_->acknowledged[worker].store(number);
    STOKER_TRY(storage::WriteObject(
        backend, LabelName(worker), std::to_string(number), clock_,
        {.durable = true, .after = {WrittenName(worker)}}));
    witness_->labelled[worker].store(number);
    return {};
  }

  // Kills workers at random times, each followed by another, and at last all at
  // once: nobody is left to take anything back.
  void WorkAndDie(core::CounterRandom& random, int deaths,
                  core::Nanos shortest_life) {
    std::vector<std::unique_ptr<Child>> workers;
    for (std::size_t w = 0; w < kWorkers; ++w) {
      workers.push_back(std::make_unique<Child>(
          [this, w, mine = ++seed_] { return Work(w, mine); }));
    }
    for (int death = 0; death < deaths; ++death) {
      clock_.SleepUntil(clock_.Now() + shortest_life +
                        std::chrono::milliseconds(random.Below(60)));
      const std::size_t w = random.Below(kWorkers);
      workers[w]->Kill();
      workers[w] = std::make_unique<Child>(
          [this, w, mine = ++seed_] { return Work(w, mine); });
    }
    for (const auto& worker : workers) {
      worker->Signal(SIGKILL);
    }
    for (const auto& worker : workers) {
      EXPECT_EQ(worker->Wait(), 128 + SIGKILL);
    }
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
    for (const TierUnit& unit : tier.units()) {
      EXPECT_EQ(unit.index->Count().all(), unit.index->geometry().slots());
    }
    const auto verified = VerifyBlocks(tier, clock_);
    ASSERT_TRUE(verified.ok());
    // After a reboot a record may tell of what its slot held before.
    if (!rebooted) {
      EXPECT_EQ(verified.value().damaged, 0U);
    }
    for (const std::string& path : paths_) {
      std::uint64_t taken = 0;
      for (const auto& file : std::filesystem::directory_iterator(path)) {
        struct stat status{};
        ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
        taken += 512ULL * static_cast<std::uint64_t>(status.st_blocks);
      }
      EXPECT_LE(taken, setting_.quota_bytes);
    }
  }
  // In the store itself: what a label names is there, or what was written
  // since. `all`: so is each label that was acknowledged.
  void CheckLabels(bool all) {
    const auto store = storage::OpenBackend(store_uri()).value();
    for (std::size_t w = 0; w < kWorkers; ++w) {
      const auto label = storage::ReadObject(*store, LabelName(w), clock_);
      if (!label.ok()) {
        EXPECT_EQ(label.status().code(), core::Code::kNotFound);
        EXPECT_TRUE(!all || witness_->labelled[w].load() == 0) << w;
        continue;
      }
      const std::uint64_t number = std::stoull(label.value());
      EXPECT_TRUE(!all || number >= witness_->labelled[w].load()) << w;
      const auto written = storage::ReadObject(*store, WrittenName(w), clock_);
      ASSERT_TRUE(written.ok()) << written.status().ToString();
      EXPECT_TRUE(IsWriting(w, written.value(), number))
          << w << ": label " << label.value();
    }
  }
  // Whether `content` is writing `first` of the worker, or one begun since.
  bool IsWriting(std::size_t worker, const std::string& content,
                 std::uint64_t first) const {
    for (std::uint64_t n = std::max<std::uint64_t>(first, 1);
         n <= witness_->begun[worker].load(); ++n) {
      if (content == Writing(worker, n)) {
        return true;
      }
    }
    return false;
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
    EXPECT_TRUE(IsWriting(worker, read.value(), last))
        << worker << ": " << read.value().size() << " bytes";
  }
  void CheckWitness() const {
    EXPECT_EQ(witness_->wrong.load(), 0U);
    EXPECT_EQ(witness_->errors.load(), 0U) << witness_->first_error.data();
    EXPECT_GT(witness_->reads.load(), 0U);
    EXPECT_EQ(witness_->unbalanced.load(), 0U);
#ifndef STOKER_SANITIZED  // their own memory grows
    EXPECT_EQ(witness_->grown.load(), 0U);
#endif
    // The lease of a fetch is half a second, a dead writer's slots come back
    // within five seconds: nobody waits for much longer than that.
    EXPECT_LT(witness_->longest_ns.load(),
              std::chrono::nanoseconds(std::chrono::seconds(60)).count());
  }

  Setting setting_;
  testing::TempDir dir_;
  core::SystemClock clock_;
  std::vector<std::string> paths_;
  std::vector<CacheId> ids_;
  std::vector<std::string> contents_;
  Witness* witness_;
  std::uint64_t seed_ = 0;
};

class Invariants : public ::testing::TestWithParam<Setting>,
                   protected CacheUnderDeaths {
 protected:
  Invariants() : CacheUnderDeaths(GetParam()) {}
};

TEST_P(Invariants, HoldUnderRandomReadsWritesDeathsAndReboots) {
  core::CounterRandom random(core::StreamKey(11));
  for (int round = 0; round < kRounds; ++round) {
    WorkAndDie(random, kDeathsPerRound, std::chrono::milliseconds(10));
    CheckLabels(false);
    const bool rebooted = round % 2 == 1;
    if (rebooted) {
      ForgetIndexes();
    }
    // Twice: recovering what was recovered changes nothing.
    std::vector<SlotCounts> before;
    for (int i = 0; i < 2; ++i) {
      const auto backend = Open("run");
      Check(*backend, rebooted && i == 0);
      std::vector<SlotCounts> counts;
      for (const TierUnit& unit : TierOf(*backend)->units()) {
        counts.push_back(unit.index->Count());
      }
      for (std::size_t u = 0; u < before.size(); ++u) {
        EXPECT_EQ(before[u].dirty, counts[u].dirty);
        EXPECT_EQ(before[u].table, counts[u].table);
      }
      before = counts;
    }
  }
  CheckWitness();
  const auto backend = Open("run");
  ASSERT_TRUE(WriteOne(*backend, 0).ok());
  ASSERT_TRUE(
      backend->Drain({.patience = std::chrono::seconds(60)}, clock_).ok());
  for (const TierUnit& unit : TierOf(*backend)->units()) {
    EXPECT_EQ(unit.index->Count().dirty, 0U);
  }
  const auto store = storage::OpenBackend(store_uri()).value();
  for (std::size_t w = 0; w < kWorkers; ++w) {
    CheckWritten(*store, w);
  }
  CheckLabels(true);
}

INSTANTIATE_TEST_SUITE_P(Cache, Invariants,
                         ::testing::Values(Setting{.policy = Policy::kNever},
                                           Setting{.policy = Policy::kLru},
                                           Setting{.policy = Policy::kS3Fifo},
                                           Setting{.policy = Policy::kLru,
                                                   .directories = 2,
                                                   .quota_bytes = kQuota / 2}),
                         [](const auto& setting) {
                           return std::string(
                                      PolicyName(setting.param.policy)) +
                                  (setting.param.directories > 1 ? "InTwo"
                                                                 : "");
                         });

class FetchesUnderDeaths : public ::testing::TestWithParam<std::size_t>,
                           protected CacheUnderDeaths {
 protected:
  FetchesUnderDeaths()
      : CacheUnderDeaths({.directories = GetParam(),
                          .quota_bytes = kRoomForAll / GetParam(),
                          .writes = false,
                          .in_step = true}) {}
  static constexpr int kDeaths = 3;
  // Beside all blocks those that rest because their fetchers died.
  static constexpr std::uint64_t kRoomForAll = 16U << 20U;
};

TEST_P(FetchesUnderDeaths, AreOneForEachBlockButForDeathsAndHedges) {
  core::CounterRandom random(core::StreamKey(12));
  WorkAndDie(random, kDeaths, std::chrono::milliseconds(80));
  CheckWitness();
  // Who dies may have handed out as many blocks as it has buffers that nobody
  // else can read yet; the last deaths are followed by nobody.
  EXPECT_LE(witness_->fetched_bytes.load(),
            kObjects * kObjectBytes +
                (kBuffers * kDeaths + witness_->takeovers.load() +
                 witness_->hedges.load()) *
                    kInvariantSlot);
  const auto backend = Open("run");
  // What nobody evicts is all there, and half of it in each of two directories
  // or thereabouts: a block's place is drawn by its key.
  Check(*backend, false);
  const storage::CacheCounts before = *backend->CacheActivity();
  Check(*backend, false);
  const storage::CacheCounts after = *backend->CacheActivity();
  EXPECT_EQ(after.fetched_bytes, before.fetched_bytes);
  EXPECT_EQ(after.store_bytes, before.store_bytes);
  const std::uint64_t blocks = kObjects * (kObjectBytes / kInvariantSlot + 1);
  for (const TierUnit& unit : TierOf(*backend)->units()) {
    EXPECT_GE(unit.index->Count().valid * GetParam(), blocks / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Cache, FetchesUnderDeaths, ::testing::Values(1, 2));

}  // namespace
}  // namespace stoker::cache
