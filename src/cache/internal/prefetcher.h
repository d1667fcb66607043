#pragma once

// Which blocks a process will read soonest and the cache does not have.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/internal/foresight.h"
#include "cache/internal/object_memo.h"
#include "cache/tier.h"
#include "core/status.h"
#include "storage/backend.h"

namespace stoker::cache::internal {

// A block, or the object of which the size is to be asked.
struct Ahead {
  std::uint32_t number = 0;  // of the object, while it is open
  storage::ObjectId object{};
  Fingerprint key{};
  std::uint64_t block_start = 0;  // bytes from the object's start
  std::uint32_t block_bytes = 0;
  std::uint32_t next_use = kNeverAgain;
};

// Walks the process's order from where its reader is to `window_bytes` ahead,
// in objects of the mean size of those seen so far, and across the end of an
// epoch into the next one. Holds `most_open` objects open at a time and some
// facts of others; nothing is listed. Of an object that the reader has reached
// nothing more is given. Only for the fetcher's thread.
class Prefetcher {
 public:
  // All outlive the prefetcher.
  Prefetcher(Tier& tier, storage::Backend& store, Foresight& foresight,
             std::uint64_t window_bytes, std::size_t most_open);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Looks how far the reader has come, and at some objects beyond. Locks.
  void Advance();
  // An object to ask for its size and version; each is answered by OnFacts.
  std::optional<Ahead> NextQuestion();
  void OnFacts(std::uint32_t number, const core::Status& status,
               const ObjectFacts& facts);
  // The block that is read soonest of those the cache has not; the same again
  // until it is taken or passed over.
  std::optional<Ahead> NextBlock();
  void Take(std::uint32_t number);  // is being read: each followed by OnEnd
  void PassOver(std::uint32_t number);
  void OnEnd(std::uint32_t number);
  // More comes when the reader has moved on, or an epoch has begun.
  bool waits_for_reader() const { return waits_; }

 private:
  enum class State : std::uint8_t { kFree, kNew, kAsked, kKnown };
  struct Object {
    State state = State::kFree;
    storage::ReadPoint point;
    std::uint64_t number = 0;  // in the order
    storage::ObjectId id{};
    std::uint64_t name_hash = 0;
    std::uint64_t asked_at = 0;  // Index::mutations
    Fingerprint key{};           // of its present version
    std::uint64_t bytes = 0;
    std::uint64_t next = 0;  // block, where it begins
    std::uint32_t under_way = 0;
    bool ended() const { return next >= bytes; }
  };

  // False: no place for another object, or the window ends here.
  bool LookAt(storage::ReadPoint reader);
  void Name(std::uint64_t number);
  bool IsThere(const ObjectFacts& facts);
  std::uint64_t Mutations() const;
  void Learn(Object& object, const ObjectFacts& facts);
  Object* Soonest(State state);  // that has not ended; or null
  std::uint32_t NumberOf(const Object& object) const;
  void CloseIfDone(Object& object);

  Tier& tier_;
  storage::Backend& store_;
  Foresight& foresight_;
  std::string store_name_;
  std::uint64_t window_bytes_;
  std::vector<Object> open_;
  ObjectMemo memo_;
  storage::ReadPoint next_;                         // to be looked at
  std::uint64_t last_ = storage::ReadOrder::kNone;  // object looked at
  std::uint64_t seen_bytes_ = 0;                    // of `seen_` objects
  std::uint64_t seen_ = 0;
  bool waits_ = false;
  std::string name_;  // scratch
  std::string full_name_;
};

}  // namespace stoker::cache::internal
