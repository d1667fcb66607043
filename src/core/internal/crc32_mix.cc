#include "core/internal/crc32_mix.h"

#include <isa-l/crc.h>

#include "core/internal/crc32_fold.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <array>

#include "core/internal/crc32_math.h"

namespace stoker::core::internal {

#if defined(__x86_64__)

namespace {

// A multiple of the polynomial with few terms lets a part of the text be moved
// without a multiplication: it is added where the other terms are (Russell,
// "Chorba: A novel CRC32 implementation", arXiv:2412.16398). Squaring keeps the
// terms few, so that with this one, squared eight times, registers of 256 bits
// are moved to the places 145, 183, 211 and 300 registers on.
constexpr bool IsMultiple() {
  return (PowerOfX(300) ^ PowerOfX(155) ^ PowerOfX(117) ^ PowerOfX(89) ^
          PowerOfX(0)) == 0;
}
static_assert(IsMultiple());
constexpr int kRegisters = 300;
static_assert(kMixRound == kRegisters * 32);

// Registers at even places are folded to the place 300 on, those at odd places
// moved as said. Three of the four ways are odd: what odd places are given is
// from 300 before alone.
constexpr int kPairs = kRegisters / 2;
// In pairs: from the odd places of which pairs before an even place is given.
constexpr int kNear = (145 + 1) / 2;
constexpr int kMiddle = (183 + 1) / 2;
constexpr int kFar = (211 + 1) / 2;

constexpr std::uint64_t kMixLowHalf = FoldFactor(8 * kMixRound + 32);
constexpr std::uint64_t kMixHighHalf = FoldFactor(8 * kMixRound - 32);

#define STOKER_MIXES __attribute__((target("avx2,pclmul,vpclmulqdq")))

// Of the last 300 registers: what is given to the even place 300 on, and the
// odd ones themselves.
struct Round {
  __m256i* folded;
  __m256i* odd;
};

STOKER_MIXES __m256i Sum(__m256i a, __m256i b) {
  return _mm256_xor_si256(a, b);
}

// From a pair to the one `back` before in the round, or in the one before.
constexpr int Step(int pair, int back) {
  return pair < back ? kPairs - back : -back;
}

// The pairs from kFirst to before kEnd, for which all steps are the same. `at`
// is where the round begins, at a multiple of 32 bytes.
template <int kFirst, int kEnd>
STOKER_MIXES void TakePairs(const __m256i* at, __m256i factors,
                            const Round& round) {
  const auto [folded, odd] = round;
  for (int i = kFirst; i < kEnd; ++i) {
    const __m256i* next = at + 2 * i;
    _mm_prefetch(reinterpret_cast<const char*>(next + 32), _MM_HINT_T0);
    __m256i even = Sum(_mm256_load_si256(next), folded[i]);
    even = Sum(even, Sum(odd[i + Step(kFirst, kNear)],
                         odd[i + Step(kFirst, kMiddle)]));
    even = Sum(even, odd[i + Step(kFirst, kFar)]);
    odd[i] = Sum(odd[i], _mm256_load_si256(next + 1));
    folded[i] = Sum(_mm256_clmulepi64_epi128(even, factors, 0x00),
                    _mm256_clmulepi64_epi128(even, factors, 0x11));
  }
}

// Writes a text of one round with the remainder of all before and of the one
// at `at`.
STOKER_MIXES void TakeLast(const __m256i* at, const Round& round,
                           __m256i* out) {
  const auto [folded, odd] = round;
  for (int i = 0; i < kPairs; ++i) {
    __m256i even = Sum(_mm256_load_si256(at + 2 * i), folded[i]);
    for (const int back : {kNear, kMiddle, kFar}) {
      if (i < back) {
        even = Sum(even, odd[i + Step(i, back)]);
      }
    }
    _mm256_store_si256(out + 2 * i, even);
    _mm256_store_si256(out + 2 * i + 1,
                       Sum(_mm256_load_si256(at + 2 * i + 1), odd[i]));
  }
}

}  // namespace

bool MixesCrc32() { return FoldsCrc32() && __builtin_cpu_is("amd") != 0; }

STOKER_MIXES std::uint32_t MixCrc32(std::span<const std::byte>& data,
                                    std::uint32_t seed) {
  const std::size_t skew =
      (32 - reinterpret_cast<std::uintptr_t>(data.data()) % 32) % 32;
  seed = ::crc32_gzip_refl(
      seed, reinterpret_cast<const unsigned char*>(data.data()), skew);
  data = data.subspan(skew);
  const auto* at = reinterpret_cast<const __m256i*>(data.data());
  constexpr auto kLow = static_cast<std::int64_t>(kMixLowHalf);
  constexpr auto kHigh = static_cast<std::int64_t>(kMixHighHalf);
  const __m256i factors = _mm256_set_epi64x(kHigh, kLow, kHigh, kLow);
  alignas(64) std::array<unsigned char, kMixRound> kept{};
  auto* registers = reinterpret_cast<__m256i*>(kept.data());
  const Round round{.folded = registers, .odd = registers + kPairs};
  _mm256_store_si256(
      round.folded,
      _mm256_zextsi128_si256(_mm_cvtsi32_si128(static_cast<int>(~seed))));
  for (; data.size() >= 2 * kMixRound; data = data.subspan(kMixRound)) {
    TakePairs<0, kNear>(at, factors, round);
    TakePairs<kNear, kMiddle>(at, factors, round);
    TakePairs<kMiddle, kFar>(at, factors, round);
    TakePairs<kFar, kPairs>(at, factors, round);
    at += kRegisters;
  }
  data = data.subspan(kMixRound);
  alignas(64) std::array<unsigned char, kMixRound> text;
  TakeLast(at, round, reinterpret_cast<__m256i*>(text.data()));
  // As in FoldCrc32, the CRC of a text that begins with the state 0.
  std::span<const std::byte> rest = std::as_bytes(std::span(text));
  const std::uint32_t crc = FoldCrc32(rest, ~0U);
  return ::crc32_gzip_refl(
      crc, reinterpret_cast<const unsigned char*>(rest.data()), rest.size());
}

#else

bool MixesCrc32() { return false; }
std::uint32_t MixCrc32(std::span<const std::byte>& /*data*/,
                       std::uint32_t seed) {
  return seed;
}

#endif

}  // namespace stoker::core::internal
