#include "metrics/internal/packed.h"

#include <algorithm>

namespace stoker::metrics {

void PackedWriter::U64(std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8)
    bytes_.push_back(static_cast<std::byte>(value >> shift));
}

void PackedWriter::Text(std::string_view text) {
  U64(text.size());
  const auto raw = std::as_bytes(std::span(text));
  bytes_.insert(bytes_.end(), raw.begin(), raw.end());
}

std::uint64_t PackedReader::U64() {
  if (rest_.size() < 8) {
    short_ = true;
    rest_ = {};
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i)
    value |= std::to_integer<std::uint64_t>(rest_[i]) << (8 * i);
  rest_ = rest_.subspan(8);
  return value;
}

std::string PackedReader::Text() {
  const std::size_t size = Count(1);
  std::string text(size, '\0');
  std::transform(
      rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(size),
      text.begin(), [](std::byte b) { return static_cast<char>(b); });
  rest_ = rest_.subspan(size);
  return text;
}

std::size_t PackedReader::Count(std::size_t item_bytes) {
  const std::uint64_t count = U64();
  if (count > rest_.size() / item_bytes) {
    short_ = true;
    rest_ = {};
    return 0;
  }
  return static_cast<std::size_t>(count);
}

}  // namespace stoker::metrics
