#include "core/stream_copy.h"

#include <cstdint>
#include <cstring>

#include "core/check.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace stoker::core {

void StreamCopy(std::span<std::byte> to, std::span<const std::byte> from) {
  STOKER_CHECK(to.size() >= from.size());
  if (from.empty()) {
    return;
  }
  std::byte* out = to.data();
  const std::byte* in = from.data();
  std::size_t left = from.size();
#ifdef __SSE2__
  constexpr std::size_t kLine = 64;
  const std::size_t head = -reinterpret_cast<std::uintptr_t>(out) % kLine;
  if (left >= head + kLine) {
    std::memcpy(out, in, head);
    out += head;
    in += head;
    left -= head;
    for (; left >= kLine; out += kLine, in += kLine, left -= kLine) {
      const auto* const source = reinterpret_cast<const __m128i*>(in);
      auto* const target = reinterpret_cast<__m128i*>(out);
      const __m128i a = _mm_loadu_si128(source);
      const __m128i b = _mm_loadu_si128(source + 1);
      const __m128i c = _mm_loadu_si128(source + 2);
      const __m128i d = _mm_loadu_si128(source + 3);
      _mm_stream_si128(target, a);
      _mm_stream_si128(target + 1, b);
      _mm_stream_si128(target + 2, c);
      _mm_stream_si128(target + 3, d);
    }
    _mm_sfence();
  }
#endif
  std::memcpy(out, in, left);
}

}  // namespace stoker::core
