#pragma once

// Objects read front to back, one after the other, with several reads in flight
// across their borders.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "formats/format.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

// An object to be read, and what it should hold.
struct Expected {
  enum class Kind : std::uint8_t { kData, kSidecar, kIndex } kind{};
  std::string name;
  std::uint64_t bytes = 0;
  formats::FileSpec spec;
  std::size_t sidecar = 0;   // kSidecar
  std::uint64_t stream = 0;  // kData: of content
};

// Belongs to one thread.
class ReadAhead {
 public:
  static constexpr std::size_t kPiece = 1U << 20;  // bytes
  // Fills in the next object; false: that was the last.
  using NextObject = std::function<bool(Expected&)>;

  // `backend`, `clock` and `cancel` outlive this. A read that takes longer than
  // `patience` is kTimedOut. kInvalidArgument: the back end holds no data.
  static core::Result<std::unique_ptr<ReadAhead>> Make(
      storage::Backend& backend, NextObject next, core::Clock& clock,
      const core::CancelFlag& cancel, core::Nanos patience);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next object, null after the last; valid until End.
  const Expected* Begin();
  // Its next kPiece bytes; the last piece is shorter, and one byte longer than
  // expected if the object is. Valid until the next call, the first piece of an
  // object until End. Errors of this object: its read error,
  // kCorruption if it is too short. kCancelled, kTimedOut: see broken().
  core::Result<std::span<const std::byte>> Piece();
  // Leaves the object, whatever is left of it.
  core::Status End();
  // An error was not the object's: nothing more can be read.
  bool broken() const { return broken_; }
  std::uint64_t bytes() const { return bytes_; }  // read so far

 private:
  struct Object {
    Expected expected;
    storage::ObjectId id{};
    std::uint64_t pieces = 0;
    std::uint64_t asked = 0;  // pieces with a slot
  };
  struct Slot {
    std::span<std::byte> buffer;
    std::size_t wanted = 0;  // bytes
    storage::ReadDone done;
    bool whole = false;
  };

  ReadAhead(storage::Backend& backend, NextObject next, core::Clock& clock,
            const core::CancelFlag& cancel, core::Nanos patience);
  core::Status TopUp();
  core::Status WaitFor(std::size_t slot);
  bool Ask();
  void Drop(std::size_t slot);

  storage::Backend& backend_;
  NextObject next_;
  core::Clock& clock_;
  const core::CancelFlag& cancel_;
  const core::Nanos patience_;
  core::AlignedBuffer memory_;
  std::unique_ptr<storage::ReadQueue> queue_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;
  std::deque<Object> objects_;       // front: the current one
  std::deque<std::size_t> ordered_;  // slots in the order of reading
  std::vector<storage::ReadDone> done_;
  std::uint64_t taken_ = 0;  // pieces of the current object handed out
  std::size_t first_slot_ = SIZE_MAX;
  std::size_t last_slot_ = SIZE_MAX;
  bool began_ = false;
  bool no_more_ = false;
  bool broken_ = false;
  std::uint64_t bytes_ = 0;
};

}  // namespace stoker::generators::internal
