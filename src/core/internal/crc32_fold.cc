#include "core/internal/crc32_fold.h"

#include <isa-l/crc.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <array>

#include "core/internal/crc32_math.h"

namespace stoker::core::internal {

#if defined(__x86_64__)

namespace {

// Registers of 32 bytes that are folded side by side.
constexpr std::size_t kLanes = 4;
constexpr std::size_t kBlock = kLanes * 32;

constexpr std::uint64_t kLowHalf = FoldFactor(8 * kBlock + 32);
constexpr std::uint64_t kHighHalf = FoldFactor(8 * kBlock - 32);

#define STOKER_FOLDS __attribute__((target("avx2,pclmul,vpclmulqdq")))

STOKER_FOLDS __m256i Fold(__m256i part, __m256i factors, __m256i next) {
  const __m256i low = _mm256_clmulepi64_epi128(part, factors, 0x00);
  const __m256i high = _mm256_clmulepi64_epi128(part, factors, 0x11);
  return _mm256_xor_si256(_mm256_xor_si256(low, high), next);
}

}  // namespace

bool CanFoldCrc32() {
  return __builtin_cpu_supports("avx2") != 0 &&
         __builtin_cpu_supports("vpclmulqdq") != 0;
}

bool FoldsCrc32() {
  return CanFoldCrc32() && __builtin_cpu_supports("avx512vl") == 0;
}

STOKER_FOLDS std::uint32_t FoldCrc32(std::span<const std::byte>& data,
                                     std::uint32_t seed) {
  const auto* at = reinterpret_cast<const __m256i*>(data.data());
  constexpr auto kLow = static_cast<std::int64_t>(kLowHalf);
  constexpr auto kHigh = static_cast<std::int64_t>(kHighHalf);
  const __m256i factors = _mm256_set_epi64x(kHigh, kLow, kHigh, kLow);
  __m256i a = _mm256_xor_si256(
      _mm256_loadu_si256(at),
      _mm256_zextsi128_si256(_mm_cvtsi32_si128(static_cast<int>(~seed))));
  __m256i b = _mm256_loadu_si256(at + 1);
  __m256i c = _mm256_loadu_si256(at + 2);
  __m256i d = _mm256_loadu_si256(at + 3);
  at += kLanes;
  std::size_t left = data.size() - kBlock;
  for (; left >= kBlock; left -= kBlock, at += kLanes) {
    a = Fold(a, factors, _mm256_loadu_si256(at));
    b = Fold(b, factors, _mm256_loadu_si256(at + 1));
    c = Fold(c, factors, _mm256_loadu_si256(at + 2));
    d = Fold(d, factors, _mm256_loadu_si256(at + 3));
  }
  data = data.last(left);
  // What is left has the same remainder as all the bytes before: the CRC of a
  // text that begins with the state 0.
  alignas(32) std::array<unsigned char, kBlock> rest;
  auto* out = reinterpret_cast<__m256i*>(rest.data());
  _mm256_store_si256(out, a);
  _mm256_store_si256(out + 1, b);
  _mm256_store_si256(out + 2, c);
  _mm256_store_si256(out + 3, d);
  return ::crc32_gzip_refl(~0U, rest.data(), rest.size());
}

#else

bool CanFoldCrc32() { return false; }
bool FoldsCrc32() { return false; }
std::uint32_t FoldCrc32(std::span<const std::byte>& /*data*/,
                        std::uint32_t seed) {
  return seed;
}

#endif

}  // namespace stoker::core::internal
