#pragma once

// What the processes of a host share about the objects they write through a
// cache. It is part of the index of the cache's first directory.

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace stoker::cache::internal {

// Fields are changed by who holds `lock`, but for `moved`.
struct CommitBoard {
  // A process that brings the object of one name to the store.
  struct Seat {
    std::atomic<std::uint64_t> name;  // its hash; 0: nobody sits here
    std::atomic<std::uint32_t> row;   // of the process,
    std::atomic<std::int32_t> pid;    // and its number
  };
  static constexpr std::size_t kSeats = 32;
  static constexpr std::size_t kChanges = 64;

  pthread_mutex_t lock;
  std::atomic<std::uint32_t> pages;     // of the table of commits
  std::atomic<std::uint64_t> sequence;  // of commits, the last one's
  // Counts changes of the table; the unit that changed as number n is at
  // changed[n % kChanges].
  std::atomic<std::uint64_t> changes;
  std::array<std::atomic<std::uint32_t>, kChanges> changed;
  std::atomic<std::uint64_t> moved;  // counts parts that reached the store
  // 1: the index was made from records, and what had not been waited for before
  // a power cut has not been compared since.
  std::atomic<std::uint32_t> unproved;
  std::atomic<std::uint32_t> looked_ms;  // when somebody last looked after all
  std::array<Seat, kSeats> seats;

  void NoteChange(std::uint32_t unit) {
    const std::uint64_t number = changes.load() + 1;
    changed[number % kChanges].store(unit);
    changes.store(number);
  }
  // Whoever looks next reads all of the table.
  void NoteManyChanges() { changes.fetch_add(kChanges + 1); }
};

}  // namespace stoker::cache::internal
