#include "dataset/permutation.h"

#include <bit>
#include <cstddef>

#include "core/check.h"
#include "core/random.h"

namespace stoker::dataset {

Permutation::Permutation(std::uint64_t size, std::uint64_t key) : size_(size) {
  const auto bits =
      static_cast<std::uint32_t>(std::bit_width(size > 1 ? size - 1 : 1));
  half_bits_ = (bits + 1) / 2;
  for (std::size_t round = 0; round < kRounds; ++round) {
    keys_[round] = core::StreamKey(key, round);
  }
}

std::uint64_t Permutation::Walk(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (const std::uint64_t key : keys_) {
    const std::uint64_t mixed = left ^ (core::Mix64(key ^ right) & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::At(std::uint64_t position) const {
  STOKER_CHECK(position < size_);
  std::uint64_t value = Walk(position);
  while (value >= size_) {
    value = Walk(value);
  }
  return value;
}

std::uint64_t Permutation::WalkBack(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::size_t round = kRounds; round-- > 0;) {
    const std::uint64_t mixed =
        right ^ (core::Mix64(keys_[round] ^ left) & mask);
    right = left;
    left = mixed;
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::PositionOf(std::uint64_t value) const {
  STOKER_CHECK(value < size_);
  std::uint64_t position = WalkBack(value);
  while (position >= size_) {
    position = WalkBack(position);
  }
  return position;
}

}  // namespace stoker::dataset
