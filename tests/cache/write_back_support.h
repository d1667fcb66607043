#pragma once

// A cache on files that writes back to a store in files, and processes that
// write to it until they are ended.

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
#include <vector>

#include "cache/cache_backend.h"
#include "cache/internal/kill_point.h"
#include "core/random.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::testing {

inline constexpr std::uint64_t kDirtySlot = 64U << 10U;
inline constexpr std::uint64_t kShard = 5 * kDirtySlot + 4321;

struct WriteProgress {
  std::atomic<bool> shard = false;  // acknowledged
  std::atomic<bool> manifest = false;
  std::atomic<bool> held = false;  // the writer does not begin
};

inline std::string_view point_name;
inline int point_signal = 0;
inline std::atomic<bool> point_passed = false;
// By any of the process's threads; the first that comes there.
inline void AtPoint(std::string_view name) {
  if (name == point_name && !point_passed.exchange(true)) {
    // To this thread: it does not return before it is stopped.
    ::pthread_kill(::pthread_self(), point_signal);
  }
}

class WriteBackFaults : public ::testing::Test {
 protected:
  WriteBackFaults()
      : progress_(
            new(::mmap(nullptr, sizeof(WriteProgress), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)) WriteProgress()) {
    STOKER_CHECK(
        cache::Directory::Format(cache_path(), {.quota_bytes = 4U << 20U,
                                                .slot_bytes = kDirtySlot,
                                                .small_slot_bytes = 0})
            .ok());
    id_ = cache::Directory::Open(cache_path()).value()->id();
    shard_ = Content(1, kShard);
    manifest_ = Content(2, 700);
  }
  ~WriteBackFaults() override {
    cache::Index::Forget(id_);
    ::munmap(progress_, sizeof(WriteProgress));
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
    cache::CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kDirtySlot;
    options.write = cache::Write::kBack;
    auto tier = cache::OpenTier(options, "", clock_);
    STOKER_CHECK(tier.ok());
    return cache::MakeCacheBackend(std::move(tier).value(), options,
                                   storage::OpenBackend(store_uri()).value());
  }
  // Writes a shard and then a manifest, and waits until the store has both. One
  // that is to be stopped writes no manifest: it would be stopped with a lock.
  // Made before this process has threads, or else a sanitizer ends it.
  Child Writer(std::string_view point, int signal) {
    return Child([this, point, signal] {
      point_name = point;
      point_signal = signal;
      cache::internal::SetKillHook(AtPoint);
      while (progress_->held.load()) {
        clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
      }
      const auto backend = Open();
      const storage::WriteOptions durable{.durable = true};
      if (!storage::WriteObject(*backend, "shard", shard_, clock_, durable)
               .ok()) {
        return 1;
      }
      progress_->shard = true;
      if (signal == SIGSTOP) {
        return backend->Drain({.patience = std::chrono::seconds(30)}, clock_)
                       .ok()
                   ? 0
                   : 3;
      }
      storage::WriteOptions last = durable;
      last.after = {"shard"};
      if (!storage::WriteObject(*backend, "manifest", manifest_, clock_, last)
               .ok()) {
        return 2;
      }
      progress_->manifest = true;
      return backend->Drain({.patience = std::chrono::seconds(30)}, clock_).ok()
                 ? 0
                 : 3;
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

  TempDir dir_;
  core::SystemClock clock_;
  cache::CacheId id_;
  std::string shard_;
  std::string manifest_;
  WriteProgress* progress_;
};

}  // namespace stoker::testing
