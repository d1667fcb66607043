// Processes that are killed while a cache has what the store has not.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <tuple>

#include "cache/cache_backend.h"
#include "cache/internal/kill_point.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cache {
namespace {

using testing::Child;

constexpr std::uint64_t kDirtySlot = 64U << 10U;
constexpr std::uint64_t kShard = 5 * kDirtySlot + 4321;

struct Progress {
  std::atomic<bool> shard = false;  // acknowledged
  std::atomic<bool> manifest = false;
};

std::string_view point_name;
int point_signal = 0;
std::atomic<bool> point_passed = false;
// By any of the process's threads; the first that comes there.
void AtPoint(std::string_view name) {
  if (name == point_name && !point_passed.exchange(true)) {
    // To this thread: it does not return before it is stopped.
    ::pthread_kill(::pthread_self(), point_signal);
  }
}

class WriteBackFaults : public ::testing::Test {
 protected:
  WriteBackFaults()
      : progress_(new(::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Progress()) {
    STOKER_CHECK(Directory::Format(cache_path(), {.quota_bytes = 4U << 20U,
                                                  .slot_bytes = kDirtySlot,
                                                  .small_slot_bytes = 0})
                     .ok());
    id_ = Directory::Open(cache_path()).value()->id();
    shard_ = Content(1, kShard);
    manifest_ = Content(2, 700);
  }
  ~WriteBackFaults() override {
    Index::Forget(id_);
    ::munmap(progress_, sizeof(Progress));
  }

  static std::string Content(std::uint64_t seed, std::uint64_t bytes) {
    std::string content(bytes, 0);
    core::FillCounterStream(seed, 0,
                            std::as_writable_bytes(std::span(content)));
    return content;
  }
  std::string cache_path() const { return dir_.str() + "/cache"; }
  std::string store_uri() const { return "file://" + dir_.str() + "/store"; }

  std::unique_ptr<storage::Backend> Open() {
    CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kDirtySlot;
    options.write = Write::kBack;
    auto tier = OpenTier(options, "", clock_);
    STOKER_CHECK(tier.ok());
    return MakeCacheBackend(std::move(tier).value(), options,
                            storage::OpenBackend(store_uri()).value());
  }
  // Writes a shard and then a manifest, and waits until the store has both.
  Child Writer(std::string_view point, int signal) {
    return Child([this, point, signal] {
      point_name = point;
      point_signal = signal;
      internal::SetKillHook(AtPoint);
      const auto backend = Open();
      const storage::WriteOptions durable{.durable = true};
      if (!storage::WriteObject(*backend, "shard", shard_, clock_, durable)
               .ok()) {
        return 1;
      }
      progress_->shard = true;
      storage::WriteOptions last = durable;
      last.after = {"shard"};
      if (!storage::WriteObject(*backend, "manifest", manifest_, clock_, last)
               .ok()) {
        return 2;
      }
      progress_->manifest = true;
      return backend->Drain(std::chrono::seconds(30), clock_).ok() ? 0 : 3;
    });
  }
  // All of it, or "not found".
  std::string ReadFrom(storage::Backend& backend, std::string_view name) {
    const auto read = storage::ReadObject(backend, name, clock_);
    return read.ok() ? read.value()
                     : std::string(core::CodeName(read.status().code()));
  }
  std::string InStore(std::string_view name) {
    const auto store = storage::OpenBackend(store_uri()).value();
    return ReadFrom(*store, name);
  }
  void CheckWhole(storage::Backend& backend, std::string_view name,
                  const std::string& content, bool acknowledged) {
    const std::string found = ReadFrom(backend, name);
    if (acknowledged || found != "not found") {
      EXPECT_EQ(found, content) << name;
    }
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  CacheId id_;
  std::string shard_;
  std::string manifest_;
  Progress* progress_;
};

// With true the host is started again: all that was in memory is gone.
class KillDuringWriteBack
    : public WriteBackFaults,
      public ::testing::WithParamInterface<std::tuple<std::string_view, bool>> {
};

TEST_P(KillDuringWriteBack, LosesNothingThatWasAcknowledgedAndFinishes) {
  const auto& [point, reboot] = GetParam();
  Child killed = Writer(point, SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  if (InStore("manifest") != "not found") {
    EXPECT_EQ(InStore("shard"), shard_);
  }
  if (reboot) {
    Index::Forget(id_);
  }
  // Twice: what the first finds changes nothing.
  for (int i = 0; i < 2; ++i) {
    const auto backend = Open();
    CheckWhole(*backend, "shard", shard_, progress_->shard);
    CheckWhole(*backend, "manifest", manifest_, progress_->manifest);
  }
  const auto backend = Open();
  ASSERT_TRUE(backend->Drain(std::chrono::seconds(30), clock_).ok());
  if (progress_->shard) {
    EXPECT_EQ(InStore("shard"), shard_);
  }
  if (progress_->manifest) {
    EXPECT_EQ(InStore("manifest"), manifest_);
  }
  Index& index = *TierOf(*backend)->units()[0].index;
  index.Sweep();
  const SlotCounts counts = index.Count();
  EXPECT_EQ(counts.dirty, 0U);
  EXPECT_EQ(counts.free + counts.filling + counts.valid + counts.evicting +
                counts.dirty + counts.quarantined,
            index.geometry().slots());
  const std::string again = Content(3, kShard);
  ASSERT_TRUE(
      storage::WriteObject(*backend, "shard", again, clock_, {.durable = true})
          .ok());
  ASSERT_TRUE(backend->Drain(std::chrono::seconds(30), clock_).ok());
  EXPECT_EQ(InStore("shard"), again);
}

INSTANTIATE_TEST_SUITE_P(Cache, KillDuringWriteBack,
                         ::testing::Combine(::testing::Values("D1", "D2", "D3",
                                                              "D4", "D5", "D6",
                                                              "D7", "D8", "D9"),
                                            ::testing::Bool()),
                         [](const auto& kill) {
                           return std::string(std::get<0>(kill.param)) +
                                  (std::get<1>(kill.param) ? "_Reboot" : "");
                         });

TEST_F(WriteBackFaults, AnUploaderThatIsStoppedIsReplacedAndDoesNoHarm) {
  const Child stopped = Writer("D6", SIGSTOP);
  stopped.WaitForStop();
  {
    const auto backend = Open();
    ASSERT_TRUE(backend->Drain(std::chrono::seconds(30), clock_).ok());
    EXPECT_EQ(InStore("shard"), shard_);
  }
  stopped.Signal(SIGCONT);
}

TEST_F(WriteBackFaults, WhatAnotherRunLeftIsReadWithoutTheStore) {
  Child killed = Writer("D6", SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  CacheOptions options;
  options.directories = {cache_path()};
  options.buffer_bytes = 8 * kDirtySlot;
  auto tier = OpenTier(options, "another", clock_);
  ASSERT_TRUE(tier.ok());
  const auto reader =
      MakeCacheBackend(std::move(tier).value(), options,
                       storage::OpenBackend(store_uri()).value());
  EXPECT_EQ(ReadFrom(*reader, "shard"), shard_);
}

// Cold means without what was read; what was written is not let go of.
TEST_F(WriteBackFaults, AColdStartKeepsWhatTheStoreDoesNotHave) {
  Child killed = Writer("D6", SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  for (const bool reboot : {false, true}) {
    if (reboot) {
      Index::Forget(id_);
    }
    CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kDirtySlot;
    options.start = Start::kCold;
    auto tier = OpenTier(options, "", clock_);
    ASSERT_TRUE(tier.ok());
    const auto backend =
        MakeCacheBackend(std::move(tier).value(), options,
                         storage::OpenBackend(store_uri()).value());
    EXPECT_EQ(ReadFrom(*backend, "shard"), shard_);
  }
}

}  // namespace
}  // namespace stoker::cache
