#pragma once

// How the parts of Catalogue get at what all processes of a host share.

#include <pthread.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <string>
#include <string_view>

#include "cache/block_key.h"
#include "cache/internal/catalogue.h"
#include "core/check.h"

namespace stoker::cache::internal {

// How long another process may hold the lock: it writes a few pages meanwhile.
inline constexpr core::Nanos kLockPatience = std::chrono::seconds(30);
// How long a reader waits for the lock before it looks without.
inline constexpr core::Nanos kLookPatience = std::chrono::milliseconds(200);

class Catalogue::Held {
 public:
  explicit Held(CommitBoard& board, core::Nanos patience = kLockPatience)
      : board_(board) {
    timespec until{};
    STOKER_CHECK(::clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    constexpr long kSecond = 1'000'000'000;
    const long nanos = until.tv_nsec + patience.count() % kSecond;
    until.tv_sec += patience.count() / kSecond + nanos / kSecond;
    until.tv_nsec = nanos % kSecond;
    const int result =
        ::pthread_mutex_clocklock(&board.lock, CLOCK_MONOTONIC, &until);
    held_ = result == 0 || result == EOWNERDEAD;
    STOKER_CHECK(held_ || result == ETIMEDOUT);
    if (result == EOWNERDEAD) {
      // It may have died between a change and the note of it.
      board.NoteManyChanges();
      STOKER_CHECK(::pthread_mutex_consistent(&board.lock) == 0);
    }
  }
  ~Held() {
    if (held_) {
      STOKER_CHECK(::pthread_mutex_unlock(&board_.lock) == 0);
    }
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  core::Status status() const {
    return held_ ? core::Status()
                 : core::Status(core::Code::kUnavailable,
                                "a process of this host holds the lock of the "
                                "cache's table of written objects; is one "
                                "stopped?");
  }

 private:
  CommitBoard& board_;
  bool held_ = false;
};

// The lock of the host before that of the process: whoever waits for the first
// keeps this process's readers from nothing.
template <class Body>
auto Catalogue::Within(std::string_view what, Body body) -> decltype(body()) {
  const Held held(home().commit_board());
  const std::scoped_lock lock(mutex_);
  core::Status status = held.status();
  if (status.ok()) {
    status = table_->Refresh();
  }
  if (!status.ok()) {
    return status.WithContext(std::string(what));
  }
  return body();
}

// Asks the view; the lock of the host is taken only where it is not up to date.
template <class Body>
auto Catalogue::Looking(std::string_view what, Body body) -> decltype(body()) {
  {
    const std::scoped_lock lock(mutex_);
    if (table_->IsUpToDate()) {
      return body();
    }
  }
  // Entries prove themselves, so who is stopped with the lock keeps nobody from
  // reading.
  const Held held(home().commit_board(), kLookPatience);
  const std::scoped_lock lock(mutex_);
  const core::Status status = table_->Refresh();
  if (!status.ok()) {
    return status.WithContext(std::string(what));
  }
  return body();
}

template <class Visit>
void Catalogue::ForEachBlock(const Commit& commit, Visit visit) {
  const Fingerprint object = ObjectOf(commit);
  const std::uint64_t block = tier_.block_bytes();
  for (std::uint64_t n = 0; n * block < commit.size; ++n) {
    const Fingerprint key = BlockKey(object, n);
    TierUnit& unit = tier_.UnitOf(key);
    if (const std::optional<Index::FoundBlock> found =
            unit.index->FindBlock(key)) {
      visit(unit, *found);
    }
  }
}

}  // namespace stoker::cache::internal
