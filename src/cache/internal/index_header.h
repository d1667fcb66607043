#pragma once

// What an index begins with, in shared memory.

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <type_traits>

#include "cache/index.h"
#include "cache/internal/commit_board.h"
#include "cache/internal/process_table.h"
#include "cache/internal/robust_lock.h"

namespace stoker::cache {

inline constexpr std::uint32_t kIndexStripes = 256;

struct Index::Header {
  std::atomic<std::uint64_t> format;  // last to be written
  CacheId id;
  Geometry geometry;
  std::uint64_t policy;
  std::array<char, 48> boot;
  std::atomic<std::uint64_t> mutations;
  std::atomic<std::uint32_t> swept_ms;  // when somebody began to sweep last
  std::atomic<std::int64_t> budget_whole_at;  // WriteBudget's
  internal::CommitBoard commits;
  struct Class {
    pthread_mutex_t lock;  // guards `eviction` and the policy's fields
    EvictionState eviction;
    std::atomic<std::uint32_t> hint;  // where to look for a free slot
    std::atomic<std::uint32_t> free;  // about how many there are
  };
  std::array<Class, 2> classes;
  // A stripe guards the chains of the buckets that are equal to it modulo their
  // number.
  std::array<pthread_mutex_t, kIndexStripes> stripes;
  std::array<internal::ProcessRow, internal::kMostProcesses> processes;
};

template <class Body>
auto Index::WithStripe(std::uint32_t bucket, Body body) {
  const std::uint32_t stripe = bucket % kIndexStripes;
  const internal::RobustLock lock(header_->stripes[stripe],
                                  [&] { RepairStripe(stripe); });
  return body();
}

template <class Body>
auto Index::WithClass(std::size_t number, Body body) {
  const internal::RobustLock lock(header_->classes[number].lock,
                                  [&] { RepairClass(number); });
  // Before the lock goes, and after the result is known.
  struct Mend {
    Index& index;
    std::size_t number;
    ~Mend() {
      if (index.evictions_[number]->TakeDamage()) {
        index.damaged_.fetch_add(1, std::memory_order_relaxed);
        index.RepairClass(number);
      }
    }
  } const mend{*this, number};
  return body();
}

}  // namespace stoker::cache
