#include "core/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace stoker::core {

static_assert(std::endian::native == std::endian::little,
              "the counter stream is defined by little-endian words");

double NumpyRandom::Uniform() {
  const std::uint32_t a = NextUint32() >> 5;
  const std::uint32_t b = NextUint32() >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}

double NumpyRandom::Normal(double mean, double stdev) {
  if (has_spare_) {
    has_spare_ = false;
    return mean + stdev * spare_;
  }
  double x1 = 0;
  double x2 = 0;
  double r2 = 0;
  do {
    x1 = 2.0 * Uniform() - 1.0;
    x2 = 2.0 * Uniform() - 1.0;
    r2 = x1 * x1 + x2 * x2;
  } while (r2 >= 1.0 || r2 == 0.0);
  const double f = std::sqrt(-2.0 * std::log(r2) / r2);
  spare_ = f * x1;
  has_spare_ = true;
  return mean + stdev * (f * x2);
}

void NumpyRandom::SkipNormalPairs(std::uint64_t pairs) {
  for (std::uint64_t i = 0; i < pairs; ++i) {
    double r2 = 0;
    do {
      const double x1 = 2.0 * Uniform() - 1.0;
      const double x2 = 2.0 * Uniform() - 1.0;
      r2 = x1 * x1 + x2 * x2;
    } while (r2 >= 1.0 || r2 == 0.0);
  }
}

void NumpyRandom::FillBelow255(std::span<std::byte> out) {
  word_bytes_ = 0;
  ContinueBelow255(out);
}

void NumpyRandom::ContinueBelow255(std::span<std::byte> out) {
  std::uint32_t word = word_;
  int left = word_bytes_;
  for (std::byte& value : out) {
    std::uint32_t byte = 0;
    do {
      if (left == 0) {
        word = NextUint32();
        left = 4;
      }
      byte = word & 0xFFU;
      word >>= 8;
      --left;
    } while (byte == 0xFFU);
    value = static_cast<std::byte>(byte);
  }
  word_ = word;
  word_bytes_ = left;
}

std::uint32_t NumpyRandom::Interval(std::uint32_t max) {
  if (max == 0) {
    return 0;
  }
  const std::uint32_t mask = ~0U >> std::countl_zero(max);
  std::uint32_t value = 0;
  do {
    value = NextUint32() & mask;
  } while (value > max);
  return value;
}

namespace {

// Words may lie anywhere in memory: vectors are stored where they are to be,
// aligned or not. Function clones pick the widest vector unit at run time. The
// sanitizers do not support ifunc resolvers that run before they are set up.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
void
FillWords(std::uint64_t key, std::uint64_t first, std::byte* out,
          std::size_t words) {
  std::uint64_t counter = key + kGolden64 * first;
  for (std::size_t i = 0; i < words; ++i, counter += kGolden64) {
    const std::uint64_t word = Mix64(counter);
    std::memcpy(out + i * sizeof(word), &word, sizeof(word));
  }
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
std::uint64_t
DifferingBits(std::uint64_t key, std::uint64_t first, const std::byte* data,
              std::size_t words) {
  std::uint64_t counter = key + kGolden64 * first;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < words; ++i, counter += kGolden64) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i * sizeof(word), sizeof(word));
    bits |= word ^ Mix64(counter);
  }
  return bits;
}

}  // namespace

bool MatchesCounterStream(std::uint64_t key, std::uint64_t offset,
                          std::span<const std::byte> data) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  // The edges through a word of our own; `at` is anywhere in the stream.
  const auto edge = [key](std::uint64_t at, std::span<const std::byte> part) {
    std::byte expected[kWord];
    const std::span<std::byte> filled = std::span(expected).first(part.size());
    FillCounterStream(key, at, filled);
    return std::ranges::equal(filled, part);
  };
  const std::size_t head =
      std::min((kWord - offset % kWord) % kWord, data.size());
  if (!edge(offset, data.first(head))) {
    return false;
  }
  offset += head;
  data = data.subspan(head);
  const std::size_t words = data.size() / kWord;
  if (DifferingBits(key, offset / kWord, data.data(), words) != 0) {
    return false;
  }
  return edge(offset + words * kWord, data.subspan(words * kWord));
}

void FillCounterStream(std::uint64_t key, std::uint64_t offset,
                       std::span<std::byte> out) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  std::uint64_t word = offset / kWord;
  const std::size_t skip = offset % kWord;
  if (skip != 0 && !out.empty()) {
    const std::uint64_t value = Mix64(key + kGolden64 * word);
    const std::size_t bytes = std::min(kWord - skip, out.size());
    std::memcpy(out.data(), reinterpret_cast<const std::byte*>(&value) + skip,
                bytes);
    out = out.subspan(bytes);
    ++word;
  }
  const std::size_t words = out.size() / kWord;
  FillWords(key, word, out.data(), words);
  out = out.subspan(words * kWord);
  if (!out.empty()) {
    const std::uint64_t value = Mix64(key + kGolden64 * (word + words));
    std::memcpy(out.data(), &value, out.size());
  }
}

}  // namespace stoker::core
