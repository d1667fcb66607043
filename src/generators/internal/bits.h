#pragma once

// One bit per file: which of them are there.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stoker::generators::internal {

// Empty ones hold no bit that is set.
class Bits {
 public:
  Bits() = default;
  explicit Bits(std::uint64_t count) : words_((count + 63) / 64) {}
  explicit Bits(std::span<const std::uint64_t> words)
      : words_(words.begin(), words.end()) {}

  void Set(std::uint64_t at) { words_[at / 64] |= 1ULL << (at % 64); }
  bool Test(std::uint64_t at) const {
    return at / 64 < words_.size() && (words_[at / 64] >> (at % 64) & 1) != 0;
  }
  std::uint64_t Count() const {
    std::uint64_t count = 0;
    for (const std::uint64_t word : words_) {
      count += static_cast<std::uint64_t>(std::popcount(word));
    }
    return count;
  }
  void KeepOnly(const Bits& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      words_[i] &= i < other.words_.size() ? other.words_[i] : 0;
    }
  }
  std::span<const std::uint64_t> words() const { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace stoker::generators::internal
