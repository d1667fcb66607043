#pragma once

// Which system reads CPython's buffered file object issues for the seeks and
// reads of its caller. A model of positions only: no bytes are held. Follows
// the C implementation of io.BufferedReader of CPython 3.11.

#include <algorithm>
#include <cstdint>

#include "core/check.h"

namespace stoker::formats {

class BufferedFile {
 public:
  struct RawRead {
    std::uint64_t offset = 0;  // bytes from the file's start
    std::uint64_t length = 0;  // bytes asked for; 0: none is needed
  };

  // `unit` is the buffer's size, bytes: st_blksize of the file.
  explicit BufferedFile(std::uint64_t unit) : unit_(unit) {
    STOKER_CHECK(unit > 0);
  }

  // Seek relative to the end, or any seek that leaves the buffer.
  void SeekAway(std::uint64_t target) { low_ = high_ = position_ = target; }

  // Seek from the start: stays in the buffer where that holds unread bytes and
  // covers the target.
  void SeekTo(std::uint64_t target) {
    if (high_ > position_ && target >= low_ && target <= high_) {
      position_ = target;
    } else {
      SeekAway(target);
    }
  }

  // read(bytes)
  void BeginRead(std::uint64_t bytes) {
    const std::uint64_t buffered = std::min(bytes, high_ - position_);
    position_ += buffered;
    remaining_ = bytes - buffered;
    if (remaining_ > 0) {
      SeekAway(position_);
    }
    mode_ = remaining_ >= unit_ ? Mode::kDirect : Mode::kFill;
  }

  // read() of what is left of a file of `size` bytes: asks for one byte more,
  // and once again after the end.
  void BeginReadAll(std::uint64_t size) {
    SeekAway(position_);
    remaining_ = size - position_ + 1;
    mode_ = Mode::kAll;
  }

  // The system read without which the current read cannot go on.
  RawRead Pending() const {
    if (remaining_ == 0) {
      return {};
    }
    switch (mode_) {
      case Mode::kDirect:
        return {position_, remaining_ / unit_ * unit_};
      case Mode::kFill:
        return {high_, unit_ - (high_ - low_)};
      case Mode::kAll:
        break;
    }
    return {position_, remaining_};
  }

  // Pending() returned `bytes`; 0 is the end of the file.
  void Got(std::uint64_t bytes) {
    const std::uint64_t used = std::min(bytes, remaining_);
    position_ += used;
    remaining_ = bytes == 0 ? 0 : remaining_ - used;
    if (mode_ == Mode::kFill) {
      high_ += bytes;
      return;
    }
    low_ = high_ = position_;
    if (mode_ == Mode::kDirect && remaining_ < unit_) {
      mode_ = Mode::kFill;
    }
  }

  std::uint64_t position() const { return position_; }

 private:
  enum class Mode : std::uint8_t {
    kDirect,  // whole units past the buffer
    kFill,    // the rest through the buffer
    kAll,
  };

  std::uint64_t unit_;
  std::uint64_t low_ = 0;  // the buffer holds [low_, high_) of the file
  std::uint64_t high_ = 0;
  std::uint64_t position_ = 0;   // the caller's
  std::uint64_t remaining_ = 0;  // bytes the current read still lacks
  Mode mode_ = Mode::kFill;
};

}  // namespace stoker::formats
