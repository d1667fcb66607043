#pragma once

// A shuffled order that is computed, never stored.

#include <array>
#include <cstdint>

namespace stoker::dataset {

// A permutation of [0, size): a Feistel network over the smallest even number
// of bits that holds size - 1, applied until the result is below size (cycle
// walking; fewer than four times on average). The same for a size and a key on
// every machine. Not cryptographic.
class Permutation {
 public:
  Permutation() = default;  // of nothing
  Permutation(std::uint64_t size, std::uint64_t key);
  std::uint64_t size() const { return size_; }
  // `position` below size().
  std::uint64_t At(std::uint64_t position) const;
  // Where `value`, below size(), is: At(PositionOf(value)) is `value`.
  std::uint64_t PositionOf(std::uint64_t value) const;

 private:
  static constexpr std::size_t kRounds = 8;

  std::uint64_t Walk(std::uint64_t value) const;
  std::uint64_t WalkBack(std::uint64_t value) const;

  std::uint64_t size_ = 0;
  std::uint32_t half_bits_ = 1;
  std::array<std::uint64_t, kRounds> keys_{};
};

}  // namespace stoker::dataset
