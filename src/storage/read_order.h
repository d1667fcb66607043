#pragma once

// The order in which a job is going to read its objects, as far as it knows.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoker::storage {

// A point of a job: a position in an epoch. All processes of the job have as
// many positions in an epoch and pass them at the same pace, so that points of
// different processes can be compared.
struct ReadPoint {
  std::uint32_t epoch = 0;  // from 1; 0: before the first
  std::uint64_t position = 0;
};

// Computed, not listed: what a loader knows of its own plan. Objects have
// numbers that are the same in all processes. Safe for concurrent use, but for
// BeginEpoch; nothing is allocated but by BeginEpoch. Unless stated, `epoch` is
// the one last begun or the one after it.
class ReadOrder {
 public:
  static constexpr std::uint64_t kNone = UINT64_MAX;

  virtual ~ReadOrder() = default;
  virtual std::uint32_t epochs() const = 0;
  virtual std::uint64_t positions() const = 0;  // of an epoch, > 0
  // From now on `epoch` (from 0, never less than before) is the one last begun.
  // Nobody is in another call.
  virtual void BeginEpoch(std::uint32_t epoch) = 0;

  // kNone: the order does not say when the object is read.
  virtual std::uint64_t NumberOf(std::string_view object_name) const = 0;
  // Replaces `object_name`. `number` is below kNone.
  virtual void NameOf(std::uint64_t number, std::string& object_name) const = 0;
  // The object this process reads at the point; kNone: none.
  virtual std::uint64_t At(ReadPoint point) const = 0;
  // Where this process reads the object in the epoch for the first time from
  // `position` on.
  virtual std::optional<std::uint64_t> PositionOf(
      std::uint64_t number, std::uint32_t epoch,
      std::uint64_t position) const = 0;
  // Where a process of this host reads it next after `now`, in any later epoch
  // of which that is known.
  virtual std::optional<ReadPoint> NextUse(std::uint64_t number,
                                           ReadPoint now) const = 0;
};

}  // namespace stoker::storage
