// Processes that share a cache on files, and are killed, stopped and too many.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/internal/kill_point.h"
#include "cache/verify.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cache {
namespace {

using testing::Child;

constexpr std::uint64_t kFaultSlot = 64U << 10U;
constexpr std::uint64_t kObject = 3 * kFaultSlot + 1234;

struct Totals {
  std::atomic<std::uint64_t> fetched = 0;
  std::atomic<std::uint64_t> hedges = 0;
  std::atomic<std::uint64_t> hits = 0;
  std::atomic<bool> go = false;
  std::atomic<int> ready = 0;
};

std::string_view hook_name;
int hook_signal = 0;
void Hook(std::string_view name) {
  if (name == hook_name) {
    hook_name = {};
    // To this thread: it does not return before it is stopped.
    ::pthread_kill(::pthread_self(), hook_signal);
  }
}

class CacheFaults : public ::testing::Test {
 protected:
  CacheFaults()
      : totals_(new(::mmap(nullptr, sizeof(Totals), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Totals()) {
    STOKER_CHECK(Directory::Format(cache_path(), {.quota_bytes = 4U << 20U,
                                                  .slot_bytes = kFaultSlot,
                                                  .small_slot_bytes = 0})
                     .ok());
    id_ = Directory::Open(cache_path()).value()->id();
    content_.resize(kObject);
    core::FillCounterStream(7, 0, std::as_writable_bytes(std::span(content_)));
    auto store = storage::OpenBackend(store_uri()).value();
    STOKER_CHECK(storage::WriteObject(*store, "object", content_, clock_).ok());
  }
  ~CacheFaults() override {
    Index::Forget(id_);
    ::munmap(totals_, sizeof(Totals));
  }

  std::string cache_path() const { return dir_.str() + "/cache"; }
  std::string store_uri() const { return "file://" + dir_.str() + "/store"; }

  std::unique_ptr<storage::Backend> Open(const std::string& run = "") {
    CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kFaultSlot;
    auto tier = OpenTier(options, run, clock_);
    STOKER_CHECK(tier.ok());
    return MakeCacheBackend(std::move(tier).value(), options,
                            storage::OpenBackend(store_uri()).value());
  }
  // Whether the object is what it should be.
  bool Read(storage::Backend& backend) {
    const auto read = storage::ReadObject(backend, "object", clock_);
    return read.ok() && read.value() == content_;
  }
  void Note(const storage::Backend& backend) {
    const storage::CacheCounts counts = *backend.CacheActivity();
    totals_->fetched += counts.fetched_bytes;
    totals_->hedges += counts.hedges;
    totals_->hits += counts.hit_bytes + counts.memory_bytes;
  }
  // Reads in a process of its own, with a hook; 0 if all was right.
  Child Reader(std::string_view point, int signal) {
    return Child([this, point, signal] {
      hook_name = point;
      hook_signal = signal;
      internal::SetKillHook(Hook);
      const auto backend = Open();
      return Read(*backend) ? 0 : 1;
    });
  }
  void CheckWhole() {
    const auto backend = Open();
    EXPECT_TRUE(Read(*backend));
    Index& index = *TierOf(*backend)->units()[0].index;
    const SlotCounts counts = index.Count();
    EXPECT_EQ(counts.all(), index.geometry().slots());
    const auto verified = VerifyBlocks(*TierOf(*backend), clock_);
    ASSERT_TRUE(verified.ok());
    EXPECT_EQ(verified.value().damaged, 0U);
  }

  stoker::testing::TempDir dir_;
  core::SystemClock clock_;
  CacheId id_;
  std::string content_;
  Totals* totals_;
};

class KillDuringFill : public CacheFaults,
                       public ::testing::WithParamInterface<std::string_view> {
};

TEST_P(KillDuringFill, LosesNoByteAndTheNextFetchesWhatIsMissing) {
  Child killed = Reader(GetParam(), SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  CheckWhole();
  const auto backend = Open();
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Cache, KillDuringFill,
                         ::testing::Values("F1", "F2", "F3", "F4", "L1"));

TEST_F(CacheFaults, AStoppedOwnerIsTakenOverAndDoesNoHarmWhenItGoesOn) {
  Child stopped = Reader("F2", SIGSTOP);
  stopped.WaitForStop();
  {
    const auto backend = Open();
    EXPECT_TRUE(Read(*backend));
    EXPECT_GE(
        backend->CacheActivity()->takeovers + backend->CacheActivity()->hedges,
        1U);
  }
  CheckWhole();
  stopped.Signal(SIGCONT);
  EXPECT_EQ(stopped.Wait(), 0);
  CheckWhole();
}

TEST_F(CacheFaults, SixtyFourProcessesAskingForOneColdObjectFetchItOnce) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 64; ++i) {
    children.push_back(std::make_unique<Child>([this] {
      const auto backend = Open("run");
      totals_->ready.fetch_add(1);
      while (!totals_->go.load()) {
        std::this_thread::yield();
      }
      const bool right = Read(*backend);
      Note(*backend);
      return right ? 0 : 1;
    }));
  }
  while (totals_->ready.load() < 64) {
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
  }
  totals_->go.store(true);
  for (const auto& child : children) {
    EXPECT_EQ(child->Wait(), 0);
  }
  // A read that took long on a busy machine may have been repeated past the
  // cache; those are counted, and none else.
  EXPECT_GE(totals_->fetched.load(), kObject);
  EXPECT_LE(totals_->fetched.load(),
            kObject + totals_->hedges.load() * kFaultSlot);
}

TEST_F(CacheFaults, ALostIndexIsMadeFromTheRecords) {
  CheckWhole();
  Index::Forget(id_);
  const auto backend = Open();
  EXPECT_TRUE(TierOf(*backend)->units()[0].index->made());
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U);
}

TEST_F(CacheFaults, ASecondRunIsRefusedAndAToolIsNot) {
  const auto first = Open("first");
  Child second([this] {
    CacheOptions options;
    options.directories = {cache_path()};
    const auto refused = OpenTier(options, "second", clock_);
    return !refused.ok() &&
                   refused.status().code() == core::Code::kUnavailable &&
                   OpenTier(options, "", clock_).ok() &&
                   OpenTier(options, "first", clock_).ok()
               ? 0
               : 1;
  });
  EXPECT_EQ(second.Wait(), 0);
}

TEST_F(CacheFaults, ColdStartsEmptyAndAsFoundDoesNot) {
  CheckWhole();
  CacheOptions options;
  options.directories = {cache_path()};
  EXPECT_GT(
      OpenTier(options, "a", clock_).value()->units()[0].index->Count().valid,
      0U);
  options.start = Start::kCold;
  EXPECT_EQ(
      OpenTier(options, "b", clock_).value()->units()[0].index->Count().valid,
      0U);
}

TEST_F(CacheFaults, AnotherPolicyIsPossibleOnceNobodyUsesTheCache) {
  CheckWhole();
  CacheOptions options;
  options.directories = {cache_path()};
  options.policy = Policy::kLru;
  {
    const auto lru = OpenTier(options, "a", clock_);
    ASSERT_TRUE(lru.ok()) << lru.status().ToString();
    EXPECT_EQ(lru.value()->units()[0].index->Count().valid, 4U);
    options.policy = Policy::kFifo;
    EXPECT_FALSE(OpenTier(options, "a", clock_).ok());
  }
  EXPECT_TRUE(OpenTier(options, "a", clock_).ok());
}

}  // namespace
}  // namespace stoker::cache
