#pragma once

// What a back end knows of each resolved object, by ObjectId.

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/check.h"
#include "storage/read_queue.h"

namespace stoker::storage {

// Entries never move and are reused with what they hold (a name's capacity).
// Take and Give lock; Get does not: whoever has an id got it from Take, and
// the place of its entry was written before that.
template <class T>
class ObjectTable {
 public:
  // An id whose entry `prepare(T&)` has set up; called under the lock.
  template <class Prepare>
  ObjectId Take(Prepare prepare) {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) {
      Grow();
    }
    const std::uint32_t number = free_.back();
    prepare(At(number));
    free_.pop_back();
    return ObjectId{number};
  }

  // `clear(T&)` undoes what was set up; called under the lock.
  template <class Clear>
  void Give(ObjectId id, Clear clear) {
    const std::scoped_lock lock(mutex_);
    clear(Get(id));
    free_.push_back(static_cast<std::uint32_t>(id));
  }

  // `id` was taken and not yet given back.
  T& Get(ObjectId id) { return At(static_cast<std::uint32_t>(id)); }

  // Every entry ever taken; nobody else may use the table meanwhile.
  template <class Visit>
  void ForEach(Visit visit) {
    for (std::uint32_t number = 0; number < size_; ++number) {
      visit(At(number));
    }
  }

 private:
  // Block b holds 2^(b+6) entries, so 26 blocks are enough for every id.
  static constexpr std::uint32_t kFirstBlock = 64;
  static constexpr std::size_t kBlocks = 26;

  T& At(std::uint32_t number) {
    const std::uint64_t shifted = std::uint64_t{number} + kFirstBlock;
    const auto block = static_cast<std::size_t>(std::bit_width(shifted)) - 7;
    return blocks_[block][shifted - (std::uint64_t{kFirstBlock} << block)];
  }

  void Grow() {
    std::size_t block = 0;
    while (block < kBlocks && blocks_[block] != nullptr) {
      ++block;
    }
    STOKER_CHECK(block < kBlocks);
    const std::uint32_t count = kFirstBlock << block;
    blocks_[block] = std::make_unique<T[]>(count);
    size_ += count;
    free_.reserve(size_);
    for (std::uint32_t i = 1; i <= count; ++i) {
      free_.push_back(size_ - i);
    }
  }

  std::mutex mutex_;  // guards blocks_ against growth, free_ and size_
  std::array<std::unique_ptr<T[]>, kBlocks> blocks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t size_ = 0;
};

}  // namespace stoker::storage
