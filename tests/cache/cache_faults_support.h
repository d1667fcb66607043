#pragma once

// What the tests of faults share: a cache on files, and processes that read
// through it and are ended at will.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "cache/cache_backend.h"
#include "cache/internal/kill_point.h"
#include "cache/verify.h"
#include "core/random.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cache {

using testing::Child;

inline constexpr std::uint64_t kFaultSlot = 64U << 10U;
inline constexpr std::uint64_t kObject = 3 * kFaultSlot + 1234;

// What child processes count.
struct Totals {
  std::atomic<std::uint64_t> fetched = 0;
  std::atomic<std::uint64_t> hedges = 0;
  std::atomic<std::uint64_t> hits = 0;
  std::atomic<bool> go = false;
  std::atomic<int> ready = 0;
};

// A kill hook: the first to pass the place of this name gets this signal.
inline std::string_view hook_name;
inline int hook_signal = 0;
inline void SignalAtHook(std::string_view name) {
  if (name == hook_name) {
    hook_name = {};
    // To this thread: it does not return before it is stopped.
    ::pthread_kill(::pthread_self(), hook_signal);
  }
}

// A cache on files in front of a store in files, with one object of four blocks
// in it.
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

  std::unique_ptr<storage::Backend> Open(const std::string& run = "",
                                         Policy policy = Policy::kNever) {
    return OpenOver(storage::OpenBackend(store_uri()).value(), run, policy);
  }
  std::unique_ptr<storage::Backend> OpenOver(
      std::unique_ptr<storage::Backend> store, const std::string& run = "",
      Policy policy = Policy::kNever) {
    CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kFaultSlot;
    options.policy = policy;
    auto tier = OpenTier(options, run, clock_);
    if (!tier.ok()) {
      std::cerr << tier.status().ToString() << '\n';
    }
    STOKER_CHECK(tier.ok());
    return MakeCacheBackend(std::move(tier).value(), options, std::move(store));
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
      internal::SetKillHook(SignalAtHook);
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

}  // namespace stoker::cache
