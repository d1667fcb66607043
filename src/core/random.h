#pragma once

// Random numbers: numpy's legacy stream, which fixes sizes and orders of the
// reference, and a counter-based source for payload that any reader can
// regenerate.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace stoker::core {

// numpy.random.RandomState(seed) bit for bit (MT19937, legacy distributions).
// Not safe for concurrent use.
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t NextUint32() { return static_cast<std::uint32_t>(engine_()); }
  // random_sample(): 53 bits, in [0, 1).
  double Uniform();
  // normal(mean, stdev): polar method, the second of each pair is kept.
  double Normal(double mean, double stdev);
  // As 2 * pairs calls of Normal whose values nobody wants, but faster. The
  // number of calls of Normal so far must be even.
  void SkipNormalPairs(std::uint64_t pairs);
  // randint(255, size=out.size(), dtype=uint8): 0…254. The rest of the last
  // 32-bit word is thrown away, as each call of numpy does.
  void FillBelow255(std::span<std::byte> out);
  // Goes on where the last FillBelow255 or ContinueBelow255 ended, within the
  // same call of numpy.
  void ContinueBelow255(std::span<std::byte> out);
  // random_interval(max): uniform in [0, max], by masked rejection.
  std::uint32_t Interval(std::uint32_t max);
  // shuffle(list): Fisher–Yates from the back.
  template <class T>
  void Shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i-- > 1;) {
      const std::size_t j = Interval(static_cast<std::uint32_t>(i));
      using std::swap;
      swap(items[i], items[j]);
    }
  }

 private:
  std::mt19937 engine_;
  bool has_spare_ = false;
  double spare_ = 0;
  std::uint32_t word_ = 0;  // what FillBelow255 left of the last output
  int word_bytes_ = 0;
};

// One step of splitmix64's output function (Steele, Lea, Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014): a bijection that
// mixes all 64 bits.
constexpr std::uint64_t Mix64(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

// The golden-ratio increment of splitmix64.
inline constexpr std::uint64_t kGolden64 = 0x9E3779B97F4A7C15ULL;

// An independent stream per tuple: chain the parts through Mix64.
template <class... Parts>
constexpr std::uint64_t StreamKey(std::uint64_t seed, Parts... parts) {
  std::uint64_t key = Mix64(seed + kGolden64);
  ((key = Mix64(key ^ (static_cast<std::uint64_t>(parts) + kGolden64))), ...);
  return key;
}

// Fills `out` with the bytes [offset, offset + out.size()) of stream `key`:
// little-endian 64-bit words Mix64(key + i * kGolden64), i = byte offset / 8.
// Any range can be made alone. 15–30 GB/s a core.
void FillCounterStream(std::uint64_t key, std::uint64_t offset,
                       std::span<std::byte> out);

// Whether `data` is what FillCounterStream would fill in; nothing is stored.
bool MatchesCounterStream(std::uint64_t key, std::uint64_t offset,
                          std::span<const std::byte> data);

// A small, fast generator for jitter and shuffle buffers, by the same counter
// stream. Not safe for concurrent use.
class CounterRandom {
 public:
  explicit CounterRandom(std::uint64_t key) : key_(key) {}
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return Mix64(key_ + kGolden64 * counter_++); }
  // In [0, 1), 53 bits.
  double Uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }
  // In [0, bound), bound > 0; bias below 2^-32 for bounds below 2^32.
  std::uint64_t Below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((Wide{(*this)()} * bound) >> 64);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace stoker::core
